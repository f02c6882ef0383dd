#include "train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "dit/model_file.h"
#include "io/atomic_file.h"
#include "io/error.h"
#include "io/safetensors.h"

namespace switchyard::train {
namespace {

class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(::testing::TempDir()) /
            (std::string("trainer_test_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(root_);
    recipe_ = recipe("tiny");
    recipe_.images = 96;  // 12 steps
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  RunOptions options(const char* name) const {
    RunOptions options;
    options.directory = root_ / name;
    options.images_per_sheet = 0;
    options.steps_per_row = 5;
    return options;
  }
  static OnProgress stop_after(int64_t step) {
    return [step](const Progress& progress) { return progress.step < step; };
  }
  // Trains in "run". The loss of steps 81 to 100, over that of the first 20.
  double loss_left_after_100_steps(at::Device device = at::kCPU) {
    recipe_.images = 800;
    double first = 0, last = 0;
    auto in_rows_of_20 = options("run");
    in_rows_of_20.device = device;
    in_rows_of_20.steps_per_row = 20;
    train(recipe_, in_rows_of_20, [&](const Progress& p) {
      if (p.step == 20) first = p.loss;
      if (p.step == 100) last = p.loss;
      return true;
    });
    return last / first;
  }
  std::filesystem::path root_;
  Recipe recipe_;
};

TEST_F(TrainerTest, InterruptedRunEndsInTheUnbrokenRunsBytes) {
  ASSERT_TRUE(train(recipe_, options("unbroken")));
  for (const int64_t step : {1, 4, 5, 11}) EXPECT_FALSE(train(recipe_, options("broken"), stop_after(step)));
  ASSERT_TRUE(train(recipe_, options("broken")));
  const auto a = io::read_safetensors(root_ / "unbroken" / "checkpoint.safetensors");
  const auto b = io::read_safetensors(root_ / "broken" / "checkpoint.safetensors");
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(at::equal(tensor, b.tensors.at(name))) << name;
}

TEST_F(TrainerTest, LossFalls) { EXPECT_LT(loss_left_after_100_steps(), 0.8); }

TEST_F(TrainerTest, GoesOnOnTheCpuWithWhatAGpuLearned) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  EXPECT_LT(loss_left_after_100_steps(at::Device(at::kCUDA, 0)), 0.8);
  recipe_.images = 880;
  double last = 0;
  ASSERT_TRUE(train(recipe_, options("run"), [&](const Progress& p) { return last = p.loss, true; }));
  EXPECT_LT(last, 0.6);
}

TEST_F(TrainerTest, DrawsASheetOnAGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  auto on_gpu = options("run");
  on_gpu.device = at::Device(at::kCUDA, 0);
  on_gpu.images_per_sheet = recipe_.images;
  ASSERT_TRUE(train(recipe_, on_gpu));
  EXPECT_TRUE(std::filesystem::exists(root_ / "run" / "samples-96.png"));
}

TEST_F(TrainerTest, TrainsARouterOfTimestepsOverExpertsOfTokens) {
  recipe_.model = "tiny-switch-dit-moe";
  EXPECT_LT(loss_left_after_100_steps(), 0.9);
  auto before = dit::DiffusionTransformer(dit::preset(recipe_.model));
  dit::initialize(before, recipe_.seed);
  const auto file = dit::open_model(root_ / "run" / "model.safetensors");
  for (const char* name : {"routers.0.f_gate.1.weight", "routers.1.experts.w", "blocks.0.moe.gate.weight"})
    EXPECT_FALSE(at::allclose(file.tensors.at(name).to(at::kFloat), before.state_dict().at(name), 1e-2, 1e-3))
        << name;
}

// What balances without a loss is part of what resumes, and of the model.
TEST_F(TrainerTest, TrainsEveryTokenRouterAndResumesIt) {
  for (const char* model : {"tiny-loss-free", "tiny-expert-choice"}) {
    recipe_.model = model;
    const auto unbroken = options((std::string(model) + "-unbroken").c_str()),
               broken = options((std::string(model) + "-broken").c_str());
    ASSERT_TRUE(train(recipe_, unbroken));
    EXPECT_FALSE(train(recipe_, broken, stop_after(5)));
    ASSERT_TRUE(train(recipe_, broken));
    const auto a = io::read_safetensors(unbroken.directory / "model.safetensors").tensors;
    const auto b = io::read_safetensors(broken.directory / "model.safetensors").tensors;
    for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(name))) << model << ", " << name;
    if (std::string_view(model) != "tiny-loss-free") continue;
    const auto& bias = a.at("blocks.0.moe.gate.e_score_correction_bias");
    EXPECT_EQ(bias.scalar_type(), at::kFloat);
    EXPECT_GT(bias.abs().max().item<float>(), 0) << "12 steps moved it";
  }
}

