// Every solver against the reference trajectories of diffusers, the official DiT diffusion and EDM, with an
// exact denoiser (parity_case.h). Each group prints its worst error beside its limit; the limits are those of
// the fixtures' README: 1e-9 in float64, and in float32 20 times what the float32 library itself is off, at
// least 1e-5.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "parity_case.h"
#include "sampler/ddpm.h"
#include "sampler/spacing.h"

namespace switchyard::sampler {
namespace {

constexpr double kLimit = 1e-9, kGridLimit = 1e-10;

// The worst errors of a group of cases, told when all have run.
class Worst : public testing::Environment {
 public:
  static void note(const std::string& group, double error, double limit) {
    auto& [cases, worst, share] = worst_[group];
    ++cases;
    worst = std::max(worst, error);
    share = std::max(share, error / limit);
  }
  void TearDown() override {
    for (const auto& [group, entry] : worst_) {
      std::printf("solvers/%s: %d cases, worst %.2g (%.2g of its limit)\n", group.c_str(), entry.cases,
                  entry.worst, entry.share);
    }
  }

 private:
  struct Entry {
    int cases = 0;
    double worst = 0, share = 0;
  };
  static inline std::map<std::string, Entry> worst_;
};

[[maybe_unused]] const auto* const kWorst = testing::AddGlobalTestEnvironment(new Worst);

class SolverParity : public testing::TestWithParam<std::string> {
 protected:
  // Runs the case from its recorded noise in the given dtype; the final state as recorded ones are.
  at::Tensor run(const ParityCase& c, at::ScalarType dtype);

