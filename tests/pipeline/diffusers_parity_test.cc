// diffusers' DiTPipeline, folder by folder: its transformer, a guided run of its scheduler, and the decoded image.
//
// A case is a folder below FIXTURES with io.json {"guidance", "steps"}, io.safetensors and the pipeline's folder
// "pipeline". Tensors: x, t, y and out of the transformer; ddim_z [N, C, H, W], the start, ddim_y [N], ddim_timesteps
// [steps], ddim_traj [steps, N, C, H, W], the states after each step, and image [N, 3, h, w], the last one decoded.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "dit/model_file.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "pipeline/settings.h"
#include "sampler/grid.h"
#include "sampler/guidance.h"
#include "vae/checkpoint.h"

namespace switchyard::pipeline {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> cases() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(
           given != nullptr && *given != 0 ? given : SWITCHYARD_FIXTURE_DIR, none)) {
    if (entry.path().filename() == "io.json" &&
        fs::is_directory(entry.path().parent_path() / "pipeline", none))
      found.push_back(entry.path().parent_path());
  }
  std::ranges::sort(found);
  return found;
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  return ((actual - expected).abs().max() / expected.abs().max()).item<double>();
}

class DiffusersParity : public ::testing::TestWithParam<fs::path> {
 protected:
  void SetUp() override {
    json_ = io::read_json(GetParam() / "io.json");
    io_ = io::read_safetensors(GetParam() / "io.safetensors").tensors;
    file_ = dit::open_model(GetParam() / "pipeline");
  }

  void expect_within(const char* what, double worst, double limit) const {
    std::printf("%s %s: worst %.2g (limit %.0e)\n", GetParam().filename().c_str(), what, worst, limit);
    EXPECT_LE(worst, limit) << what;
  }

  nlohmann::json json_;
  std::map<std::string, at::Tensor> io_;
  dit::ModelFile file_;
  const at::NoGradGuard no_grad_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DiffusersParity);  // another fixture folder may hold none
INSTANTIATE_TEST_SUITE_P(Folders, DiffusersParity, ::testing::ValuesIn(cases()), [](const auto& instance) {
  std::string name = instance.param.filename();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + "_" + std::to_string(instance.index);
});

TEST_P(DiffusersParity, Forward) {
  for (const bool packed : {false, true}) {
    auto model = dit::make_model(file_);
    if (packed) model.pack();
    const auto out = model.forward(io_.at("x"), io_.at("t"), io_.at("y"));
    expect_within(packed ? "forward (packed)" : "forward", relative_error(out, io_.at("out")), 2e-5);
  }
}

TEST_P(DiffusersParity, GuidedRunAndImage) {
  auto model = dit::make_model(file_);
  model.pack();
  auto settings = settings_for(file_.config, file_.settings);
  json_.at("steps").get_to(settings.grid.steps);
  json_.at("guidance").get_to(settings.guidance.scale);
  EXPECT_EQ(settings.solver.solver, sampler::Solver::ddim);
  auto problem = problem_of(file_.config, settings);
  const auto& timesteps = io_.at("ddim_timesteps");
  ASSERT_EQ(static_cast<int64_t>(problem.steps.size()), timesteps.numel());
  for (size_t i = 0; i < problem.steps.size(); ++i)
    EXPECT_EQ(problem.steps[i].from.t, timesteps[static_cast<int64_t>(i)].item<double>());

  const auto& y = io_.at("ddim_y");
  const auto none = at::full_like(y, file_.config.null_class());
  const auto answer = [&](const at::Tensor& x, double t, const at::Tensor& labels) {
    return model.forward(x, at::full({x.size(0)}, t, at::kFloat), labels);
  };
  const auto both = [&](const at::Tensor& x, double t) {
    const auto halves = answer(at::cat({x, x}), t, at::cat({y, none})).chunk(2);
    return std::pair(halves[0], halves[1]);
  };
  problem.denoiser = sampler::guide([&](const at::Tensor& x, double t) { return answer(x, t, y); }, both,
                                    settings.guidance, problem.schedule, problem.prediction);
  double worst = 0;
  problem.on_step = [&](const sampler::StepInfo& info) {
    worst = std::max(worst, relative_error(info.z, io_.at("ddim_traj")[info.index]));
    return true;
  };
  const auto latent = sampler::solve(settings.solver, problem, io_.at("ddim_z"));
  ASSERT_TRUE(latent);
  expect_within("guided run", worst, 2e-4);

  const auto decoder = vae::load_autoencoder(vae::open_autoencoder(file_.decoder));
  expect_within("decoded image", relative_error(*decoder.decode(*latent), io_.at("image")), 2e-4);
}

}  // namespace
}  // namespace switchyard::pipeline
