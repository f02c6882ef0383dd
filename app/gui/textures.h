// Pictures on the graphics card, kept as long as somebody draws them. Of the UI thread alone, while the window is there.
#pragma once

#include <ATen/core/Tensor.h>
#include <imgui.h>

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

namespace switchyard::gui {

struct Texture {
  ImTextureID id = 0;
  int width = 0, height = 0;
};

class Textures {
 public:
  Textures() = default;
  ~Textures();
  Textures(const Textures&) = delete;
  Textures& operator=(const Textures&) = delete;

  /// The picture of this name, made and uploaded again when the version is another one: [H, W, 4] uint8.
  Texture of(const std::string& name, uint64_t version, const std::function<at::Tensor()>& make);

  /// Once per frame: lets go of what has not been drawn for a while.
  void end_frame();

 private:
  struct Entry {
    Texture texture;
    uint64_t version = 0;
    int64_t last_used = 0;
  };
  std::unordered_map<std::string, Entry> entries_;
  int64_t frame_ = 0;
};

/// Draws a texture with whole, sharp pixels. uv: the part of it that is shown.
void add_pixels(ImDrawList* list, const Texture& texture, ImVec2 from, ImVec2 to, ImVec2 uv_from = {0, 0},
                ImVec2 uv_to = {1, 1}, float opacity = 1);

/// The same, smoothly, for what is shown smaller than it is.
void add_smooth(ImDrawList* list, const Texture& texture, ImVec2 from, ImVec2 to);

}  // namespace switchyard::gui
