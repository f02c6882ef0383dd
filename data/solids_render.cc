#include "data/solids_render.h"

#include <stdexcept>
#include <string>

namespace switchyard::data {

void render_scene_sse2(const SolidScene& scene, int size, std::uint8_t* rgb, std::uint8_t* coverage);
void render_scene_avx2(const SolidScene& scene, int size, std::uint8_t* rgb, std::uint8_t* coverage);
void render_scene_avx512(const SolidScene& scene, int size, std::uint8_t* rgb, std::uint8_t* coverage);

std::vector<VectorUnit> vector_units() {
  std::vector<VectorUnit> units{VectorUnit::sse2};
  if (__builtin_cpu_supports("avx2")) units.push_back(VectorUnit::avx2);
  if (__builtin_cpu_supports("avx512f")) units.push_back(VectorUnit::avx512);
  return units;
}

void render_scene(const SolidScene& scene, int size, std::span<std::uint8_t> rgb,
                  std::span<std::uint8_t> coverage) {
  static const VectorUnit widest = vector_units().back();
  render_scene(scene, size, rgb, coverage, widest);
}

void render_scene(const SolidScene& scene, int size, std::span<std::uint8_t> rgb,
                  std::span<std::uint8_t> coverage, VectorUnit unit) {
  if (size < 16 || size > 512) {
    throw std::invalid_argument("render_scene: expected a size of 16 to 512 pixels, got " +
                                std::to_string(size));
  }
  const std::size_t pixels = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  if (rgb.size() != 3 * pixels) {
    throw std::invalid_argument("render_scene: expected rgb to hold " + std::to_string(3 * pixels) +
                                " bytes (size " + std::to_string(size) + "), got " +
                                std::to_string(rgb.size()));
  }
  if (!coverage.empty() && coverage.size() != pixels) {
    throw std::invalid_argument("render_scene: expected coverage to be empty or to hold " +
                                std::to_string(pixels) + " bytes, got " + std::to_string(coverage.size()));
  }
  std::uint8_t* share = coverage.empty() ? nullptr : coverage.data();
  switch (unit) {
    case VectorUnit::sse2:
      return render_scene_sse2(scene, size, rgb.data(), share);
    case VectorUnit::avx2:
      return render_scene_avx2(scene, size, rgb.data(), share);
    case VectorUnit::avx512:
      return render_scene_avx512(scene, size, rgb.data(), share);
  }
}

}  // namespace switchyard::data
