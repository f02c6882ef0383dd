// "Solids": a procedural image data set; one coloured solid on a studio floor per image, class = kind of
// solid.
//
// Image i of split s is a pure function of (s, i) with the same bytes on every x86-64 machine: random numbers
// are hashes of (s, i, k), and all arithmetic is + - * / sqrt in IEEE order. Classes are balanced: any ten
// consecutive indices hold every class once. Rendered by sphere tracing signed distance fields
// (J. C. Hart, "Sphere tracing", The Visual Computer 12, 1996).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "data/solids_scene.h"

namespace switchyard::data {

inline constexpr std::array<std::string_view, 10> kSolidNames = {
    "sphere", "cube", "cylinder", "cone", "torus", "capsule", "octahedron", "pyramid", "box frame", "star"};

enum class Split : std::uint32_t { train = 0, validation = 1 };

// Class of an image, an index into kSolidNames.
int solid_class(Split split, std::uint64_t index);

// Draws pose, size, place, colours and light of an image.
SolidScene solid_scene(Split split, std::uint64_t index);

// Renders an image of size x size pixels (16 to 512) into rgb: [size, size, 3], row-major, sRGB.
// Throws std::invalid_argument when the size is out of range or rgb is not size * size * 3 long.
void render_solid(Split split, std::uint64_t index, int size, std::span<std::uint8_t> rgb);

}  // namespace switchyard::data
