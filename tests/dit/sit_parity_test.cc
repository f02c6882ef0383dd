// Trajectories of the official code of SiT: its ODE by fixed steps, and its SDE with recorded noise.
//
// Tensors "ode_METHOD_STATES" [STATES, N, C, H, W], the first of which is the start; "sde_FORM_LAST" [STEPS, N, C, H, W],
// every state after that start, with "sde_FORM_LAST.noise" [STEPS - 1, N, C, H, W]. All with guidance.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "dit/guided_forward.h"
#include "parity_case.h"
#include "sampler/grid.h"
#include "sampler/solvers.h"

namespace switchyard::dit {
namespace {

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char letter : name) letter == '_' ? words.push_back("") : words.back().push_back(letter);
  return words;
}

class SitParityTest : public ParityTest {
 protected:
  // As the official forward_with_cfg: both halves go their way, the channels that are not guided apart.
  sampler::Problem problem(const sampler::SolverSettings& solver, const sampler::GridSettings& grid) {
    model_.emplace(c_.model(/*packed=*/true));
    sampler::Problem p{.schedule = sampler::Schedule(c_.config.schedule),
                       .prediction = sampler::prediction_from_name(c_.config.prediction)};
    p.steps = sampler::steps_of(p.schedule, solver.solver, grid);
    p.denoiser = [this](const at::Tensor& x, double t) {
      const auto out = guided_forward(*model_, x, at::full({x.size(0)}, t, at::kDouble), c_.recorded("cfg_y"),
                                      c_.json.at("cfg_scale"), officially_guided_channels(c_.config));
      return out.narrow(1, 0, c_.config.in_channels);
    };
    return p;
  }

  // The states after each step, against the rows of `expected` from `first` on.
  void expect_states(const std::string& name, const sampler::SolverSettings& solver, sampler::Problem p,
                     int64_t first) {
    const auto& expected = c_.recorded(name);
    double worst = 0;
    int64_t compared = 0;
    p.on_step = [&](const sampler::StepInfo& info) {
      worst = std::max(worst, relative_error(info.z, expected[first + info.index]));
      ++compared;
      return true;
    };
    ASSERT_TRUE(sampler::solve(solver, p, c_.recorded("cfg_x")).has_value());
    EXPECT_EQ(compared, expected.size(0) - first) << name;
    expect_within(name, worst, kStepLimit);
  }

  std::optional<DiffusionTransformer> model_;
};

INSTANTIATE_TEST_SUITE_P(All, SitParityTest, ::testing::ValuesIn(parity_cases_of({"sit"})), test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SitParityTest);  // a folder may lack the family

TEST_P(SitParityTest, Ode) {
  const at::NoGradGuard no_grad;
  int trajectories = 0;
  for (const auto& [name, states] : c_.io) {
    if (!name.starts_with("ode_")) continue;
    const sampler::SolverSettings solver{.solver = sampler::solver_from_name(words_of(name)[1])};
    EXPECT_TRUE(at::equal(states[0], c_.recorded("cfg_x"))) << name << " starts elsewhere";
    expect_states(name, solver, problem(solver, {.steps = static_cast<int>(states.size(0)) - 1}), 1);
    ++trajectories;
  }
  EXPECT_GT(trajectories, 0);
}

TEST_P(SitParityTest, Sde) {
  const at::NoGradGuard no_grad;
  int trajectories = 0;
  for (const auto& [name, states] : c_.io) {
    if (!name.starts_with("sde_") || name.ends_with(".noise")) continue;
    auto last = words_of(name)[2];
    last[0] = static_cast<char>(std::tolower(last[0]));
    const sampler::SolverSettings solver{
        .solver = sampler::Solver::euler_maruyama,
        .diffusion = {.form = sampler::diffusion_form_from_name(words_of(name)[1]),
                      .last = sampler::last_step_from_name(last)}};
    // Without a last step of its own, the last state is recorded twice.
    const bool apart = solver.diffusion.last != sampler::LastStep::none;
    const int steps = static_cast<int>(states.size(0)) - (apart ? 0 : 1);
    auto p = problem(solver, {.steps = steps, .last_step = apart ? 0.04 : 0});
    const auto& noise = c_.recorded(name + ".noise");
    int64_t drawn = 0;
    p.draw = [&] { return noise[drawn++]; };
    if (!apart) c_.io[name] = states.narrow(0, 0, steps);
    expect_states(name, solver, p, 0);
    EXPECT_EQ(drawn, noise.size(0)) << name;
    ++trajectories;
  }
  EXPECT_GT(trajectories, 0);
}

}  // namespace
}  // namespace switchyard::dit
