// Renders a SolidScene, 4 samples per pixel, on the widest vector unit that the processor has.
//
// The renderer is one source compiled once per instruction set. Lanes never mix and nothing is contracted or
// reordered, so every instruction set gives the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/solids_scene.h"

namespace switchyard::data {

enum class VectorUnit : std::uint32_t { sse2, avx2, avx512 };

// The units that this processor has, narrowest first.
std::vector<VectorUnit> vector_units();

// rgb: [size, size, 3] sRGB. coverage: empty, or [size, size], the solid's share of each pixel in 0 .. 255.
// size: 16 to 512. Throws std::invalid_argument for another size or a span of another length.
void render_scene(const SolidScene& scene, int size, std::span<std::uint8_t> rgb,
                  std::span<std::uint8_t> coverage = {});
void render_scene(const SolidScene& scene, int size, std::span<std::uint8_t> rgb,
                  std::span<std::uint8_t> coverage, VectorUnit unit);

}  // namespace switchyard::data