TEST_F(TrainerTest, ModelFileSaysHowItWasTrained) {
  train(recipe_, options("run"));
  const auto file = dit::open_model(root_ / "run" / "model.safetensors");
  EXPECT_EQ(file.training["images_seen"], 96);
  EXPECT_EQ(file.config.class_names.size(), 10u);
  EXPECT_TRUE(file.settings.is_null());
}

TEST_F(TrainerTest, CheckpointOfAnotherRecipeIsRefusedByField) {
  train(recipe_, options("run"), stop_after(1));
  recipe_.learning_rate *= 2;
  try {
    train(recipe_, options("run"));
    FAIL() << "expected io::InputError";
  } catch (const io::InputError& error) {
    EXPECT_NE(std::string(error.what()).find("learning_rate"), std::string::npos) << error.what();
  }
}

TEST_F(TrainerTest, SecondProcessInTheDirectoryIsRefused) {
  train(recipe_, options("run"), [&](const Progress&) {
    EXPECT_THROW(train(recipe_, options("run")), io::OutputError);
    return false;
  });
}

TEST_F(TrainerTest, StoppingDuringASampleSheetLeavesNone) {
  auto options = this->options("run");
  options.images_per_sheet = 8;  // after the first step
  int calls = 0;
  EXPECT_FALSE(train(recipe_, options, [&](const Progress&) { return ++calls < 3; }));
  EXPECT_EQ(calls, 3);
  for (const auto& entry : std::filesystem::directory_iterator(root_ / "run"))
    EXPECT_NE(entry.path().extension(), ".png");
}

// The last one, too: a run whose steps are done is not finished before its sheet is drawn.
TEST_F(TrainerTest, ASheetThatAStopLeftOutIsDrawnWhenTheRunGoesOn) {
  const auto bytes_of = [](const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  recipe_.images = 16;
  auto unbroken = options("unbroken"), broken = options("broken");
  unbroken.images_per_sheet = broken.images_per_sheet = 8;
  ASSERT_TRUE(train(recipe_, unbroken));
  // While the first sheet is drawn, when it is drawn again, and just before the last one.
  for (const int most : {3, 2, 28}) {
    int calls = 0;
    EXPECT_FALSE(train(recipe_, broken, [&](const Progress&) { return ++calls < most; }));
  }
  ASSERT_TRUE(train(recipe_, broken));
  for (const char* sheet : {"samples-8.png", "samples-16.png"}) {
    EXPECT_NE(bytes_of(unbroken.directory / sheet), "");
    EXPECT_EQ(bytes_of(unbroken.directory / sheet), bytes_of(broken.directory / sheet)) << sheet;
  }
}

// One bit, anywhere: then the checkpoint before it counts, and without that nothing does.
TEST_F(TrainerTest, ADamagedCheckpointIsFoundAndTheOneBeforeItGoesOn) {
  ASSERT_TRUE(train(recipe_, options("unbroken")));
  auto broken = options("broken");
  broken.checkpoint_seconds = 0;
  EXPECT_FALSE(train(recipe_, broken, stop_after(7)));
  const auto last = broken.directory / "checkpoint.safetensors",
             before = broken.directory / "checkpoint-before.safetensors";
  ASSERT_TRUE(std::filesystem::exists(before));
  const auto flip = [](const std::filesystem::path& file, int64_t byte) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(byte);
    const auto old = static_cast<char>(stream.get());
    stream.seekp(byte);
    stream.put(static_cast<char>(old ^ 4));
  };
  std::string said;
  broken.say = [&](const std::string& line) { said += line; };
  const auto keep = root_ / "keep";
  std::filesystem::copy(broken.directory, keep);
  const auto size = static_cast<int64_t>(std::filesystem::file_size(last));
  for (int64_t i = 0; i < 40; ++i) {
    std::filesystem::remove_all(broken.directory);
    std::filesystem::copy(keep, broken.directory);
    flip(last, i < 20 ? i * 97 % 2000 : size - 1 - i * i * 1009 % size);
    said.clear();
    int64_t first = 0;
    EXPECT_FALSE(train(recipe_, broken, [&](const Progress& p) { return first = p.step, false; }));
    EXPECT_EQ(first, 7) << "from step 6 on";
    EXPECT_NE(said.find("Going on from the checkpoint before it"), std::string::npos) << said;
  }
  ASSERT_TRUE(train(recipe_, broken));
  const auto a = io::read_safetensors(root_ / "unbroken" / "checkpoint.safetensors");
  const auto b = io::read_safetensors(last);
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(at::equal(tensor, b.tensors.at(name))) << name;
  flip(last, size / 2);
  flip(before, size / 2);
  EXPECT_THROW(train(recipe_, broken), io::InputError);
  // The last one is damaged: the good one before it must not be overwritten by it.
  std::filesystem::remove_all(broken.directory);
  std::filesystem::copy(keep, broken.directory);
  flip(last, size / 2);
  EXPECT_FALSE(train(recipe_, broken, stop_after(1)));
  flip(last, size / 2);
  EXPECT_FALSE(train(recipe_, broken, stop_after(1)));
}

