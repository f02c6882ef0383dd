#include "io/animation.h"

#include <ATen/ATen.h>

#include <fstream>

#include "io/png.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

class Animation : public Scratch {
 protected:
  std::string written(const std::vector<Frame>& frames) {
    write_animation(file("a.png"), frames);
    std::ifstream stream(file("a.png"), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
};

size_t number_at(const std::string& bytes, size_t at) {
  size_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// Readers that know nothing of frames, ours among them, see the first.
TEST_F(Animation, FirstFrameIsAPng) {
  const auto first = at::randint(0, 256, {31, 33, 3}, at::kByte),
             second = at::randint(0, 256, {31, 33, 3}, at::kByte);
  written({{first, 100}, {second, 100}});
  EXPECT_TRUE(at::equal(read_png(file("a.png")).pixels, first));
}

TEST_F(Animation, LaterFramesHoldWhatChanged) {
  const auto first = at::zeros({31, 33, 3}, at::kByte);
  auto second = first.clone();
  second[7][5][1] = 9, second[20][11][0] = 1;
  const auto bytes = written({{first, 40}, {second, 1500}, {second, 40}});
  const auto counts = bytes.find("acTL");
  ASSERT_NE(counts, std::string::npos);
  EXPECT_EQ(number_at(bytes, counts + 4), 3u);
  EXPECT_EQ(number_at(bytes, counts + 8), 0u) << "for ever";
  const auto control = bytes.find("fcTL", bytes.find("fcTL") + 4);
  ASSERT_NE(control, std::string::npos);
  EXPECT_EQ(number_at(bytes, control + 4), 1u) << "in sequence";
  EXPECT_EQ(number_at(bytes, control + 8), 7u) << "columns 5 to 11";
  EXPECT_EQ(number_at(bytes, control + 12), 14u) << "rows 7 to 20";
  EXPECT_EQ(number_at(bytes, control + 16), 5u);
  EXPECT_EQ(number_at(bytes, control + 20), 7u);
  EXPECT_EQ(number_at(bytes, control + 24), 1500u << 16 | 1000u) << "milliseconds";
  const auto third = bytes.find("fcTL", control + 4);
  EXPECT_EQ(number_at(bytes, third + 8), 1u) << "nothing changed: one pixel";
}

TEST_F(Animation, FramesOfUnequalSizeAreRefused) {
  EXPECT_THROW(written({}), std::invalid_argument);
  EXPECT_THROW(written({{at::zeros({4, 4, 3}, at::kByte), 1}, {at::zeros({4, 5, 3}, at::kByte), 1}}),
               std::invalid_argument);
  EXPECT_THROW(written({{at::zeros({4, 4, 3}, at::kByte), 70'000}}), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(file("a.png")));
}

}  // namespace
}  // namespace switchyard::io
