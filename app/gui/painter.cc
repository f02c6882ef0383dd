#include "app/gui/painter.h"

#include <ATen/ATen.h>
#define GL_GLEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>
#include <imgui_impl_opengl3.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace switchyard::gui {
namespace {

uint64_t mixed(uint64_t hash, const void* data, size_t bytes) {
  const auto part = std::hash<std::string_view>()({static_cast<const char*>(data), bytes});
  return hash * 0x9e3779b97f4a7c15 + part;
}
template <class Value>
uint64_t mixed(uint64_t hash, const Value& value) {
  return mixed(hash, &value, sizeof value);
}

// The pixels that the renderer lets a command touch: it cuts off fractions in this way.
Area area_of(const ImVec4& clip, const Area& window) {
  const int height = window.bottom, left = static_cast<int>(clip.x);
  const int bottom = height - static_cast<int>(static_cast<float>(height) - clip.w);
  return window.and_(
      {left, bottom - static_cast<int>(clip.w - clip.y), left + static_cast<int>(clip.z - clip.x), bottom});
}

// Narrows the commands down to what lies within, and back again.
class Clipped {
 public:
  Clipped(ImDrawData& data, const Area& within, const Area& window) : data_(data) {
    each([&](ImDrawCmd& command) {
      before_.push_back(command.ClipRect);
      const auto area = area_of(command.ClipRect, window).and_(within);
      command.ClipRect = {static_cast<float>(area.left), static_cast<float>(area.top),
                          static_cast<float>(area.right), static_cast<float>(area.bottom)};
    });
  }
  ~Clipped() {
    each([&, next = before_.begin()](ImDrawCmd& command) mutable { command.ClipRect = *next++; });
  }

 private:
  template <class Visit>
  void each(Visit visit) {
    for (auto* list : data_.CmdLists)
      for (auto& command : list->CmdBuffer) visit(command);
  }

  ImDrawData& data_;
  std::vector<ImVec4> before_;
};

}  // namespace

Area Area::and_(const Area& o) const {
  return {std::max(left, o.left), std::max(top, o.top), std::min(right, o.right), std::min(bottom, o.bottom)};
}

Area Area::with(const Area& o) const {
  if (empty()) return o;
  if (o.empty()) return *this;
  return {std::min(left, o.left), std::min(top, o.top), std::max(right, o.right), std::max(bottom, o.bottom)};
}

Area Changes::of(const ImDrawData& data, const Area& window) {
  std::vector<List> lists;
  Area changed;
  for (const auto* drawn : data.CmdLists) {
    const std::string_view owner = drawn->_OwnerName ? drawn->_OwnerName : "";
    List list{.name = mixed(0, owner.data(), owner.size()), .hash = 0, .area = {}};
    while (std::ranges::find(lists, list.name, &List::name) != lists.end()) ++list.name;
    const auto& vertices = drawn->VtxBuffer;
    const auto& indices = drawn->IdxBuffer;
    list.hash = mixed(mixed(0, vertices.Data, static_cast<size_t>(vertices.size_in_bytes())), indices.Data,
                      static_cast<size_t>(indices.size_in_bytes()));
    for (const auto& command : drawn->CmdBuffer) {
      list.hash = mixed(mixed(list.hash, command.ClipRect), command.UserCallback);
      list.hash = mixed(mixed(list.hash, command.VtxOffset), command.IdxOffset);
      list.hash = mixed(mixed(list.hash, command.ElemCount), command.TexRef._TexData);
      if (command.UserCallback) continue;
      list.hash = mixed(list.hash, command.TexRef._TexID);
      list.area = list.area.with(area_of(command.ClipRect, window));
    }
    lists.push_back(list);
  }
  // What was and is, in the same order: compared. What was or is alone: all of it.
  auto before = lists_.begin();
  bool same_order = window == window_;
  for (const auto& list : lists) {
    const auto found = std::ranges::find(lists_, list.name, &List::name);
    if (found == lists_.end()) {
      changed = changed.with(list.area);
      continue;
    }
    same_order &= found >= before;
    for (; same_order && before != found; ++before) changed = changed.with(before->area);
    if (found->hash != list.hash) changed = changed.with(found->area).with(list.area);
    before = same_order ? found + 1 : before;
  }
  for (; before != lists_.end(); ++before) changed = changed.with(before->area);
  lists_ = std::move(lists);
  window_ = window;
  return same_order ? changed : window;
}

Painter::~Painter() {
  glDeleteFramebuffers(1, &frame_);
  glDeleteRenderbuffers(1, &colors_);
}

void Painter::make_room(int width, int height) {
  if (frame_ && width == width_ && height == height_) return;
  if (!frame_) glGenFramebuffers(1, &frame_), glGenRenderbuffers(1, &colors_);
  width_ = width, height_ = height;
  glBindRenderbuffer(GL_RENDERBUFFER, colors_);
  glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, width, height);
  glBindFramebuffer(GL_FRAMEBUFFER, frame_);
  glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, colors_);
  changes_.forget();
}

void Painter::paint(ImDrawData& data, int width, int height) {
  if (width < 1 || height < 1) return;
  make_room(width, height);
  const Area window{0, 0, width, height};
  if (!partly) changes_.forget();
  const auto changed = changes_.of(data, window);
  glBindFramebuffer(GL_FRAMEBUFFER, frame_);
  glViewport(0, 0, width, height);
  std::optional<Clipped> clipped;
  if (changed != window) clipped.emplace(data, changed, window);
  glEnable(GL_SCISSOR_TEST);
  glScissor(changed.left, height - changed.bottom, std::max(0, changed.right - changed.left),
            std::max(0, changed.bottom - changed.top));
  glClear(GL_COLOR_BUFFER_BIT);
  glDisable(GL_SCISSOR_TEST);
  ImGui_ImplOpenGL3_RenderDrawData(&data);  // also what it has to do for textures
  glBindFramebuffer(GL_READ_FRAMEBUFFER, frame_);
  glBindFramebuffer(GL_DRAW_FRAMEBUFFER, 0);
  glBlitFramebuffer(0, 0, width, height, 0, 0, width, height, GL_COLOR_BUFFER_BIT, GL_NEAREST);
  glBindFramebuffer(GL_FRAMEBUFFER, 0);
}

at::Tensor Painter::pixels() const {
  auto pixels = at::empty({height_, width_, 3}, at::kByte);
  glBindFramebuffer(GL_READ_FRAMEBUFFER, frame_);
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadPixels(0, 0, width_, height_, GL_RGB, GL_UNSIGNED_BYTE, pixels.data_ptr<uint8_t>());
  glBindFramebuffer(GL_READ_FRAMEBUFFER, 0);
  return pixels.flip(0).contiguous();  // OpenGL begins at the bottom
}

}  // namespace switchyard::gui
