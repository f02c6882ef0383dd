// The recorded forward is the forward: on a GPU it is replayed, elsewhere it is called.
#include "dit/replayed_forward.h"

#include <gtest/gtest.h>

#include "model_on_device.h"

namespace switchyard::dit {
namespace {

// Calls with 2, 5 and again 2 images, each time with other images, times and classes.
void expect_equal_to_forward(const DiffusionTransformer& model, ReplayedForward& replayed) {
  const at::NoGradGuard no_grad;
  int64_t shift = 0;
  for (const int64_t images : {2, 2, 5, 2, 5}) {
    auto batch = on_device(random_batch(model.config(), images), model.device());
    batch.x = batch.x + shift;
    batch.y = (batch.y + shift).remainder(model.config().num_classes + 1);
    if (shift % 2 == 1) batch.t = batch.t.flip(0).contiguous();
    ++shift;
    EXPECT_TRUE(at::equal(replayed(batch.x, batch.t, batch.y), model.forward(batch.x, batch.t, batch.y)))
        << images << " images, call " << shift;
  }
}

TEST(ReplayedForward, IsTheForwardOnTheCpu) {
  for (const auto& config : every_family()) {
    auto model = random_model(config);
    model.pack();
    ReplayedForward replayed(model);
    expect_equal_to_forward(model, replayed);
    EXPECT_FALSE(replayed.replays(2)) << config.family;
  }
}

TEST(ReplayedForward, ResultsAreNotOverwrittenByTheNextCall) {
  const auto device = gpu_or_cpu();
  const auto model = random_model_on(device, graph_config(), at::kBFloat16);
  if (!device.is_cuda() && !kernels::has_bf16_products()) GTEST_SKIP() << "no GPU and no bf16 products";
  ReplayedForward replayed(model);
  const auto batch = on_device(random_batch(model.config(), 3), device);
  const auto first = replayed(batch.x, batch.t, batch.y), kept = first.clone();
  EXPECT_FALSE(at::equal(replayed(batch.x * 2, batch.t, batch.y), kept));
  EXPECT_TRUE(at::equal(first, kept));
}

TEST(ReplayedForward, RefusesWhatTheForwardRefuses) {
  const auto model = random_model_on(gpu_or_cpu(), graph_config(), at::kFloat);
  const auto batch = on_device(random_batch(model.config(), 2), model.device());
  ReplayedForward replayed(model);
  replayed(batch.x, batch.t, batch.y);
  EXPECT_ANY_THROW(replayed(batch.x.narrow(2, 0, 4), batch.t, batch.y));
}

TEST(ReplayedForward, ReplaysOnAGpuBitForBit) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  for (const bool dense : {false, true}) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(std::string(dense ? "dense " : "moe ") + toString(dtype));
      const auto model = random_model_on({at::kCUDA, 0}, graph_config(dense), dtype);
      ReplayedForward replayed(model);
      expect_equal_to_forward(model, replayed);
      // Token experts in fp32 sort on the host: they cannot be recorded.
      const bool recordable = dense || dtype == at::kBFloat16;
      EXPECT_EQ(replayed.replays(2), recordable);
      EXPECT_EQ(replayed.replays(5), recordable);
      EXPECT_FALSE(replayed.replays(3)) << "never asked for";
    }
  }
}

}  // namespace
}  // namespace switchyard::dit
