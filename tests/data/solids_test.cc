#include "data/solids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/solids_render.h"

namespace switchyard::data {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::size_t pixels(int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }

Bytes image(Split split, std::uint64_t index, int size) {
  Bytes rgb(3 * pixels(size));
  render_solid(split, index, size, rgb);
  return rgb;
}

std::uint64_t fnv1a(const Bytes& bytes, std::uint64_t hash = 0xcbf29ce484222325u) {
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

// Changes when a pixel changes: trained models and published pictures then no longer match the data set.
TEST(Solids, PixelsAreTheKnownOnes) {
  std::uint64_t hash = fnv1a({});
  for (const Split split : {Split::train, Split::validation}) {
    for (std::uint64_t index = 0; index < 40; ++index) hash = fnv1a(image(split, index, 64), hash);
  }
  EXPECT_EQ(hash, 0x6be1f1899343bf5cu) << std::hex << hash;
}

TEST(Solids, EveryVectorUnitGivesTheSameBytes) {
  for (const int size : {16, 33, 64}) {
    for (std::uint64_t index = 0; index < 40; ++index) {
      const SolidScene scene = solid_scene(Split::train, index);
      Bytes expected(3 * pixels(size)), expected_coverage(pixels(size));
      render_scene(scene, size, expected, expected_coverage, VectorUnit::sse2);
      for (const VectorUnit unit : vector_units()) {
        Bytes rgb(3 * pixels(size)), coverage(pixels(size));
        render_scene(scene, size, rgb, coverage, unit);
        ASSERT_EQ(rgb, expected) << "unit " << static_cast<int>(unit) << ", size " << size << ", index "
                                 << index;
        ASSERT_EQ(coverage, expected_coverage) << "unit " << static_cast<int>(unit);
      }
    }
  }
}

TEST(Solids, IndicesAndSplitsDiffer) {
  std::set<std::string> images;  // bytes as text: g++ 12 warns without cause when vectors are compared
  const auto add = [&](const Bytes& bytes) { images.emplace(bytes.begin(), bytes.end()); };
  for (const Split split : {Split::train, Split::validation}) {
    for (std::uint64_t index = 0; index < 100; ++index) add(image(split, index, 16));
  }
  for (const std::uint64_t index : {std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    add(image(Split::train, index, 16));
  }
  EXPECT_EQ(images.size(), 202u);
}

TEST(Solids, ClassesAreBalanced) {
  for (const Split split : {Split::train, Split::validation}) {
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{1} << 40}) {
      std::set<int> classes;
      for (std::uint64_t i = 0; i < kSolidNames.size(); ++i) {
        classes.insert(solid_class(split, first + i));
        EXPECT_EQ(static_cast<int>(solid_scene(split, first + i).solid), solid_class(split, first + i));
      }
      EXPECT_EQ(classes.size(), kSolidNames.size());
      EXPECT_EQ(*classes.begin(), 0);
      EXPECT_EQ(*classes.rbegin(), static_cast<int>(kSolidNames.size()) - 1);
    }
  }
}

// The larger side of the solid's bounding rectangle fills 0.35 to 0.8 of the frame, and no side touches it.
TEST(Solids, SolidLiesInsideTheFrame) {
  constexpr int kSize = 48;
  Bytes rgb(3 * pixels(kSize)), coverage(pixels(kSize));
  for (std::uint64_t index = 0; index < 2000; ++index) {
    render_scene(solid_scene(Split::validation, index), kSize, rgb, coverage);
    int left = kSize, right = -1, top = kSize, bottom = -1;
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        if (coverage[static_cast<std::size_t>(y * kSize + x)] == 0) continue;
        left = std::min(left, x), right = std::max(right, x), top = std::min(top, y),
        bottom = std::max(bottom, y);
      }
    }
    const std::string what = std::string(kSolidNames[index % 10]) + " " + std::to_string(index);
    EXPECT_GE(std::min(left, top), 1) << what;
    EXPECT_LE(std::max(right, bottom), kSize - 2) << what;
    const int extent = std::max(right - left, bottom - top) + 1;
    EXPECT_GE(extent, kSize * 35 / 100) << what;
    EXPECT_LE(extent, kSize * 80 / 100) << what;
  }
}

TEST(Solids, RotationsAndLightsAreUnit) {
  for (std::uint64_t index = 0; index < 200; ++index) {
    const SolidScene scene = solid_scene(Split::train, index);
    const auto& m = scene.to_world;
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        EXPECT_NEAR(m[i][0] * m[j][0] + m[i][1] * m[j][1] + m[i][2] * m[j][2], i == j ? 1.0f : 0.0f, 1e-6f);
      }
    }
    EXPECT_NEAR(std::hypot(scene.light[0], scene.light[1], scene.light[2]), 1.0f, 1e-6f);
  }
}

// A small image and a large one of one index show the same scene: their mean colours agree.
TEST(Solids, EverySizeShowsTheSameScene) {
  for (std::uint64_t index = 0; index < 10; ++index) {
    const auto mean = [&](int size) {
      double sum = 0.0;
      for (const std::uint8_t byte : image(Split::train, index, size)) sum += byte;
      return sum / static_cast<double>(3 * pixels(size));
    };
    const double expected = mean(128);
    for (const int size : {16, 17, 31, 33, 64})
      EXPECT_NEAR(mean(size), expected, 1.5) << "size " << size << ", index " << index;
  }
  EXPECT_NE(fnv1a(image(Split::train, 3, 512)), fnv1a(Bytes(3 * pixels(512))));
}

TEST(Solids, NothingIsWrittenBesideTheImage) {
  for (const int size : {16, 33}) {
    Bytes guarded(3 * pixels(size) + 64, 0xa5);
    render_solid(Split::train, 1, size, std::span(guarded).subspan(32, 3 * pixels(size)));
    for (std::size_t i = 0; i < 32; ++i) {
      ASSERT_EQ(guarded[i], 0xa5);
      ASSERT_EQ(guarded[guarded.size() - 1 - i], 0xa5);
    }
  }
}

TEST(Solids, WrongArgumentsAreNamed) {
  struct Case {
    int size;
    std::size_t bytes;
    const char* message;
  };
  for (const Case& c : {Case{15, 15 * 15 * 3, "16 to 512 pixels, got 15"},
                        {513, 0, "16 to 512 pixels, got 513"},
                        {-64, 64 * 64 * 3, "got -64"},
                        {64, 64 * 64, "12288 bytes (size 64), got 4096"},
                        {64, 0, "got 0"},
                        {16, 769, "768 bytes (size 16), got 769"}}) {
    Bytes rgb(c.bytes);
    try {
      render_solid(Split::train, 0, c.size, rgb);
      ADD_FAILURE() << "expected: " << c.message;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(c.message), std::string::npos) << error.what();
    }
  }
  Bytes rgb(16 * 16 * 3), coverage(16 * 16 + 1);
  EXPECT_THROW(render_scene(solid_scene(Split::train, 0), 16, rgb, coverage), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::data
