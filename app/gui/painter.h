// Draws what Dear ImGui has laid out, and of that only where something changed since the frame before: with OpenGL in
// software nearly all of a frame's time goes into its pixels. The picture is kept in a buffer of its own, because what is
// in the window's after they were swapped is anybody's guess.
#pragma once

#include <ATen/core/Tensor.h>
#include <imgui.h>

#include <cstdint>
#include <vector>

namespace switchyard::gui {

/// Whole pixels, from the upper left corner; empty where right <= left or bottom <= top.
struct Area {
  int left = 0, top = 0, right = 0, bottom = 0;

  bool empty() const { return right <= left || bottom <= top; }
  Area and_(const Area& other) const;  // what both cover
  Area with(const Area& other) const;  // the smallest that covers both
  bool operator==(const Area&) const = default;
};

/// What has to be drawn anew, by comparing draw lists. Knows no OpenGL.
class Changes {
 public:
  /// Since the call before, of a window of so many pixels. Everything, where the window is of another size or what lies on
  /// top of what has changed. Other contents need another texture, see Textures.
  Area of(const ImDrawData& data, const Area& window);

  void forget() { lists_.clear(), window_ = {}; }  // next time everything

 private:
  struct List {
    uint64_t name, hash;  // by whom it was drawn, counted; of everything in it
    Area area;            // that it may touch
  };
  std::vector<List> lists_;
  Area window_;
};

class Painter {
 public:
  Painter() = default;
  ~Painter();
  Painter(const Painter&) = delete;
  Painter& operator=(const Painter&) = delete;

  /// Into the back buffer of the window, width x height pixels.
  void paint(ImDrawData& data, int width, int height);

  bool partly = true;  // false: everything each time, to compare with

  /// What was painted last: [H, W, 3] uint8.
  at::Tensor pixels() const;

 private:
  void make_room(int width, int height);

  Changes changes_;
  unsigned frame_ = 0, colors_ = 0;  // OpenGL's names of the buffer
  int width_ = 0, height_ = 0;
};

}  // namespace switchyard::gui
