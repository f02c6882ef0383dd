#include "pipeline/routing_record.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "dit/transformer.h"
#include "io/npz.h"

namespace switchyard::pipeline {
namespace {

Request request(int images, int steps, sampler::Solver solver = sampler::Solver::euler) {
  Request request;
  request.settings.solver = solver;
  request.settings.steps = steps;
  request.batch_size = 2;
  for (int i = 0; i < images; ++i)
    request.images.push_back({.label = i % 3, .seed = static_cast<uint64_t>(40 + i)});
  return request;
}

// A real model, drawn from with a solver of two evaluations per step, guidance in one half of the times, and
// batches of 2, 1.
class RecordedRun : public ::testing::Test {
 protected:
  RecordedRun() : request_(request(3, 3, sampler::Solver::heun)), model_(dit::preset("tiny")) {
    dit::initialize(model_, 1);
    request_.settings.guidance = {.scale = 2, .t_low = 0.5, .t_high = 1};
  }

  dit::ModelConfig config() const { return model_.config(); }

  Request request_;
  dit::DiffusionTransformer model_;
};

TEST_F(RecordedRun, HoldsTheFirstEvaluationOfEachStep) {
  RoutingRecord record(config(), request_);
  const auto write = record.recorder();
  int later = 0;
  std::vector<LayerRouting> events;
  ASSERT_TRUE(generate(model_, request_,
                       {.step_done = {},
                        .routing =
                            [&](const LayerRouting& routing) {
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
    const auto stored = [&](const at::Tensor& tensor) {
      return tensor.narrow(0, event.first_image, event.images)
          .select(1, event.step)
          .select(1, event.layer)
          .select(1, half);
    };
    EXPECT_TRUE(stored(record.experts).to(at::kLong).equal(event.experts));
    EXPECT_TRUE(stored(record.gate_weights).equal(event.gate_weights.to(at::kHalf)));
    EXPECT_EQ(record.times[event.step].item<double>(), event.t);
    ++compared;
  }
  EXPECT_EQ(compared,
            2 * config().depth * (3 + 2));  // batches; three steps with the class, two of them guided
}

TEST_F(RecordedRun, MarksWhereGuidanceWasOff) {
  RoutingRecord record(config(), request_);
  generate(model_, request_, {.step_done = {}, .routing = record.recorder(), .image_finished = {}});
  // Steps begin at t = 1, 2/3 and 1/3: the last lies outside the interval of guidance.
  const auto row = at::tensor({1, 1, 1, 1, 1, 0}).to(at::kBool).view({1, 3, 2});
  EXPECT_TRUE(record.evaluated.equal(row.expand({3, 3, 2})));
  const auto unseen = record.experts.select(1, 2).select(2, 1);
  EXPECT_TRUE((unseen == 255).all().item<bool>());
  EXPECT_FALSE((record.experts.select(3, 0) == 255).any().item<bool>());
}

TEST_F(RecordedRun, IsReadByNumPyNames) {
  RoutingRecord record(config(), request_);
  generate(model_, request_, {.step_done = {}, .routing = record.recorder(), .image_finished = {}});
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
  dit::DiffusionTransformer model(dit::preset("tiny-switch-dit-moe"));
  dit::initialize(model, 1);
  const auto& c = model.config();
  const auto drawn = request(2, 3);
  RoutingRecord tokens(c, drawn), timesteps(c, drawn, Router::timesteps);
  ASSERT_EQ(tokens.router(), Router::tokens);
  Observer observer;
  observer.routing = [&](const LayerRouting& routing) {
    tokens.add(routing);
    timesteps.add(routing);
    return true;
  };
  ASSERT_TRUE(generate(model, drawn, observer));
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

TEST(RoutingRecord, LeavesACancelledPassUnmarked) {
  dit::ModelConfig config;
  RoutingRecord record(config, request(1, 1));
  const auto experts = at::zeros({1, config.tokens(), 2}, at::kLong);
  record.recorder()({0, 1, 0, 0, 1.0, 0, true, experts, at::ones({1, config.tokens(), 2})});
  EXPECT_FALSE(record.evaluated.any().item<bool>());
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
