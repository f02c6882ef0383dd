#include "pipeline/routing_record.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "dit/transformer.h"
#include "io/npz.h"
#include "pipeline/session.h"

namespace switchyard::pipeline {
namespace {

Request request(int images, int steps, sampler::Solver solver = sampler::Solver::euler) {
  Request request;
  request.settings.solver.solver = solver;
  request.settings.grid.steps = steps;
  request.batch_size = 2;
  for (int i = 0; i < images; ++i)
    request.images.push_back({.label = i % 3, .seed = static_cast<uint64_t>(40 + i)});
  return request;
}

dit::DiffusionTransformer initialized(const char* preset) {
  dit::DiffusionTransformer model(dit::preset(preset));
  dit::initialize(model, 1);
  return model;
}

// A real model, drawn from with a solver of two evaluations per step, guidance in one half of the times, and
// batches of 2, 1.
class RecordedRun : public ::testing::Test {
 protected:
  RecordedRun() : request_(request(3, 3, sampler::Solver::heun)), session_(initialized("tiny")) {
    request_.settings.guidance = {.scale = 2, .t_low = 0.5, .t_high = 1};
  }

  dit::ModelConfig config() const { return session_.config(); }

  Request request_;
  Session session_;
};

TEST_F(RecordedRun, HoldsTheFirstEvaluationOfEachStep) {
  RoutingRecord record(config(), request_);
  const auto write = record.recorder();
  int later = 0;
  std::vector<StepRouting> events;
  ASSERT_TRUE(session_.draw(request_,
                       {.step_done = {},
                        .routing =
                            [&](const StepRouting& routing) {
                              events.push_back(routing);
                              later += routing.evaluation > 0;
                              return write(routing);
                            },
                        .image_finished = {}}));
  ASSERT_GT(later, 0);
  int compared = 0;
  for (const auto& event : events) {
    if (event.evaluation > 0) continue;
    const int half = event.conditional ? 0 : 1;
    const auto stored = [&](const at::Tensor& tensor) {  // [images, layers, T, k]
      return tensor.narrow(0, event.first_image, event.images).select(1, event.step).select(2, half);
    };
    const auto weights = event.tokens.gate_weights.transpose(0, 1);  // [images, layers, T, E]
    const auto chosen = stored(record.experts).to(at::kLong);
    EXPECT_TRUE(stored(record.gate_weights).equal(weights.gather(-1, chosen).to(at::kHalf)));
    EXPECT_TRUE(weights.scatter(-1, chosen, 0).eq(0).all().item<bool>()) << "no other was chosen";
    EXPECT_EQ(record.times[event.step].item<double>(), event.t);
    ++compared;
  }
  EXPECT_EQ(compared,
            2 * (3 + 2));  // batches; three steps with the class, two of them guided
}

TEST_F(RecordedRun, MarksWhereGuidanceWasOff) {
  RoutingRecord record(config(), request_);
  session_.draw(request_, {.step_done = {}, .routing = record.recorder(), .image_finished = {}});
  // Steps begin at t = 1, 2/3 and 1/3: the last lies outside the interval of guidance.
  const auto row = at::tensor({1, 1, 1, 1, 1, 0}).to(at::kBool).view({1, 3, 2});
  EXPECT_TRUE(record.evaluated.equal(row.expand({3, 3, 2})));
  const auto unseen = record.experts.select(1, 2).select(2, 1);
  EXPECT_TRUE((unseen == 255).all().item<bool>());
  EXPECT_FALSE((record.experts.select(3, 0) == 255).any().item<bool>());
}

TEST_F(RecordedRun, IsReadByNumPyNames) {
  RoutingRecord record(config(), request_);
  session_.draw(request_, {.step_done = {}, .routing = record.recorder(), .image_finished = {}});
  const auto path = std::filesystem::path(::testing::TempDir()) / "switchyard_routing_test.npz";
  save_routing(path, record);
  auto arrays = io::read_npz(path);
  std::filesystem::remove(path);
  EXPECT_EQ(arrays.size(), 7u);
  EXPECT_TRUE(arrays.at("experts").equal(record.experts));
  EXPECT_TRUE(arrays.at("gate_weights").equal(record.gate_weights));
  EXPECT_TRUE(arrays.at("evaluated").equal(record.evaluated));
  EXPECT_TRUE(arrays.at("times").equal(record.times));
  EXPECT_TRUE(arrays.at("labels").equal(at::tensor({0, 1, 2}, at::kLong)));
  EXPECT_TRUE(arrays.at("seeds").equal(at::tensor({40, 41, 42}, at::kLong)));
  EXPECT_EQ(arrays.at("num_experts").item<int64_t>(), config().num_experts);
}

struct Width {
  int64_t experts;
  at::ScalarType dtype;
  int64_t unseen;
};

TEST(RoutingRecord, KeepsBothRoutersOfACombinedModelApart) {
  Session session(initialized("tiny-switch-dit-moe"));
  const auto& c = session.config();
  const auto drawn = request(2, 3);
  RoutingRecord tokens(c, drawn), timesteps(c, drawn, Router::timesteps);
  ASSERT_EQ(tokens.router(), Router::tokens);
  Observer observer;
  observer.routing = [&](const StepRouting& routing) {
    tokens.add(routing);
    timesteps.add(routing);
    return true;
  };
  ASSERT_TRUE(session.draw(drawn, observer));
  EXPECT_EQ(tokens.experts.sizes().slice(2), (at::IntArrayRef{c.depth, 2, c.tokens(), c.experts_per_token}));
  EXPECT_EQ(timesteps.experts.sizes().slice(2), (at::IntArrayRef{c.depth, 2, 1, c.experts_per_timestep}));
  EXPECT_TRUE(tokens.evaluated.all().item<bool>() && timesteps.evaluated.all().item<bool>());
  EXPECT_LT(timesteps.experts.max().item<int64_t>(), c.timestep_experts);
  EXPECT_TRUE(at::equal(timesteps.experts[0], timesteps.experts[1])) << "the timestep alone decides";
}

TEST(RoutingRecord, UsesTheNarrowestIndex) {
  for (const auto& [experts, dtype, unseen] : {Width{255, at::kByte, 255}, Width{256, at::kShort, -1}}) {
    dit::ModelConfig config;
    config.num_experts = experts;
    const RoutingRecord record(config, request(1, 1));
    EXPECT_EQ(record.experts.scalar_type(), dtype) << experts;
    EXPECT_TRUE((record.experts == unseen).all().item<bool>()) << experts;
  }
}

TEST_F(RecordedRun, LeavesACancelledPassUnmarked) {
  RoutingRecord record(config(), request_);
  int asked = 0;
  Observer observer;
  observer.routing = record.recorder();
  observer.stop = [&] { return ++asked > 1; };  // in the middle of the first pass
  request_.images.resize(1);
  EXPECT_FALSE(session_.draw(request_, observer));
  EXPECT_FALSE(record.evaluated.any().item<bool>());
}

TEST(RoutingRecord, HasRoomForAllExpertsOfATokenWhereTheyChoose) {
  Session session(initialized("tiny-expert-choice"));
  const auto drawn = request(2, 2);
  RoutingRecord record(session.config(), drawn);
  ASSERT_TRUE(session.draw(drawn, {.step_done = {}, .routing = record.recorder(), .image_finished = {}}));
  const auto& c = session.config();
  ASSERT_EQ(record.experts.size(-1), c.num_experts);
  const auto chosen = record.experts.select(3, 0).to(at::kLong);  // [images, steps, layers, T, E]
  const int64_t capacity = c.experts_per_token * c.tokens() / c.num_experts;
  for (int64_t e = 0; e < c.num_experts; ++e)
    EXPECT_TRUE(chosen.eq(e).sum(at::IntArrayRef{3, 4}).eq(capacity).all().item<bool>()) << "expert " << e;
}

TEST(RoutingRecord, SaysHowMuchMemoryWouldBeNeeded) {
  try {
    RoutingRecord(dit::ModelConfig{}, request(1000, 1000));
    FAIL() << "expected std::invalid_argument";
  } catch (const std::invalid_argument& error) {
    // 1000 images * 1000 steps * 12 layers * 2 halves * 256 tokens * 2 choices * 3 bytes
    EXPECT_STREQ(
        error.what(),
        "recording the routing of 1000 images at 1000 steps would take 34 GiB, more than the limit of "
        "4 GiB: record fewer images or steps");
  }
}

}  // namespace
}  // namespace switchyard::pipeline
