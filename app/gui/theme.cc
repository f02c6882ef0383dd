#include "app/gui/theme.h"

#include <algorithm>

#include "figures/typeface.h"

namespace switchyard::gui {
namespace {

constexpr float kTextSize = 15;

ImVec4 color(unsigned rgb, float opacity = 1) {
  return {static_cast<float>(rgb >> 16 & 255) / 255, static_cast<float>(rgb >> 8 & 255) / 255,
          static_cast<float>(rgb & 255) / 255, opacity};
}

ImU32 packed(unsigned rgb, float opacity = 1) { return ImGui::ColorConvertFloat4ToU32(color(rgb, opacity)); }

struct Palette {
  unsigned back, panel, raised, field, hovered, active, border, text, quiet, accent, accent_soft, grab, good,
      warning, error;
};

constexpr Palette kDark{0x14161a, 0x1b1e24, 0x22262d, 0x282d35, 0x323843, 0x3d4552, 0x30353f, 0xe4e7ec,
                        0x969fad, 0x4f9cf0, 0x29496d, 0x3c6da5, 0x5bbf87, 0xe3b04b, 0xec6a6a};
constexpr Palette kLight{0xdfe3e8, 0xfafbfc, 0xffffff, 0xeceff3, 0xdfe5ec, 0xcfd8e3, 0xd0d6de, 0x1f2530,
                         0x667080, 0x1f6fd0, 0xc4dcf7, 0x8fbcee, 0x2c8a57, 0x9a6a00, 0xc23b3b};

ImFont* load(figures::Weight weight) {
  const auto bytes = figures::typeface(weight);
  ImFontConfig config;
  config.FontDataOwnedByAtlas = false;
  return ImGui::GetIO().Fonts->AddFontFromMemoryTTF(const_cast<std::byte*>(bytes.data()),
                                                    static_cast<int>(bytes.size()), 0, &config);
}

void set_colors(ImGuiStyle& style, const Palette& p) {
  auto& c = style.Colors;
  const auto clear = ImVec4(0, 0, 0, 0);
  c[ImGuiCol_Text] = color(p.text);
  c[ImGuiCol_TextDisabled] = color(p.quiet);
  c[ImGuiCol_WindowBg] = color(p.panel);
  c[ImGuiCol_ChildBg] = clear;
  c[ImGuiCol_PopupBg] = color(p.raised);
  c[ImGuiCol_Border] = color(p.border);
  c[ImGuiCol_FrameBg] = color(p.field);
  c[ImGuiCol_FrameBgHovered] = color(p.hovered);
  c[ImGuiCol_FrameBgActive] = color(p.active);
  c[ImGuiCol_TitleBg] = c[ImGuiCol_TitleBgActive] = c[ImGuiCol_TitleBgCollapsed] = color(p.back);
  c[ImGuiCol_MenuBarBg] = color(p.back);
  c[ImGuiCol_ScrollbarBg] = clear;
  c[ImGuiCol_ScrollbarGrab] = color(p.active);
  c[ImGuiCol_ScrollbarGrabHovered] = c[ImGuiCol_ScrollbarGrabActive] = color(p.quiet);
  c[ImGuiCol_CheckMark] = color(p.accent);
  c[ImGuiCol_CheckboxSelectedBg] = color(p.field);
  c[ImGuiCol_SliderGrab] = color(p.grab);  // text lies over it
  c[ImGuiCol_SliderGrabActive] = color(p.accent);
  c[ImGuiCol_Button] = color(p.field);
  c[ImGuiCol_ButtonHovered] = color(p.hovered);
  c[ImGuiCol_ButtonActive] = color(p.active);
  c[ImGuiCol_Header] = color(p.accent_soft);
  c[ImGuiCol_HeaderHovered] = color(p.hovered);
  c[ImGuiCol_HeaderActive] = color(p.active);
  c[ImGuiCol_Separator] = color(p.border);
  c[ImGuiCol_SeparatorHovered] = c[ImGuiCol_SeparatorActive] = color(p.accent);
  c[ImGuiCol_ResizeGrip] = clear;
  c[ImGuiCol_ResizeGripHovered] = c[ImGuiCol_ResizeGripActive] = color(p.accent);
  c[ImGuiCol_InputTextCursor] = color(p.text);
  c[ImGuiCol_Tab] = c[ImGuiCol_TabDimmed] = color(p.back);
  c[ImGuiCol_TabHovered] = color(p.hovered);
  c[ImGuiCol_TabSelected] = c[ImGuiCol_TabDimmedSelected] = color(p.panel);
  c[ImGuiCol_TabSelectedOverline] = color(p.accent);
  c[ImGuiCol_TabDimmedSelectedOverline] = clear;
  c[ImGuiCol_DockingPreview] = color(p.accent, 0.5f);
  c[ImGuiCol_DockingEmptyBg] = color(p.back);
  c[ImGuiCol_PlotHistogram] = c[ImGuiCol_PlotHistogramHovered] = color(p.accent);
  c[ImGuiCol_PlotLines] = color(p.quiet);
  c[ImGuiCol_TableHeaderBg] = color(p.field);
  c[ImGuiCol_TableBorderStrong] = c[ImGuiCol_TableBorderLight] = color(p.border);
  c[ImGuiCol_TableRowBg] = clear;
  c[ImGuiCol_TableRowBgAlt] = color(p.field, 0.4f);
  c[ImGuiCol_TextLink] = color(p.accent);
  c[ImGuiCol_TextSelectedBg] = color(p.accent, 0.35f);
  c[ImGuiCol_DragDropTarget] = color(p.accent);
  c[ImGuiCol_NavCursor] = color(p.accent);
  c[ImGuiCol_ModalWindowDimBg] = color(0x000000, 0.4f);
}

}  // namespace

void apply_theme(Theme& theme, const std::string& name, double scale) {
  if (!theme.regular) {
    theme.regular = load(figures::Weight::regular);
    theme.semibold = load(figures::Weight::semibold);
  }
  const bool light = name == "light";
  const auto& palette = light ? kLight : kDark;
  theme.name = light ? "light" : "dark";
  theme.scale = static_cast<float>(std::clamp(scale, 0.5, 4.0));

  ImGuiStyle style;
  set_colors(style, palette);
  style.FontSizeBase = kTextSize;
  style.WindowPadding = {10, 8};
  style.FramePadding = {8, 4};
  style.ItemSpacing = {8, 6};
  style.ItemInnerSpacing = {6, 4};
  style.CellPadding = {6, 3};
  style.WindowRounding = 0;
  style.FrameRounding = 4;
  style.PopupRounding = 6;
  style.GrabRounding = 4;
  style.TabRounding = 4;
  style.ScrollbarRounding = 6;
  style.ScrollbarSize = 11;
  style.GrabMinSize = 12;
  style.WindowBorderSize = 0;
  style.PopupBorderSize = 1;
  style.TabBarOverlineSize = 2;
  style.DockingSeparatorSize = 3;
  style.WindowMenuButtonPosition = ImGuiDir_None;
  style.SeparatorTextBorderSize = 1;
  style.HoverDelayNormal = 0.5f;
  style.ScaleAllSizes(theme.scale);
  style.FontScaleMain = theme.scale;
  ImGui::GetStyle() = style;

  theme.accent = packed(palette.accent);
  theme.quiet = packed(palette.quiet);
  theme.grid = packed(palette.border);
  theme.good = packed(palette.good);
  theme.warning = packed(palette.warning);
  theme.error = packed(palette.error);
  theme.mark = light ? packed(0x000000) : packed(0xffffff);
  theme.shade = packed(palette.back);
}

}  // namespace switchyard::gui
