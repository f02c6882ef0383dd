#include "app/gui/textures.h"

#include <ATen/ATen.h>
#include <GLFW/glfw3.h>

namespace switchyard::gui {
namespace {

constexpr int64_t kFramesKept = 600;

}  // namespace

Textures::~Textures() {
  for (auto& [name, entry] : entries_) {
    const auto id = static_cast<GLuint>(entry.texture.id);
    glDeleteTextures(1, &id);
  }
}

Texture Textures::of(const std::string& name, uint64_t version, const std::function<at::Tensor()>& make) {
  auto& entry = entries_[name];
  entry.last_used = frame_;
  if (entry.texture.id && entry.version == version) return entry.texture;
  const auto rgba = make().contiguous();
  // Another one than before: by its id the painter knows that something changed.
  GLuint id;
  const auto old = static_cast<GLuint>(entry.texture.id);
  glGenTextures(1, &id);
  if (old) glDeleteTextures(1, &old);
  glBindTexture(GL_TEXTURE_2D, id);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  const auto height = static_cast<int>(rgba.size(0)), width = static_cast<int>(rgba.size(1));
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, width, height, 0, GL_RGBA, GL_UNSIGNED_BYTE,
               rgba.data_ptr<uint8_t>());
  entry.texture = {id, width, height};
  entry.version = version;
  return entry.texture;
}

void Textures::end_frame() {
  ++frame_;
  if (frame_ % kFramesKept) return;
  std::erase_if(entries_, [&](const auto& item) {
    if (frame_ - item.second.last_used < kFramesKept) return false;
    const auto id = static_cast<GLuint>(item.second.texture.id);
    glDeleteTextures(1, &id);
    return true;
  });
}

void add_pixels(ImDrawList* list, const Texture& texture, ImVec2 from, ImVec2 to, ImVec2 uv_from,
                ImVec2 uv_to, float opacity) {
  auto& platform = ImGui::GetPlatformIO();
  list->AddCallback(platform.DrawCallback_SetSamplerNearest, nullptr);
  list->AddImage(texture.id, from, to, uv_from, uv_to,
                 IM_COL32(255, 255, 255, static_cast<int>(255 * opacity + 0.5f)));
  list->AddCallback(platform.DrawCallback_SetSamplerLinear, nullptr);
}

void add_smooth(ImDrawList* list, const Texture& texture, ImVec2 from, ImVec2 to) {
  list->AddImage(texture.id, from, to);
}

}  // namespace switchyard::gui
