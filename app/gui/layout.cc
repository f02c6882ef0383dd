#include "app/gui/layout.h"

#include <imgui_internal.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "app/gui/ui.h"
#include "io/atomic_file.h"

namespace switchyard::gui {
namespace {

void lay_out(ImGuiID space, ImVec2 size) {
  ImGui::DockBuilderRemoveNode(space);
  ImGui::DockBuilderAddNode(space, ImGuiDockNodeFlags_DockSpace);
  ImGui::DockBuilderSetNodeSize(space, size);
  const float text = ImGui::GetFontSize();
  // Panels that lie one behind the other can be read; those that are too narrow cannot.
  if (size.x < 62 * text) {
    ImGuiID left = space, rest = space;
    if (size.x > 36 * text)
      ImGui::DockBuilderSplitNode(space, ImGuiDir_Left, 19 * text / size.x, &left, &rest);
    for (const char* panel : {kGenerate, kSurgery, kQueue}) ImGui::DockBuilderDockWindow(panel, left);
    for (const char* panel :
         {kCanvas, kPatchMap, kTimestepMap, kAtlas, kFlow, kGallery, kPatches, kRank, kWhatIf, kContent})
      ImGui::DockBuilderDockWindow(panel, rest);
    return ImGui::DockBuilderFinish(space);
  }
  const float left_width = std::clamp(text * 20, size.x * 0.2f, size.x * 0.32f);
  const float right_width = std::clamp(text * 31, size.x * 0.28f, size.x * 0.4f);
  ImGuiID left, right, middle;
  ImGui::DockBuilderSplitNode(space, ImGuiDir_Left, left_width / size.x, &left, &middle);
  ImGui::DockBuilderSplitNode(middle, ImGuiDir_Right, right_width / (size.x - left_width), &right, &middle);
  ImGuiID left_low, right_low;
  ImGui::DockBuilderSplitNode(left, ImGuiDir_Down, 0.27f, &left_low, &left);
  ImGui::DockBuilderSplitNode(right, ImGuiDir_Down, 0.43f, &right_low, &right);
  ImGui::DockBuilderDockWindow(kGenerate, left);
  ImGui::DockBuilderDockWindow(kSurgery, left);
  ImGui::DockBuilderDockWindow(kQueue, left_low);
  for (const char* panel : {kCanvas, kGallery, kPatches, kRank}) ImGui::DockBuilderDockWindow(panel, middle);
  ImGui::DockBuilderDockWindow(kPatchMap, right);
  for (const char* panel : {kTimestepMap, kAtlas, kFlow, kWhatIf, kContent})
    ImGui::DockBuilderDockWindow(panel, right_low);
  ImGui::DockBuilderFinish(space);
}

}  // namespace

bool dock_space(bool reset) {
  const auto* viewport = ImGui::GetMainViewport();
  const ImGuiID space = ImGui::GetID("panels");
  const bool anew = reset || !ImGui::DockBuilderGetNode(space);
  if (anew) lay_out(space, viewport->WorkSize);
  ImGui::DockSpaceOverViewport(space, viewport,
                               ImGuiDockNodeFlags_NoWindowMenuButton | ImGuiDockNodeFlags_NoCloseButton);
  return anew;
}

void load_layout(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (file.empty() || !stream) return;
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (text.size() < 1 << 20) ImGui::LoadIniSettingsFromMemory(text.data(), text.size());
}

void save_layout(const std::filesystem::path& file) {
  if (file.empty()) return;
  size_t size = 0;
  const char* text = ImGui::SaveIniSettingsToMemory(&size);
  try {
    std::filesystem::create_directories(file.parent_path());
    io::write_file(file, std::string_view(text, size));
  } catch (const std::exception&) {  // a layout that is not remembered is no reason for a message at the end
  }
}

}  // namespace switchyard::gui
