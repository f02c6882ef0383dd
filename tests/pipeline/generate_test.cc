#include "pipeline/generate.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

namespace switchyard::pipeline {
namespace {

// The embedded model with a quarter of the tokens and random weights, every layer of which matters.
dit::DiffusionTransformer random_model(at::ScalarType dtype = at::kFloat,
                                       kernels::Products products = kernels::Products::in_dtype) {
  const at::NoGradGuard no_grad;
  dit::DiffusionTransformer model(dit::preset("solids/8"), at::TensorOptions().dtype(dtype));
  const auto generator = at::detail::createCPUGenerator(5);
  for (auto& [name, tensor] : model.parameters()) tensor->normal_(0.0, 0.05, generator);
  model.pack(products);
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

TEST(GenerateInFewerBits, BatchSizeAndRecordingDoNotChangeAPixel) {
  for (const auto products : {kernels::Products::in_dtype, kernels::Products::int8}) {
    const bool int8 = products == kernels::Products::int8;
    if (!kernels::has_products(at::kBFloat16, products)) GTEST_SKIP() << "no such products on this processor";
    const auto model = random_model(at::kBFloat16, products);
    auto request = request_of(9);
    request.batch_size = 1;
    const auto one_by_one = pixels_of(model, request);
    EXPECT_FALSE(at::equal(one_by_one[0], one_by_one[1]));
    Observer watching;
    watching.routing = [](const LayerRouting&) { return true; };
    for (const int64_t batch : {3, 8}) {
      SCOPED_TRACE((int8 ? "int8, batch " : "bf16, batch ") + std::to_string(batch));
      request.batch_size = batch;
      expect_equal(one_by_one, pixels_of(model, request));
      expect_equal(one_by_one, pixels_of(model, request, watching));
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
  request = request_of(1);
  request.settings.weak_experts = 1;
  EXPECT_NE(message(request).find("weaker model"), std::string::npos) << message(request);
  request = request_of(1);
  request.settings.eta = 2;
  EXPECT_NE(message(request).find("eta is 2"), std::string::npos) << message(request);
  request = request_of(1, 0);
  EXPECT_NE(message(request).find("0"), std::string::npos) << message(request);
}

// A small model of a discrete schedule with random weights.
std::unique_ptr<dit::DiffusionTransformer> discrete_model(const char* schedule, const char* prediction) {
  const at::NoGradGuard no_grad;
  auto config = dit::preset("tiny");
  config.schedule = schedule;
  config.prediction = prediction;
  config.learn_sigma = config.prediction == "noise_and_variance";
  auto model = std::make_unique<dit::DiffusionTransformer>(config);
  const auto generator = at::detail::createCPUGenerator(5);
  for (auto& [name, tensor] : model->parameters()) tensor->normal_(0.0, 0.05, generator);
  model->pack();
  return model;
}

struct Objective {
  const char *name, *schedule, *prediction;
};

class GenerateDiscrete : public ::testing::TestWithParam<Objective> {
 protected:
  void SetUp() override { model_ = discrete_model(GetParam().schedule, GetParam().prediction); }
  std::unique_ptr<dit::DiffusionTransformer> model_;
};

INSTANTIATE_TEST_SUITE_P(Objectives, GenerateDiscrete,
                         ::testing::Values(Objective{"noise", "linear", "noise"},
                                           Objective{"learned", "cosine", "noise_and_variance"},
                                           Objective{"v", "scaled_linear", "v"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(GenerateDiscrete, BatchSizeDoesNotChangeAPixel) {
  for (const auto solver : {sampler::Solver::ddpm, sampler::Solver::ddim, sampler::Solver::dpmpp_2m_sde,
                            sampler::Solver::edm_heun}) {
    Request request;
    request.settings.solver = solver;
    request.settings.steps = 4;
    request.settings.eta = 0.5;
    request.settings.clip = 1;
    request.settings.churn.amount = 2;
    const auto classes = model_->config().num_classes;
    for (int64_t i = 0; i < 5; ++i)
      request.images.push_back({i % (classes + 1), static_cast<uint64_t>(7 + i)});
    request.batch_size = 1;
    const auto one_by_one = pixels_of(*model_, request);
    request.batch_size = 3;
    SCOPED_TRACE(std::string(to_string(solver)));
    expect_equal(one_by_one, pixels_of(*model_, request));
    EXPECT_FALSE(at::equal(one_by_one[0], one_by_one[1]));
  }
}

TEST_P(GenerateDiscrete, TellsTheModelTimesteps) {
  Request request;
  request.settings.solver = sampler::Solver::ddim;
  request.settings.steps = 4;
  request.images.push_back({0, 1});
  std::vector<double> times;
  Observer observer;
  observer.routing = [&](const LayerRouting& r) {
    if (r.layer == 0 && r.conditional) times.push_back(r.t);
    return true;
  };
  EXPECT_TRUE(generate(*model_, request, observer));
  EXPECT_EQ(times, (std::vector<double>{999, 666, 333, 0}));
}

TEST_F(Generate, SecondHalfOfAutoguidanceIsTheWeakerModel) {
  const at::NoGradGuard no_grad;
  auto strong = random_model();
  const auto weak = weaker_model(strong, 1);
  EXPECT_EQ(weak.config().experts_per_token, 1);
  auto request = request_of(2, 2);
  request.settings.weak_experts = 1;
  request.weaker = &weak;
  std::vector<std::pair<bool, int64_t>> seen;
  Observer observer;
  observer.routing = [&](const LayerRouting& r) {
    if (r.layer == 0 && r.step == 0) seen.emplace_back(r.conditional, r.experts.size(2));
    return true;
  };
  const auto guided = pixels_of(strong, request, observer);
  EXPECT_EQ(seen, (std::vector<std::pair<bool, int64_t>>{{true, 2}, {false, 1}}));
  request.batch_size = 1;
  expect_equal(guided, pixels_of(strong, request));

  // With the model itself as the weaker one, there is nothing to move away from.
  request.weaker = &strong;
  auto unguided = request_of(2, 2);
  unguided.settings.guidance.scale = 1;
  expect_equal(pixels_of(strong, request), pixels_of(strong, unguided));
  EXPECT_FALSE(at::equal(guided[0], pixels_of(strong, unguided)[0]));
}

// A file may hold other positions than the computed ones.
TEST_F(Generate, WeakerModelHasTheModelsPositions) {
  const at::NoGradGuard no_grad;
  auto strong = random_model();
  strong.state_dict().at("pos_embed").normal_(0.0, 1.0, at::detail::createCPUGenerator(9));
  const auto same = weaker_model(strong, strong.config().experts_per_token);
  auto request = request_of(1, 2), unguided = request;
  request.settings.weak_experts = strong.config().experts_per_token;
  request.weaker = &same;
  unguided.settings.guidance.scale = 1;
  expect_equal(pixels_of(strong, request), pixels_of(strong, unguided));
}

TEST_F(Generate, EverySolverOfRectifiedFlowsRuns) {
  for (const auto name : sampler::solver_names()) {
    const auto solver = sampler::solver_from_name(name);
    auto request = request_of(1, 2);
    request.settings.solver = solver;
    if (sampler::facts(solver).flow) {
      EXPECT_EQ(pixels_of(*model_, request).size(), 1u) << name;
    } else {
      EXPECT_THROW(generate(*model_, request, {}), std::invalid_argument) << name;
    }
  }
}

TEST(ToPixels, RoundsAndClamps) {
  const auto image = at::tensor({-2.0f, -1.0f, -0.9961f, 0.0f, 1.0f, 2.0f}).view({1, 1, 6});
  EXPECT_TRUE(at::equal(to_pixels(image).flatten(), at::tensor({0, 0, 0, 128, 255, 255}, at::kByte)));
}

}  // namespace
}  // namespace switchyard::pipeline
