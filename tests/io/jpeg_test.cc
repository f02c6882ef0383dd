#include "io/jpeg.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "hostile.h"
#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

using JpegTest = Scratch;

at::Tensor parse(const std::string& bytes) { return parse_jpeg(std::as_bytes(std::span(bytes)), "file.jpg"); }

int difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kInt) - b.to(at::kInt)).abs().max().item<int>();
}

// That the pixels are right is shown by the parity tests; here, that every kind is read at every size.
TEST_F(JpegTest, SamePixelsHoweverTheyAreCoded) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 33}, {31, 1}, {17, 47}})
    for (const int components : {1, 3, 4})
      for (const bool subsampled : {false, true}) {
        const JpegKind plain = {
            .width = width, .height = height, .components = components, .is_subsampled = subsampled};
        const at::Tensor expected = parse(jpeg_of(plain));
        ASSERT_EQ(expected.sizes(), (at::IntArrayRef{height, width, 3}));
        JpegKind progressive = plain, restarts = plain, arithmetic = plain;
        progressive.is_progressive = arithmetic.is_arithmetic = true;
        restarts.restart_interval = 1;
        for (const JpegKind& kind : {progressive, restarts, arithmetic})
          EXPECT_EQ(difference(parse(jpeg_of(kind)), expected), 0)
              << height << " x " << width << ", " << components << " components";
      }
}

TEST_F(JpegTest, FileIsReadAsItsBytesAre) {
  const std::string bytes = jpeg_of({.width = 33, .height = 31, .components = 3});
  EXPECT_TRUE(at::equal(read_jpeg(put("a.jpg", bytes)), parse(bytes)));
  EXPECT_THROW(read_jpeg(file("missing.jpg")), InputError);
}

// What cameras write, and Pillow reads without a word.
TEST_F(JpegTest, HarmlessOdditiesAreNoFaults) {
  const std::string good = jpeg_of({.width = 33, .height = 31, .components = 3});
  std::string padded = good, later_jfif = good;
  padded.insert(good.size() - 2, std::string(7, '\0'));
  later_jfif[good.find("JFIF") + 5] = 3;
  for (const std::string& bytes : {padded, later_jfif, good + "bytes after the end"})
    EXPECT_TRUE(at::equal(parse(bytes), parse(good)));
}

TEST_F(JpegTest, HostileFilesAreRefusedWithAReason) {
  for (const Hostile& hostile : hostile_jpegs()) {
    SCOPED_TRACE(hostile.what);
    const std::string message = message_of<InputError>([&] { parse(hostile.bytes); });
    EXPECT_TRUE(message.starts_with("file.jpg: ")) << message;
    EXPECT_TRUE(contains(message, hostile.message));
    EXPECT_LT(message.size(), 300u);
  }
}

TEST_F(JpegTest, EveryTruncationIsRefused) {
  for (const bool progressive : {false, true}) {
    const std::string whole =
        jpeg_of({.width = 17, .height = 9, .components = 3, .is_progressive = progressive});
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_THROW(parse(whole.substr(0, size)), InputError) << size << " of " << whole.size();
  }
}

TEST_F(JpegTest, EveryFlippedBitIsRefusedOrGivesAnImage) {
  const std::string whole = jpeg_of({.width = 9, .height = 9, .components = 3, .is_progressive = true});
  int refused = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    try {
      EXPECT_EQ(parse(flipped).dim(), 3);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace switchyard::io
