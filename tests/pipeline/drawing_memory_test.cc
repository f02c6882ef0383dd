// The estimate of drawing_memory.h against what a forward really takes.
#include "pipeline/drawing_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "../peak_memory.h"
#include "dit/transformer.h"

namespace switchyard::pipeline {
namespace {

class MemoryOfPreset : public ::testing::TestWithParam<const char*> {};

TEST_P(MemoryOfPreset, IsAtLeastWhatIsSaidAndNotMuchMore) {
  const at::NoGradGuard no_grad;
  dit::DiffusionTransformer model(dit::preset(GetParam()), at::TensorOptions());
  for (auto& [name, tensor] : model.parameters()) tensor->fill_(0.01);
  model.pack();
  const auto& config = model.config();
  constexpr int64_t kImages = 3;
  const auto z = at::zeros({kImages, config.in_channels, config.input_size, config.input_size});
  const auto labels = at::zeros({kImages}, at::kLong);
  const auto times = at::full({kImages}, config.integer_timesteps() ? 500.0 : 0.5);
  const auto peak = peak_of([&] { model.forward(z, times, labels); });
  Settings settings;
  settings.guidance.scale = 1;
  const auto said = bytes_of_drawing(config, settings, kImages, at::kFloat, /*watched=*/false);
  EXPECT_GE(peak, said);
  EXPECT_LE(peak, 4 * said);
}

INSTANTIATE_TEST_SUITE_P(All, MemoryOfPreset, ::testing::Values("solids/8", "tiny-expert-choice", "solids-switch/8"),
                         [](const auto& preset) {
                           std::string name = preset.param;
                           std::erase_if(name, [](char c) { return c == '-' || c == '/'; });
                           return name;
                         });

TEST(DrawingMemory, GuidanceTakesTwiceAsMuchAndAWeakerHalfComesAfterwards) {
  const auto config = dit::preset("solids/8");
  Settings settings;
  settings.guidance.scale = 1;
  const auto bytes = [&] { return bytes_of_drawing(config, settings, 2, at::kFloat, false); };
  const auto without = bytes();
  settings.guidance.scale = 2;
  EXPECT_EQ(bytes(), 2 * without);
  settings.weak_experts = 1;
  EXPECT_EQ(bytes(), without);
}

TEST(DrawingMemory, WatchingKeepsAWeightPerTokenExpertAndLayer) {
  const auto config = dit::preset("solids/8");
  Settings settings;
  settings.guidance.scale = 1;
  const auto bytes = [&](bool watched) { return bytes_of_drawing(config, settings, 3, at::kBFloat16, watched); };
  EXPECT_EQ(bytes(true) - bytes(false), 3 * config.tokens() * config.num_experts * config.depth * 4);
}

}  // namespace
}  // namespace switchyard::pipeline
