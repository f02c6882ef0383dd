// Resizing against Pillow, clean-fid and ADM's centre crop: the image fixtures, case by case as they lie in
// the files; a case's key names its image, filter and size.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "../io/image_fixtures.h"
#include "data/resize.h"

namespace switchyard::data {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

Filter filter_named(const std::string& name) {
  static const std::map<std::string, Filter> filters = {{"box", Filter::box},
                                                        {"bilinear", Filter::bilinear},
                                                        {"bicubic", Filter::bicubic},
                                                        {"lanczos", Filter::lanczos}};
  return filters.at(name);
}

double worst_difference(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  if (actual.sizes() != expected.sizes()) return 1e9;
  return (actual.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
}

// Calls `actual` for each case of a file with the input image and the key's further parts.
template <class Actual>
void compare(const std::string& file, double limit, const Actual& actual) {
  const auto cases = image_fixture(file);
  if (cases.empty()) GTEST_SKIP() << "these fixtures hold no " << file;
  const auto inputs = image_fixture("inputs.safetensors");
  double worst = 0;
  for (const auto& [key, expected] : cases) {
    const auto parts = split(key, '.');
    const double difference = worst_difference(actual(inputs.at(parts[0]), parts), expected);
    EXPECT_LE(difference, limit) << key;
    worst = std::max(worst, difference);
  }
  std::printf("images/%s: %zu cases, worst %.2g (limit %.2g)\n", file.c_str(), cases.size(), worst, limit);
}

TEST(ResizeParity, Uint8) {
  compare("pil_resize_uint8.safetensors", 0, [](const at::Tensor& image, const auto& parts) {
    const auto size = split(parts[2], 'x');
    return resized(image, std::stoll(size[0]), std::stoll(size[1]), filter_named(parts[1]));
  });
}

TEST(ResizeParity, Float) {
  compare("pil_resize_float32.safetensors", 1e-3, [](const at::Tensor& image, const auto& parts) {
    const auto size = split(parts[2], 'x');
    const int64_t height = std::stoll(size[0]), width = std::stoll(size[1]);
    const at::Tensor out = resized_float(image, height, width, filter_named(parts[1]));
    EXPECT_TRUE(at::equal(out, resized_float(image.to(at::kFloat), height, width, filter_named(parts[1]))));
    return out;
  });
}

TEST(ResizeParity, CleanFid) {
  compare("clean_fid_bicubic_299.safetensors", 1e-3, [](const at::Tensor& image, const auto& parts) {
    const at::Tensor out = resized_float(image, 299, 299, Filter::bicubic).clamp(0, 255);
    if (parts[1] == "top_left_16") return out.slice(0, 0, 16).slice(1, 0, 16);
    if (parts[1] == "bottom_right_16") return out.slice(0, 299 - 16).slice(1, 299 - 16);
    return out.slice(0, 0, at::nullopt, 13).slice(1, 0, at::nullopt, 13);
  });
}

TEST(ResizeParity, CenterCrop) {
  compare("center_crop.safetensors", 0, [](const at::Tensor& image, const auto& parts) {
    const at::Tensor out = center_crop(image, std::stoll(parts[1]));
    if (parts.size() < 3) return out;
    return ((out.to(at::kFloat) / 255 - 0.5) / 0.5).permute({2, 0, 1});
  });
}

}  // namespace
}  // namespace switchyard::data