TEST_F(TrainerTest, ACheckpointOfAnOlderVersionHasNoChecksumAndGoesOn) {
  EXPECT_FALSE(train(recipe_, options("run"), stop_after(3)));
  const auto path = root_ / "run" / "checkpoint.safetensors";
  auto file = io::read_safetensors(path);
  for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
  file.metadata.erase("sha256");
  io::write_safetensors(path, file.tensors, file.metadata);
  EXPECT_TRUE(train(recipe_, options("run")));
}

TEST_F(TrainerTest, AStepThatNoRunReachesIsRefused) {
  EXPECT_FALSE(train(recipe_, options("run"), stop_after(3)));
  const auto path = root_ / "run" / "checkpoint.safetensors";
  auto file = io::read_safetensors(path);
  for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
  file.metadata.erase("sha256");
  for (const auto& [step, first] : {std::pair<int64_t, int64_t>{13, 0}, {-1, 0}, {3, 4}, {3, -1}}) {
    file.tensors["step"].fill_(step);
    file.tensors["first_step"].fill_(first);
    io::write_safetensors(path, file.tensors, file.metadata);
    EXPECT_THROW(train(recipe_, options("run")), io::InputError) << step << ", " << first;
  }
}

TEST_F(TrainerTest, WhatIsNotFiniteIsNoStartAndLeavesNoFolder) {
  ASSERT_TRUE(train(recipe_, options("first")));
  const auto model = root_ / "first" / "model.safetensors";
  auto file = io::read_safetensors(model);
  for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
  file.tensors.begin()->second.view({-1})[3].fill_(std::numeric_limits<double>::quiet_NaN());
  io::write_safetensors(model, file.tensors, file.metadata);
  recipe_.images = 192;
  auto from_model = options("deep/second");
  from_model.start_from = model;
  EXPECT_THROW(train(recipe_, from_model), io::InputError);
  EXPECT_FALSE(std::filesystem::exists(root_ / "deep"));
}

TEST_F(TrainerTest, TheLivingTemporaryOfAnotherProcessStays) {
  std::filesystem::create_directories(root_ / "run");
  io::AtomicFile other(root_ / "run" / "other");
  ASSERT_TRUE(train(recipe_, options("run")));
  EXPECT_NO_THROW(other.commit());
}

TEST_F(TrainerTest, StartsFromAModelsWeightsAndImages) {
  ASSERT_TRUE(train(recipe_, options("first")));
  const auto model = root_ / "first" / "model.safetensors";
  recipe_.images = 192;
  auto from_model = options("second");
  from_model.start_from = model;
  recipe_.learning_rate = 0;  // the weights stay those it starts from
  int64_t steps = 0;
  ASSERT_TRUE(train(recipe_, from_model, [&](const Progress&) { return ++steps, true; }));
  EXPECT_EQ(steps, 12);  // of 24: the first 96 images count
  const auto start = dit::open_model(model), end = dit::open_model(root_ / "second" / "model.safetensors");
  for (const auto& [name, tensor] : end.tensors)
    EXPECT_TRUE(at::equal(tensor, start.tensors.at(name))) << name;
  EXPECT_EQ(end.training["images_seen"], 192);
  EXPECT_EQ(end.training["started_from"]["images_seen"], 96);
}

TEST_F(TrainerTest, RunStartedFromAModelResumesInTheUnbrokenRunsBytes) {
  ASSERT_TRUE(train(recipe_, options("first")));
  recipe_.images = 192;
  for (const char* name : {"unbroken", "broken"}) {
    auto from_model = options(name);
    from_model.start_from = root_ / "first" / "model.safetensors";
    if (std::string_view(name) == "broken") {
      EXPECT_FALSE(train(recipe_, from_model, stop_after(15)));
    }
    ASSERT_TRUE(train(recipe_, from_model));
  }
  const auto a = io::read_safetensors(root_ / "unbroken" / "checkpoint.safetensors");
  const auto b = io::read_safetensors(root_ / "broken" / "checkpoint.safetensors");
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(at::equal(tensor, b.tensors.at(name))) << name;
}

TEST_F(TrainerTest, ModelToStartFromMustFitTheRecipe) {
  ASSERT_TRUE(train(recipe_, options("first")));
  auto from_model = options("second");
  from_model.start_from = root_ / "first" / "model.safetensors";
  recipe_.images = 8;  // fewer than it has seen
  EXPECT_THROW(train(recipe_, from_model), io::InputError);
  recipe_ = recipe("solids");
  EXPECT_THROW(train(recipe_, from_model), io::InputError);
}

TEST_F(TrainerTest, RunMayBeMadeLonger) {
  ASSERT_TRUE(train(recipe_, options("run")));
  recipe_.images += 16;
  int64_t steps = 0;
  train(recipe_, options("run"), [&](const Progress&) { return ++steps, true; });
  EXPECT_EQ(steps, 2);
}

}  // namespace
}  // namespace switchyard::train
