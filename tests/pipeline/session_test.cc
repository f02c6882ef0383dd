#include "pipeline/session.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>

#include "../io/scratch.h"
#include "../vae/random_autoencoder.h"
#include "io/error.h"

namespace switchyard::pipeline {
namespace {

// The embedded model with a quarter of the tokens and random weights, every layer of which matters.
dit::DiffusionTransformer random_model_unpacked(at::ScalarType dtype = at::kFloat) {
  const at::NoGradGuard no_grad;
  dit::DiffusionTransformer model(dit::preset("solids/8"), at::TensorOptions().dtype(dtype));
  const auto generator = at::detail::createCPUGenerator(5);
  for (auto& [name, tensor] : model.parameters()) tensor->normal_(0.0, 0.05, generator);
  return model;
}

dit::DiffusionTransformer random_model(at::ScalarType dtype = at::kFloat,
                                       kernels::Products products = kernels::Products::in_dtype) {
  auto model = random_model_unpacked(dtype);
  model.pack({products});
  return model;
}

Request request_of(int64_t images, int steps = 3) {
  Request request;
  request.settings.grid.steps = steps;
  for (int64_t i = 0; i < images; ++i) request.images.push_back({i % 11, static_cast<uint64_t>(100 + i)});
  return request;
}

std::vector<at::Tensor> pixels_of(Session& session, const Request& request, Observer observer = {}) {
  std::vector<at::Tensor> pixels;
  observer.image_finished = [&](const ImageFinished& done) {
    EXPECT_EQ(done.image, static_cast<int64_t>(pixels.size()));
    pixels.push_back(done.pixels);
    return true;
  };
  EXPECT_TRUE(session.draw(request, observer));
  return pixels;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << "image " << i;
}

class Generate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { session_ = new Session(random_model()); }
  static void TearDownTestSuite() { delete session_; }
  static inline Session* session_ = nullptr;
};

TEST_F(Generate, BatchSizeDoesNotChangeAPixel) {
  const std::pair<sampler::Solver, double> cases[] = {
      {sampler::Solver::euler, 2.0},  // with guidance
      {sampler::Solver::euler, 1.0},  // without: a batch of one is one row
      {sampler::Solver::heun, 2.0},
      {sampler::Solver::midpoint, 2.0}};
  for (const auto& [solver, scale] : cases) {
    auto request = request_of(9);
    request.settings.solver.solver = solver;
    request.settings.guidance.scale = scale;
    request.batch_size = 1;
    const auto one_by_one = pixels_of(*session_, request);
    EXPECT_FALSE(at::equal(one_by_one[0], one_by_one[1]));
    for (const int64_t batch : {3, 8}) {
      SCOPED_TRACE(std::string(to_string(solver)) + ", batch " + std::to_string(batch));
      request.batch_size = batch;
      expect_equal(one_by_one, pixels_of(*session_, request));
    }
  }
}

TEST(GenerateInFewerBits, BatchSizeAndRecordingDoNotChangeAPixel) {
  for (const auto products : {kernels::Products::in_dtype, kernels::Products::int8}) {
    const bool int8 = products == kernels::Products::int8;
    if (!kernels::has_products(at::kBFloat16, products)) GTEST_SKIP() << "no such products on this processor";
    Session session(random_model(at::kBFloat16, products));
    auto request = request_of(9);
    request.batch_size = 1;
    const auto one_by_one = pixels_of(session, request);
    EXPECT_FALSE(at::equal(one_by_one[0], one_by_one[1]));
    Observer watching;
    watching.routing = [](const StepRouting&) { return true; };
    for (const int64_t batch : {3, 8}) {
      SCOPED_TRACE((int8 ? "int8, batch " : "bf16, batch ") + std::to_string(batch));
      request.batch_size = batch;
      expect_equal(one_by_one, pixels_of(session, request));
      expect_equal(one_by_one, pixels_of(session, request, watching));
    }
  }
}

TEST_F(Generate, RecordingDoesNotChangeAPixel) {
  const auto request = request_of(3);
  Observer watching;
  int64_t events = 0;
  watching.routing = [&](const StepRouting&) { return ++events > 0; };
  watching.step_done = [](const StepDone&) { return true; };
  watching.previews = watching.probabilities = true;
  expect_equal(pixels_of(*session_, request), pixels_of(*session_, request, watching));
  EXPECT_EQ(events, 3 * 2);  // steps, halves
}

TEST_F(Generate, ImageIsAFunctionOfClassAndSeed) {
  auto request = request_of(2);
  const auto before = pixels_of(*session_, request);
  std::swap(request.images[0], request.images[1]);
  const auto swapped = pixels_of(*session_, request);
  EXPECT_TRUE(at::equal(before[0], swapped[1]));
  request.images[0].seed += 1;
  EXPECT_FALSE(at::equal(swapped[0], pixels_of(*session_, request)[0]));
}

TEST_F(Generate, RoutingHasTheShapeOfTheBatchAndNamesItsHalf) {
  auto request = request_of(5, 1);
  request.batch_size = 3;
  std::vector<std::pair<int64_t, bool>> seen;
  Observer observer;
  observer.routing = [&](const StepRouting& r) {
    EXPECT_EQ(r.tokens.gate_weights.sizes(), (at::IntArrayRef{6, r.images, 64, 8}));
    EXPECT_TRUE((r.tokens.gate_weights > 0).sum(-1).eq(2).all().item<bool>());
    EXPECT_FALSE(r.tokens.probabilities.defined() || r.timesteps.gate_weights.defined());
    seen.emplace_back(r.first_image, r.conditional);
    return true;
  };
  session_->draw(request, observer);
  EXPECT_EQ(seen, (std::vector<std::pair<int64_t, bool>>{{0, true}, {0, false}, {3, true}, {3, false}}));
}

TEST_F(Generate, UnconditionalHalfRunsInsideTheGuidanceIntervalOnly) {
  auto request = request_of(1, 4);  // t = 1, .75, .5, .25
  request.settings.guidance = {.scale = 3.0, .t_low = 0.5, .t_high = 0.8};
  std::vector<double> unconditional;
  Observer observer;
  observer.routing = [&](const StepRouting& r) {
    if (!r.conditional) unconditional.push_back(r.t);
    return true;
  };
  session_->draw(request, observer);
  EXPECT_EQ(unconditional, (std::vector<double>{0.75, 0.5}));
}

TEST_F(Generate, StepsTellWhereTheyAreAndShowTheCleanImage) {
  std::vector<int> steps;
  Observer observer;
  observer.previews = true;
  observer.step_done = [&](const StepDone& step) {
    EXPECT_EQ(step.preview.sizes(), (at::IntArrayRef{2, 3, 64, 64}));
    steps.push_back(step.step);
    return true;
  };
  EXPECT_TRUE(session_->draw(request_of(2), observer));
  EXPECT_EQ(steps, (std::vector<int>{0, 1, 2}));
}

TEST_F(Generate, PreviewsAreMadeOnRequestAlone) {
  Observer observer;
  observer.step_done = [&](const StepDone& step) { return !step.preview.defined(); };
  EXPECT_TRUE(session_->draw(request_of(1), observer));
}

TEST_F(Generate, StopIsLookedAtInEveryBlock) {
  std::atomic<int> asked = 0;
  Observer observer;
  observer.stop = [&] { return ++asked > 4; };
  auto request = request_of(1, 50);
  request.settings.guidance.scale = 1;  // one row: one thread asks
  EXPECT_FALSE(session_->draw(request, observer));
  EXPECT_EQ(asked, 5);
}

TEST_F(Generate, AnyObserverCancelsWithinOneStep) {
  const auto request = request_of(1, 50);
  int steps = 0, routings = 0;
  Observer by_step;
  by_step.step_done = [&](const StepDone&) { return ++steps < 2; };
  EXPECT_FALSE(session_->draw(request, by_step));
  EXPECT_EQ(steps, 2);

  Observer by_routing;
  by_routing.routing = [&](const StepRouting&) { return ++routings < 3; };
  EXPECT_FALSE(session_->draw(request, by_routing));
  EXPECT_EQ(routings, 3);

  Observer by_image;
  by_image.image_finished = [](const ImageFinished&) { return false; };
  EXPECT_FALSE(session_->draw(request_of(2, 1), by_image));
}

TEST_F(Generate, BadRequestsAreNamed) {
  const auto message = [&](const Request& request) -> std::string {
    try {
      session_->draw(request, {});
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
  request.settings.weak_experts = 3;
  EXPECT_NE(message(request).find("weak_experts is 3, expected 0 .. 2"), std::string::npos) << message(request);
  request = request_of(1);
  request.settings.solver.eta = 2;
  EXPECT_NE(message(request).find("eta is 2"), std::string::npos) << message(request);
  request = request_of(1, 0);
  EXPECT_NE(message(request).find("0"), std::string::npos) << message(request);
}

// A small model of a discrete schedule with random weights.
std::unique_ptr<Session> discrete_session(const char* schedule, const char* prediction) {
  const at::NoGradGuard no_grad;
  auto config = dit::preset("tiny");
  config.schedule = schedule;
  config.prediction = prediction;
  config.learn_sigma = config.prediction == "noise_and_variance";
  dit::DiffusionTransformer model(config);
  const auto generator = at::detail::createCPUGenerator(5);
  for (auto& [name, tensor] : model.parameters()) tensor->normal_(0.0, 0.05, generator);
  return std::make_unique<Session>(std::move(model));
}

struct Objective {
  const char *name, *schedule, *prediction;
};

class GenerateDiscrete : public ::testing::TestWithParam<Objective> {
 protected:
  void SetUp() override { session_ = discrete_session(GetParam().schedule, GetParam().prediction); }
  std::unique_ptr<Session> session_;
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
    request.settings.solver.solver = solver;
    request.settings.grid.steps = 4;
    request.settings.solver.eta = 0.5;
    request.settings.clip = 1;
    request.settings.solver.churn.amount = 2;
    const auto classes = session_->config().num_classes;
    for (int64_t i = 0; i < 5; ++i)
      request.images.push_back({i % (classes + 1), static_cast<uint64_t>(7 + i)});
    request.batch_size = 1;
    const auto one_by_one = pixels_of(*session_, request);
    request.batch_size = 3;
    SCOPED_TRACE(std::string(to_string(solver)));
    expect_equal(one_by_one, pixels_of(*session_, request));
    EXPECT_FALSE(at::equal(one_by_one[0], one_by_one[1]));
  }
}

TEST_P(GenerateDiscrete, TellsTheModelTimesteps) {
  Request request;
  request.settings.solver.solver = sampler::Solver::ddim;
  request.settings.grid.steps = 4;
  request.images.push_back({0, 1});
  std::vector<double> times;
  Observer observer;
  observer.routing = [&](const StepRouting& r) {
    if (r.conditional) times.push_back(r.t);
    return true;
  };
  EXPECT_TRUE(session_->draw(request, observer));
  EXPECT_EQ(times, (std::vector<double>{999, 666, 333, 0}));
}

TEST_F(Generate, SecondHalfOfAutoguidanceHasFewerExperts) {
  auto request = request_of(2, 2);
  request.settings.weak_experts = 1;
  std::vector<std::pair<bool, int64_t>> seen;
  Observer observer;
  observer.routing = [&](const StepRouting& r) {
    if (r.step == 0) seen.emplace_back(r.conditional, (r.tokens.gate_weights[0][0][0] > 0).sum().item<int64_t>());
    return true;
  };
  const auto guided = pixels_of(*session_, request, observer);
  EXPECT_EQ(seen, (std::vector<std::pair<bool, int64_t>>{{true, 2}, {false, 1}}));
  request.batch_size = 1;
  expect_equal(guided, pixels_of(*session_, request));

  // With as many experts in the other half, there is nothing to move away from.
  request.settings.weak_experts = session_->config().experts_per_token;
  auto unguided = request_of(2, 2);
  unguided.settings.guidance.scale = 1;
  expect_equal(pixels_of(*session_, request), pixels_of(*session_, unguided));
  EXPECT_FALSE(at::equal(guided[0], pixels_of(*session_, unguided)[0]));
}

// A black picture with exit 0 is the worst that can happen to someone who draws 50,000 over night.
// Classes that the table has no row for "no class" beside; one such class is none.
TEST(GenerateWithoutNullClass, EveryFamilyDrawsUnguided) {
  for (const char* family : {"solids/8", "solids-switch/8", "tiny-switch-dit-moe", "tiny-expert-choice"}) {
    for (const int64_t classes : {1, 10}) {
      SCOPED_TRACE(c10::str(family, ", ", classes));
      auto config = dit::preset(family);
      config.num_classes = classes;
      config.has_null_class = false;
      const at::NoGradGuard no_grad;
      dit::DiffusionTransformer model(config);
      const auto generator = at::detail::createCPUGenerator(5);
      for (auto& [name, tensor] : model.parameters()) tensor->normal_(0.0, 0.05, generator);
      Session session(std::move(model));
      Request request{.images = {{0, 1}, {classes - 1, 2}}, .settings = session.settings()};
      EXPECT_EQ(request.settings.guidance.scale, 1);
      EXPECT_EQ(session.fast_settings().guidance.scale, 1);
      request.settings.grid.steps = 3;
      int64_t watched = 0;
      const auto pixels = pixels_of(session, request, {.routing = [&](const StepRouting& routing) {
                                      EXPECT_TRUE(routing.conditional);
                                      return ++watched > 0;
                                    }});
      EXPECT_FALSE(at::equal(pixels[0], pixels[1]));
      EXPECT_GE(watched, 3);
      expect_equal(pixels, pixels_of(session, request));
      EXPECT_EQ(session.doubt(), std::nullopt);

      const auto message = [&] {
        return io::message_of<std::invalid_argument>([&] { session.check(request); });
      };
      const bool tokens = config.routes_tokens();
      request.settings.guidance.scale = 2;
      EXPECT_TRUE(io::contains(message(), "no null class to guide away from; guidance must be 1"))
          << message();
      EXPECT_EQ(message().ends_with("autoguidance"), tokens) << message();
      if (tokens && config.token_router == "top_k") {
        request.settings.weak_experts = 1;
        EXPECT_FALSE(at::equal(pixels_of(session, request)[0], pixels[0]));
      }
      request.settings = session.settings();
      request.images = {{classes, 1}};
      EXPECT_TRUE(io::contains(message(), c10::str("class ", classes, " is not in 0 .. ", classes - 1)))
          << message();
    }
  }
}

TEST(NotFinite, IsAnErrorThatNamesStepBlockAndHalf) {
  struct Case {
    const char *tensor, *where, *half;
  };
  for (const auto& [tensor, where, half] : {Case{"blocks.3.attn.proj.weight", "block 3", "with the class"},
                                            Case{"x_embedder.proj.weight", "the patch embedding", "with the class"},
                                            Case{"final_layer.linear.weight", "the output layer", "with the class"},
                                            Case{"y_embedder.embedding_table.weight", "block 0", "without the class"}}) {
    auto model = random_model_unpacked();
    auto weight = model.state_dict().at(tensor);
    weight[-1].flatten()[0].fill_(NAN);  // of the label table: the null class
    Session session(std::move(model));
    Observer observer;
    observer.image_finished = [](const ImageFinished&) -> bool { throw std::logic_error("a picture was made"); };
    try {
      session.draw(request_of(2), observer);
      FAIL() << tensor << ": expected io::InputError";
    } catch (const io::InputError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("step 1 of 3"), std::string::npos) << text;
      EXPECT_NE(text.find(where), std::string::npos) << text;
      EXPECT_NE(text.find(half), std::string::npos) << text;
    }
  }
}

TEST_F(Generate, EverySolverOfRectifiedFlowsRuns) {
  for (const auto name : sampler::solver_names()) {
    const auto solver = sampler::solver_from_name(name);
    auto request = request_of(1, 2);
    request.settings.solver.solver = solver;
    if (sampler::facts(solver).flow) {
      EXPECT_EQ(pixels_of(*session_, request).size(), 1u) << name;
    } else {
      EXPECT_THROW(session_->draw(request, {}), std::invalid_argument) << name;
    }
  }
}

TEST(GenerateLatents, WhatIsDoneRisesToOne) {
  const at::NoGradGuard no_grad;
  auto config = dit::preset("tiny");
  config.in_channels = vae::small_config().latent_channels;
  dit::DiffusionTransformer model(config, at::kFloat);
  dit::initialize(model, 1);
  Session session(std::move(model), vae::random_autoencoder(vae::small_config()));
  auto request = request_of(3, 2);
  request.batch_size = 2;
  std::vector<double> done{0};
  int decodings = 0;
  const auto rises = [&](double now) {
    EXPECT_GT(now, done.back());
    done.push_back(now);
    return true;
  };
  Observer observer;
  observer.step_done = [&](const StepDone& step) { return rises(step.done); };
  observer.decoding = [&](const Decoding& decoding) { return ++decodings, rises(decoding.done); };
  const auto pixels = pixels_of(session, request, observer);
  EXPECT_GE(decodings, 3);
  EXPECT_NEAR(done.back(), 1, 1e-9);
  EXPECT_EQ(pixels.back().sizes(), (at::IntArrayRef{64, 64, 3}));  // 16 of the latent, four times
}

// Number by number, as the official samplers write it.
TEST(ToPixels, TruncatesAsOfficialSamplersDo) {
  const auto image = at::randn({3, 31, 33}, at::detail::createCPUGenerator(1));
  const auto pixels = to_pixels(image, Quantization::truncate);
  int differ = 0;
  for (int64_t i = 0; i < 31 * 33; ++i) {
    const float level = 127.5f * image[1].flatten()[i].item<float>() + 128.0f;
    const auto expected = static_cast<int>(std::clamp(level, 0.0f, 255.0f));
    differ += pixels.select(2, 1).flatten()[i].item<int>() != expected;
  }
  EXPECT_EQ(differ, 0);
}

TEST(ToPixels, RoundsAndClamps) {
  const auto image = at::tensor({-2.0f, -1.0f, -0.9961f, 0.0f, 1.0f, 2.0f}).view({1, 1, 6});
  EXPECT_TRUE(at::equal(to_pixels(image).flatten(), at::tensor({0, 0, 0, 128, 255, 255}, at::kByte)));
}

}  // namespace
}  // namespace switchyard::pipeline
