// Image files against what Pillow decodes: files/* and decoded.safetensors of the image fixtures.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "image_fixtures.h"
#include "io/error.h"
#include "io/image.h"

namespace switchyard::io {
namespace {

std::vector<std::string> file_names() {
  std::vector<std::string> names;
  std::error_code no_folder;
  for (const auto& entry : std::filesystem::directory_iterator(image_fixtures() / "files", no_folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

class ImageFileParity : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Files, ImageFileParity, ::testing::ValuesIn(file_names()), [](const auto& instance) {
  std::string name = instance.param;
  for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ImageFileParity);

TEST_P(ImageFileParity, DecodesToPillowsPixelsOrIsRefused) {
  const auto path = image_fixtures() / "files" / GetParam();
  if (GetParam().starts_with("broken_")) {
    EXPECT_THROW(read_image(path), InputError);
    return;
  }
  const auto decoded = image_fixture("decoded.safetensors");
  // Of 16-bit grey Pillow keeps min(value, 255), and we the high byte, as of every other 16-bit PNG.
  const auto high_byte = decoded.find(GetParam() + ".high_byte");
  const at::Tensor expected = high_byte != decoded.end() ? high_byte->second : decoded.at(GetParam());
  const at::Tensor actual = read_image(path);
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_EQ((actual.to(at::kInt) - expected.to(at::kInt)).abs().max().item<int>(), 0);
}

TEST(ImageParityFixtures, EveryDecodedImageHasItsFile) {
  const auto decoded = image_fixture("decoded.safetensors");
  int images = 0;
  for (const auto& [key, pixels] : decoded) {
    if (key.ends_with(".high_byte") || key.ends_with(".transposed")) continue;
    EXPECT_TRUE(std::filesystem::exists(image_fixtures() / "files" / key)) << key;
    ++images;
  }
  EXPECT_EQ(images == 0, decoded.empty());
  std::printf("images/decoded: %d files, all exact (limit 0)\n", images);
}

}  // namespace
}  // namespace switchyard::io
