#include "pipeline/generate.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace switchyard::pipeline {
namespace {

// The embedded model's shape with random weights, every layer of which matters.
dit::DiffusionTransformer random_model() {
  const at::NoGradGuard no_grad;
  dit::DiffusionTransformer model(dit::preset("solids"));
  const auto generator = at::detail::createCPUGenerator(5);
  for (auto& [name, tensor] : model.parameters()) tensor->normal_(0.0, 0.05, generator);
  model.pack();
  return model;
}

Request request_of(int64_t images, int steps = 3) {
  Request request;
  request.settings.steps = steps;
  for (int64_t i = 0; i < images; ++i) request.images.push_back({i % 11, static_cast<uint64_t>(100 + i)});
  return request;
}

std::vector<at::Tensor> pixels_of(const dit::DiffusionTransformer& model, const Request& request,
                                  Observer observer = {}) {
  std::vector<at::Tensor> pixels;
  observer.image_finished = [&](const ImageFinished& done) {
    EXPECT_EQ(done.image, static_cast<int64_t>(pixels.size()));
    pixels.push_back(done.pixels);
    return true;
  };
  EXPECT_TRUE(generate(model, request, observer));
  return pixels;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << "image " << i;
}

class Generate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = new dit::DiffusionTransformer(random_model()); }
  static void TearDownTestSuite() { delete model_; }
  static inline dit::DiffusionTransformer* model_ = nullptr;
};

TEST_F(Generate, BatchSizeDoesNotChangeAPixel) {
  const std::pair<sampler::Solver, double> cases[] = {
      {sampler::Solver::euler, 2.0},  // with guidance
      {sampler::Solver::euler, 1.0},  // without: a batch of one is one row
      {sampler::Solver::heun, 2.0},
      {sampler::Solver::midpoint, 2.0}};
  for (const auto& [solver, scale] : cases) {
    auto request = request_of(9);
    request.settings.solver = solver;
    request.settings.guidance.scale = scale;
    request.batch_size = 1;
    const auto one_by_one = pixels_of(*model_, request);
    EXPECT_FALSE(at::equal(one_by_one[0], one_by_one[1]));
    for (const int64_t batch : {3, 8}) {
      SCOPED_TRACE(std::string(to_string(solver)) + ", batch " + std::to_string(batch));
      request.batch_size = batch;
      expect_equal(one_by_one, pixels_of(*model_, request));
    }
  }
}

TEST_F(Generate, RecordingDoesNotChangeAPixel) {
  const auto request = request_of(3);
  Observer watching;
  int64_t events = 0;
  watching.routing = [&](const LayerRouting&) { return ++events > 0; };
  watching.step_done = [](const StepDone&) { return true; };
  expect_equal(pixels_of(*model_, request), pixels_of(*model_, request, watching));
  EXPECT_EQ(events, 3 * 6 * 2);  // steps, layers, halves
}

TEST_F(Generate, ImageIsAFunctionOfClassAndSeed) {
  auto request = request_of(2);
  const auto before = pixels_of(*model_, request);
  std::swap(request.images[0], request.images[1]);
  const auto swapped = pixels_of(*model_, request);
  EXPECT_TRUE(at::equal(before[0], swapped[1]));
  request.images[0].seed += 1;
  EXPECT_FALSE(at::equal(swapped[0], pixels_of(*model_, request)[0]));
}

TEST_F(Generate, RoutingHasTheShapeOfTheBatchAndNamesItsHalf) {
  auto request = request_of(5, 1);
  request.batch_size = 3;
  std::vector<std::pair<int64_t, bool>> seen;
  Observer observer;
  observer.routing = [&](const LayerRouting& r) {
    EXPECT_EQ(r.experts.sizes(), (at::IntArrayRef{r.images, 64, 2}));
    EXPECT_EQ(r.gate_weights.sizes(), r.experts.sizes());
    if (r.layer == 0) seen.emplace_back(r.first_image, r.conditional);
    return true;
  };
  generate(*model_, request, observer);
  EXPECT_EQ(seen, (std::vector<std::pair<int64_t, bool>>{{0, true}, {0, false}, {3, true}, {3, false}}));
}

TEST_F(Generate, UnconditionalHalfRunsInsideTheGuidanceIntervalOnly) {
  auto request = request_of(1, 4);  // t = 1, .75, .5, .25
  request.settings.guidance = {.scale = 3.0, .t_low = 0.5, .t_high = 0.8};
  std::vector<double> unconditional;
  Observer observer;
  observer.routing = [&](const LayerRouting& r) {
    if (r.layer == 0 && !r.conditional) unconditional.push_back(r.t);
    return true;
  };
  generate(*model_, request, observer);
  EXPECT_EQ(unconditional, (std::vector<double>{0.75, 0.5}));
}

TEST_F(Generate, StepsTellWhereTheyAreAndShowTheCleanImage) {
  std::vector<int> steps;
  Observer observer;
  observer.step_done = [&](const StepDone& step) {
    EXPECT_EQ(step.preview.sizes(), (at::IntArrayRef{2, 3, 64, 64}));
    steps.push_back(step.step);
    return true;
  };
  EXPECT_TRUE(generate(*model_, request_of(2), observer));
  EXPECT_EQ(steps, (std::vector<int>{0, 1, 2}));
}

TEST_F(Generate, AnyObserverCancelsWithinOneStep) {
  const auto request = request_of(1, 50);
  int steps = 0, routings = 0;
  Observer by_step;
  by_step.step_done = [&](const StepDone&) { return ++steps < 2; };
  EXPECT_FALSE(generate(*model_, request, by_step));
  EXPECT_EQ(steps, 2);

  Observer by_routing;
  by_routing.routing = [&](const LayerRouting&) { return ++routings < 3; };
  EXPECT_FALSE(generate(*model_, request, by_routing));
  EXPECT_EQ(routings, 3);

  Observer by_image;
  by_image.image_finished = [](const ImageFinished&) { return false; };
  EXPECT_FALSE(generate(*model_, request_of(2, 1), by_image));
}

TEST_F(Generate, BadRequestsAreNamed) {
  const auto message = [&](const Request& request) -> std::string {
    try {
      generate(*model_, request, {});
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "no error";
  };
  auto request = request_of(1);
  request.images[0].label = 11;
  EXPECT_NE(message(request).find("class 11"), std::string::npos) << message(request);
  request = request_of(1);
  request.batch_size = 0;
  EXPECT_NE(message(request).find("batch size"), std::string::npos) << message(request);
  request = request_of(1, 0);
  EXPECT_NE(message(request).find("0"), std::string::npos) << message(request);
}

TEST(ToPixels, RoundsAndClamps) {
  const auto image = at::tensor({-2.0f, -1.0f, -0.9961f, 0.0f, 1.0f, 2.0f}).view({1, 1, 6});
  EXPECT_TRUE(at::equal(to_pixels(image).flatten(), at::tensor({0, 0, 0, 128, 255, 255}, at::kByte)));
}

}  // namespace
}  // namespace switchyard::pipeline