  std::string group(const ParityCase& c) const {
    return c.json.contains("scheduler")
               ? c.name.substr(0, c.name.find('/')) + " " + c.json.at("scheduler").get<std::string>()
               : c.name.substr(0, c.name.find('/'));
  }
  double worst_state_ = 0;  // over the states after each step, where the case records just these
};

at::Tensor SolverParity::run(const ParityCase& c, at::ScalarType dtype) {
  Solution run = run_of(c);
  auto& p = run.problem;
  const bool levels_recorded = c.has("model_a"),
             official_dit = p.prediction == Prediction::noise_and_variance;
  const auto times = c.has("timesteps") ? c.numbers("timesteps") : std::vector<double>{};
  const auto a = levels_recorded ? c.numbers("model_a") : std::vector<double>{};
  const auto s = levels_recorded ? c.numbers("model_s") : std::vector<double>{};
  const double time_unit =
      p.schedule.is_flow() && levels_recorded ? 1000 : 1;  // diffusers counts a flow's time so

  std::size_t call = 0;
  p.denoiser = [&](const at::Tensor& x, double t) {
    if (!times.empty()) {
      EXPECT_LT(call, times.size()) << "one call too many";
      EXPECT_NEAR(t * time_unit, times.at(call), 1e-6) << "time told to the model, call " << call;
    }
    const Level at = levels_recorded ? Level{t, a.at(call), s.at(call)} : p.schedule.level(t);
    ++call;
    if (!official_dit) return c.mixture.answer(p.prediction, x, at);
    return at::cat({c.mixture.answer(Prediction::noise, x, at), at::tanh(0.7 * x + 0.1)}, 1);
  };
  std::int64_t draws = 0;
  p.draw = [&] { return c.recorded("noise")[draws++]; };

  const auto& states = c.recorded("x");
  const bool step_by_step = states.size(0) == static_cast<std::int64_t>(p.steps.size()) + 1;
  p.on_step = [&](const StepInfo& info) {
    if (step_by_step) {
      const double scale = run.start_scale == 1 ? 1 : p.steps[info.index].to.alpha;
      worst_state_ = std::max(worst_state_, relative_error(info.z / scale, states[info.index + 1]));
    }
    return true;
  };
  const auto end = run.solve(p, (states[0] * run.start_scale).to(dtype));
  EXPECT_TRUE(end.has_value());
  EXPECT_EQ(end->scalar_type(), dtype);
  if (!times.empty()) {
    EXPECT_EQ(call, times.size()) << "evaluations of the model";
  }
  // One draw per step; the reference also makes one that has no effect, in the last step.
  EXPECT_LE(draws, c.json.at("noise_draws").get<std::int64_t>());
  return *end / (run.start_scale == 1 ? 1 : p.steps.back().to.alpha);
}

TEST(SolverParityFixtures, FolderHoldsCases) {
  EXPECT_FALSE(parity_case_names().empty()) << "no cases.json in " << parity_folder();
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SolverParity);

INSTANTIATE_TEST_SUITE_P(
    Cases, SolverParity, testing::ValuesIn(parity_case_names()), [](const auto& instance) {
      std::string name =
          instance.param;  // only letters, digits and _ are allowed; the index keeps names apart
      for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
      return name + "_" + std::to_string(instance.index);
    });

TEST_P(SolverParity, StatesInFloat64) {
  const auto c = ParityCase::load(GetParam());
  const double error = relative_error(run(c, at::kDouble), c.recorded("x")[-1]);
  Worst::note(group(c) + ", float64", std::max(error, worst_state_), kLimit);
  EXPECT_LE(error, kLimit) << "final state";
  EXPECT_LE(worst_state_, kLimit) << "state after some step";
}

TEST_P(SolverParity, FinalStateInFloat32) {
  const auto c = ParityCase::load(GetParam());
  const double limit = std::max(20 * c.json.at("float32_final_rel_error").get<double>(), 1e-5);
  const double error = relative_error(run(c, at::kFloat), c.recorded("x")[-1]);
  Worst::note(group(c) + ", float32", error, limit);
  EXPECT_LE(error, limit);
}

TEST_P(SolverParity, NoiseLevels) {
  const auto c = ParityCase::load(GetParam());
  const Solution run = run_of(c);
  const auto& steps = run.problem.steps;
  if (c.has("sigmas") && !steps.empty()) {
    // Where a case repeats the levels between (two evaluations per step), those of the steps are among them.
    auto sigmas = c.numbers("sigmas");
    sigmas.erase(std::unique(sigmas.begin(), sigmas.end()), sigmas.end());
    ASSERT_EQ(sigmas.size(), steps.size() + 1);
    for (std::size_t i = 0; i < sigmas.size(); ++i) {
      const Level& level = i < steps.size() ? steps[i].from : steps.back().to;
      const double got = run.problem.schedule.is_flow() ? level.sigma : ratio(level);
      EXPECT_NEAR(got, sigmas[i], kGridLimit * sigmas.front()) << "sigma " << i;
    }
  }
  if (c.has("model_a") && c.numbers("model_a").size() == steps.size()) {
    const auto a = c.numbers("model_a"), s = c.numbers("model_s");
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_NEAR(steps[i].from.alpha, a[i], kGridLimit) << "alpha " << i;
      EXPECT_NEAR(steps[i].from.sigma, s[i], kGridLimit) << "sigma " << i;
    }
  }
}

// NAME.levelK.ANSWER at (a, s); v and velocity determine x_0 only where a^2 + s^2 = 1, or a + s = 1.
TEST(DenoiserParity, AnswersAndTheirMeanings) {
  const auto tensors = parity_tensors("denoiser.safetensors");
  double worst = 0;
  int levels = 0, conversions = 0;
  for (const auto& [name, a_s] : tensors) {
    const std::string suffix = "a_s";
    if (!name.ends_with("." + suffix)) continue;
    const auto prefix = name.substr(0, name.size() - suffix.size()), mixture = name.substr(0, name.find('.'));
    const auto recorded = [&](const char* answer) -> const at::Tensor& {
      return tensors.at(prefix + answer);
    };
    const auto& x = tensors.at(mixture + ".x");
    const Level at{0, a_s[0].item<double>(), a_s[1].item<double>()};
    const auto compare = [&](const at::Tensor& ours, const at::Tensor& expected) {
      worst = std::max(worst, relative_error(ours, expected));
    };
    const auto clean = parity_mixture(mixture).clean(x, at.alpha, at.sigma);
    const auto noise = noise_from(Prediction::clean_image, clean, x, at);
    compare(clean, recorded("sample"));
    compare(noise, recorded("epsilon"));
    compare(at.alpha * noise - at.sigma * clean, recorded("v_prediction"));
    compare(noise - clean, recorded("flow"));

    const bool preserves_variance = std::abs(at.alpha * at.alpha + at.sigma * at.sigma - 1) < 1e-12;
    const bool on_flow = std::abs(at.alpha + at.sigma - 1) < 1e-12;
    for (const auto& [answer, prediction, determined] : {std::tuple{"epsilon", Prediction::noise, true},
                                                         {"sample", Prediction::clean_image, true},
                                                         {"v_prediction", Prediction::v, preserves_variance},
                                                         {"flow", Prediction::velocity, on_flow}}) {
      if (!determined) continue;
      compare(clean_from(prediction, recorded(answer), x, at), recorded("sample"));
      compare(noise_from(prediction, recorded(answer), x, at), recorded("epsilon"));
      compare(output_from_clean(prediction, recorded("sample"), x, at), recorded(answer));
      ++conversions;
    }
    ++levels;
  }
  std::printf("solvers/denoiser: %d levels, %d conversions, worst %.2g (limit %.0e)\n", levels, conversions,
              worst, kLimit);
  EXPECT_GT(levels, 0);
  EXPECT_LE(worst, kLimit);
}

TEST(SpacingParity, KeepsTheSameTimesteps) {
  int compared = 0;
  const auto cases = parity_json("space_timesteps.json");
  for (const auto& [key, expected] : cases.items()) {
    const auto colon = key.find(':');
    const int total = std::stoi(key.substr(0, colon));
    const auto spec = key.substr(colon + 1);
    if (expected == "error") {
      EXPECT_THROW(space_timesteps(total, spec), std::invalid_argument) << key;
    } else {
      EXPECT_EQ(space_timesteps(total, spec), expected.get<std::vector<int>>()) << key;
    }
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

// NAME[.respacedN].ARRAY
TEST(ScheduleParity, BetasAndPosteriors) {
  const auto tensors = parity_tensors("schedules.safetensors");
  double worst = 0;
  int compared = 0;
  for (const auto& [key, recorded] : tensors) {
    if (recorded.scalar_type() != at::kDouble) continue;
    auto name = key.substr(0, key.find('.'));
    const auto array = key.substr(key.rfind('.') + 1);
    const auto prefix = key.substr(0, key.rfind('.') + 1);
    const Schedule schedule(name == "squaredcos_cap_v2"  ? "cosine"
                            : name == "scaled_linear_sd" ? "scaled_linear"
                                                         : name);
    std::vector<double> kept;
    if (tensors.contains(prefix + "timestep_map")) {
      const auto map = tensors.at(prefix + "timestep_map").to(at::kDouble);
      kept.assign(map.data_ptr<double>(), map.data_ptr<double>() + map.numel());
    } else {
      for (int t = 0; t < schedule.timesteps(); ++t) kept.push_back(t);
    }
    std::vector<double> ours;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto level = [&](std::size_t k) { return schedule.level(kept[k]); };
      const Posterior q = posterior({level(i), i == 0 ? schedule.clean() : level(i - 1)});
      const Posterior second = posterior({level(1), level(0)});
      ours.push_back(array == "alphas_cumprod"         ? level(i).alpha * level(i).alpha
                     : array == "betas"                ? q.beta
                     : array == "posterior_variance"   ? q.variance
                     : array == "posterior_mean_coef1" ? q.coef_clean
                     : array == "posterior_mean_coef2" ? q.coef_x
                     : array == "posterior_log_variance_clipped"
                         ? std::log(i == 0 ? second.variance : q.variance)
                         : throw std::runtime_error("array " + key));
    }
    const double error = relative_error(at::tensor(ours, at::kDouble), recorded);
    EXPECT_LE(error, 1e-10) << key;
    worst = std::max(worst, error);
    ++compared;
  }
  std::printf("solvers/schedules: %d arrays, worst %.2g (limit 1e-10)\n", compared, worst);
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace switchyard::sampler
