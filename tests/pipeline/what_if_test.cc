#include "pipeline/what_if.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "painting_model.h"

namespace switchyard::pipeline {
namespace {

const std::vector<double> kPaint = {0, 1, 2, 3};

struct Case {
  const char* name;
  sampler::Solver solver;
  double guidance;
  int64_t step, patch;
  int64_t batch;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class WhatIfs : public ::testing::TestWithParam<Case> {
 protected:
  WhatIfs() : session_(painting_model(kPaint)) {
    request_.images = {{.label = 2, .seed = 9}, {.label = 1, .seed = 4}};
    request_.settings.solver.solver = GetParam().solver;
    request_.settings.guidance.scale = GetParam().guidance;
    request_.settings.grid.steps = 4;
    request_.batch_size = GetParam().batch;
  }

  // The clean image that the step predicts, where `expert` is forced on the patch everywhere and always.
  at::Tensor predicted(int64_t step, std::optional<int64_t> expert) {
    auto request = request_;
    if (expert) {
      RoutingEdit edit{
          .layers = {kPaintingLayer}, .experts = {*expert}, .action = RoutingEdit::Action::force};
      edit.region.assign(static_cast<size_t>(kTokens), false);
      edit.region[static_cast<size_t>(GetParam().patch)] = true;
      request.recipe.push_back(edit);
    }
    at::Tensor found;
    Observer observer;
    observer.previews = true;
    observer.step_done = [&](const StepDone& done) {
      if (done.step == step && done.first_image <= 1 && 1 < done.first_image + done.images)
        found = done.preview[1 - done.first_image].clone();
      return true;
    };
    EXPECT_TRUE(session_.draw(request, observer));
    return found;
  }

  Request request_;
  Session session_;
};

// Nothing of one patch reaches another here, nor does a step's choice change what the model sees of the patch but by the
// paint: at the first step, each expert's error is 0 to the image that it would paint, and grows with the difference of
// paint to it.
TEST_P(WhatIfs, FindTheExpertThatPaintsTheImage) {
  const auto& c = GetParam();
  if (c.step > 0) GTEST_SKIP() << "later steps start from what the earlier ones painted";
  const int64_t first = c.patch % kExperts;
  for (int64_t wanted = 0; wanted < kExperts; ++wanted) {
    const auto answer = what_if(session_, request_, {1, 0, kPaintingLayer, c.patch}, predicted(0, wanted));
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->experts.size(), static_cast<size_t>(kExperts));
    for (const auto& taken : answer->experts) {
      const bool same = taken.expert == wanted ||  // the router's two, in either order
                        ((wanted - first + kExperts) % kExperts < 2 && taken.chosen);
      EXPECT_EQ(taken.error.patch < 1e-12, same) << "expert " << taken.expert << " for " << wanted;
      EXPECT_NEAR(taken.error.image, taken.error.patch / kTokens, 1e-9);
    }
  }
}

TEST_P(WhatIfs, KeepTheRoutersOwnOrder) {
  const auto& c = GetParam();
  const auto answer = what_if(session_, request_, {1, c.step, kPaintingLayer, c.patch}, predicted(3, {}));
  ASSERT_TRUE(answer);
  const int64_t first = c.patch % kExperts;
  EXPECT_EQ(answer->experts[0].expert, first);
  EXPECT_EQ(answer->experts[1].expert, (first + 1) % kExperts);
  for (size_t i = 0; i < answer->experts.size(); ++i) {
    const auto& taken = answer->experts[i];
    EXPECT_EQ(taken.chosen, i < 2);
    EXPECT_NEAR(taken.weight, taken.probability, 1e-6);  // not renormalised
    if (!taken.chosen) continue;
    EXPECT_NEAR(taken.error.patch, answer->drawn.patch, 1e-9);
    EXPECT_NEAR(taken.error.image, answer->drawn.image, 1e-9);
  }
  const auto drawn = (predicted(c.step, {}) - predicted(3, {})).square();
  EXPECT_NEAR(answer->drawn.image, drawn.mean().item<double>(), 1e-9);
  EXPECT_NE(answer->experts[2].error.patch, answer->drawn.patch);
}

INSTANTIATE_TEST_SUITE_P(Cases, WhatIfs,
                         ::testing::Values(Case{"euler", sampler::Solver::euler, 1, 0, 6, 2},
                                           Case{"guided", sampler::Solver::euler, 2, 0, 0, 1},
                                           Case{"two_evaluations", sampler::Solver::heun, 1, 0, 15, 2},
                                           Case{"later", sampler::Solver::euler, 2, 2, 3, 2}),
                         [](const auto& test) { return test.param.name; });

TEST(WhatIf, ProceedsStopsAndRefuses) {
  Session session(painting_model(kPaint));
  Request request{.images = {{.label = 0, .seed = 1}}};
  request.settings.grid.steps = 3;
  const auto final = at::zeros({3, 16, 16});
  double last = 0;
  ASSERT_TRUE(what_if(session, request, {0, 1, 0, 0}, final, {}, [&](double done) {
    EXPECT_GT(done, last);
    last = done;
  }));
  EXPECT_EQ(last, 1);
  EXPECT_FALSE(what_if(session, request, {0, 1, 0, 0}, final, [] { return true; }));
  for (const WhatIfQuestion outside : {WhatIfQuestion{1, 0, 0, 0}, WhatIfQuestion{0, 3, 0, 0},
                                       WhatIfQuestion{0, 0, 3, 0}, WhatIfQuestion{0, 0, 0, 16}}) {
    EXPECT_THROW(what_if(session, request, outside, final), std::invalid_argument);
  }
}

}  // namespace
}  // namespace switchyard::pipeline
