#include "io/image.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "hostile.h"
#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

using ImageTest = Scratch;

TEST_F(ImageTest, KindIsToldByContentNotByName) {
  const auto png = put("a.jpg", png_of({2, 1, 8, 2}, std::string("\0abcdef", 7)));
  EXPECT_TRUE(at::equal(read_image(png), at::arange('a', 'g', at::kByte).view({1, 2, 3})));
  EXPECT_EQ(read_image(put("b.png", jpeg_of({.width = 33, .height = 31}))).sizes(),
            (at::IntArrayRef{31, 33, 3}));
}

TEST_F(ImageTest, HighByteOfSixteenBitsIsKept) {
  const auto image =
      read_image(put("a.png", png_of({3, 1, 16, 0}, std::string("\0\1\xff\xfe\xff\x80\0", 7))));
  EXPECT_TRUE(at::equal(image, at::tensor({1, 254, 128}, at::kByte).view({1, 3, 1}).expand({1, 3, 3})));
}

TEST_F(ImageTest, OtherFilesAreRefusedByName) {
  for (const auto& [bytes, message] : {std::pair{"", "found an empty file"},
                                       {"GIF89a...", "found a file that begins with \"GIF89a...\""},
                                       {"\x1b[31m", "begins with \"\\u001b[31m\""},
                                       {"\x89PNG", "cannot be read as PNG"},
                                       {"\xff\xd8", "cannot be read as JPEG"}}) {
    const auto path = put("a.png", bytes);
    const std::string said = message_of<InputError>([&] { read_image(path); });
    EXPECT_TRUE(said.starts_with(path.string() + ": ")) << said;
    EXPECT_TRUE(contains(said, message));
  }
  EXPECT_THROW(read_image(file("missing.png")), InputError);
  EXPECT_THROW(read_image(file(".")), InputError);
}

}  // namespace
}  // namespace switchyard::io
