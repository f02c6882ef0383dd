// The transformer: its tensors by name, its initial state, and that an image depends on nothing but itself.
#include "dit/transformer.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <set>

#include "../io/scratch.h"
#include "random_model.h"

namespace switchyard::dit {
namespace {

// Every block router with every feed-forward.
class Family : public ::testing::TestWithParam<ModelConfig> {};
INSTANTIATE_TEST_SUITE_P(Each, Family, ::testing::ValuesIn(every_family()), [](const auto& instance) {
  std::string name = instance.param.family + "_" + std::to_string(instance.index);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_P(Family, ParametersAreWhatIsCounted) {
  for (const bool qk_norm : {false, true}) {
    auto config = GetParam();
    config.qk_norm = qk_norm;
    config.learn_sigma = qk_norm;
    DiffusionTransformer model(config);
    int64_t parameters = 0, state = 0;
    std::set<std::string> names;
    for (const auto& [name, tensor] : model.parameters()) {
      EXPECT_TRUE(names.insert(name).second) << name;
      parameters += tensor->numel();
    }
    for (const auto& [name, tensor] : model.state_dict()) state += tensor.numel();
    EXPECT_EQ(parameters, count_parameters(config).total);
    EXPECT_EQ(state, parameters + config.tokens() * config.hidden_size)
        << "state_dict() adds pos_embed alone";
  }
}

// As diffusers has them: where all are equal, nothing changes, and each of them matters.
TEST(Transformer, BlocksMayHaveTheirOwnEmbedders) {
  auto config = small_dense_config();
  config.frequency_shift = 1;
  config.norm_eps = 1e-5;
  auto shared = random_model(config);
  config.block_embedders = true;
  auto own = random_model(config);
  EXPECT_EQ(count_parameters(config).total - count_parameters(shared.config()).total,
            (config.depth - 1) * (257 * config.hidden_size + config.hidden_size * (config.hidden_size + 1) +
                                  config.labels() * config.hidden_size));
  auto state = shared.state_dict();
  for (auto& [name, tensor] : own.state_dict()) {
    const auto at = name.find("_embedder.") == std::string::npos || name.starts_with("x_")
                        ? 0
                        : name.find("_embedder.") - 1;
    tensor.copy_(state.at(name.substr(at)));
  }
  const auto batch = random_batch(config, 3);
  const at::NoGradGuard no_grad;
  const auto expected = shared.forward(batch.x, batch.t, batch.y);
  EXPECT_TRUE(at::equal(own.forward(batch.x, batch.t, batch.y), expected));
  for (auto& [name, tensor] : own.state_dict()) {
    if (name.find("_embedder.") == std::string::npos) continue;
    const auto kept = tensor.clone();
    tensor.add_(random(tensor.sizes(), 9));
    EXPECT_FALSE(at::equal(own.forward(batch.x, batch.t, batch.y), expected)) << name;
    tensor.copy_(kept);
  }
  own.pack();
  EXPECT_LE((own.forward(batch.x, batch.t, batch.y) - expected).abs().max().item<float>(),
            1e-5F * expected.abs().max().item<float>());
  for (const auto& other : {small_config(), small_dense_config()}) {  // the two fields matter
    for (const bool eps : {true, false}) {
      auto changed = other;
      eps ? void(changed.norm_eps = 0.1) : void(changed.frequency_shift = 1);
      const auto t = batch.t / (other.schedule == "linear" ? 1 : 1000);
      EXPECT_FALSE(at::equal(random_model(changed).forward(batch.x, t, batch.y),
                             random_model(other).forward(batch.x, t, batch.y)));
    }
  }
}

TEST(Transformer, ActivatedParametersLackTheOtherExperts) {
  auto config = small_config();
  const int64_t expert = 3 * config.hidden_size * config.expert_hidden;
  const auto count = count_parameters(config);
  EXPECT_EQ(count.total - count.activated,
            config.depth * (config.num_experts - config.experts_per_token) * expert);
}

TEST_P(Family, WritingIntoTheStateChangesTheModel) {
  auto model = random_model(GetParam());
  const auto batch = random_batch(model.config(), 8);
  const at::NoGradGuard no_grad;
  const auto before = model.forward(batch.x, batch.t, batch.y);
  for (auto& [name, tensor] : model.state_dict()) {
    const auto kept = tensor.clone();
    if (name.find("experts.") != std::string::npos || name.find("qkv") != std::string::npos ||
        name.find("f_gate") != std::string::npos)
      tensor.mul_(2);
    else
      tensor.add_(0.25);
    if (name.ends_with("embedding_table.weight")) tensor.add_(random(tensor.sizes(), 9));
    EXPECT_FALSE(at::equal(model.forward(batch.x, batch.t, batch.y), before)) << name;
    tensor.copy_(kept);
  }
  EXPECT_TRUE(at::equal(model.forward(batch.x, batch.t, batch.y), before));
}

TEST_P(Family, PackedFormGivesTheSame) {
  auto config = GetParam();
  config.qk_norm = true;
  auto model = random_model(config);
  const auto batch = random_batch(config, 3);
  const at::NoGradGuard no_grad;
  const auto plain = model.forward(batch.x, batch.t, batch.y);
  model.pack();
  const auto packed = model.forward(batch.x, batch.t, batch.y);
  EXPECT_LE((packed - plain).abs().max().item<float>(), 1e-5F * plain.abs().max().item<float>());
}

TEST_P(Family, PackingGivesUpThePlainWeights) {
  auto model = random_model(GetParam());
  EXPECT_FALSE(model.packed());
  model.pack();
  EXPECT_TRUE(model.packed());
  for (const auto& [name, tensor] : model.parameters()) {
    // These are read as they are: the classes' table, and the experts of timesteps with their gate.
    const bool stays = name.starts_with("y_embedder") || name.starts_with("routers");
    if (tensor->dim() >= 2) {
      EXPECT_EQ(tensor->is_meta(), !stays) << name;
    }
  }
}

TEST(Transformer, RejectsInputOfAnotherSize) {
  const auto model = random_model(small_config());
  const auto t = at::zeros({2}), y = at::zeros({2}, at::kLong);
  EXPECT_ANY_THROW(model.forward(at::zeros({2, 3, 8, 9}), t, y));
  EXPECT_ANY_THROW(model.forward(at::zeros({2, 4, 8, 8}), t, y));
  EXPECT_ANY_THROW(model.forward(at::zeros({3, 8, 8}), t, y));
}

// Tokens and timesteps are written down apart, each once per block that routes them.
TEST_P(Family, TapeHoldsEveryBlock) {
  auto model = random_model(GetParam());
  const auto& c = model.config();
  const auto batch = random_batch(c, 3);
  for (const bool packed : {false, true}) {
    const at::NoGradGuard no_grad;
    if (packed) model.pack();
    auto tape = RoutingTape::allocate(c, 3, /*with_probabilities=*/true, at::kCPU);
    std::vector<kernels::Routing> tokens, timesteps;
    tape.tokens.kept = &tokens;
    tape.timesteps.kept = &timesteps;
    model.forward(batch.x, batch.t, batch.y, {}, tape);
    ASSERT_EQ(tokens.size(), static_cast<size_t>(c.routes_tokens() ? c.depth : 0));
    ASSERT_EQ(timesteps.size(), static_cast<size_t>(c.routes_timesteps() ? c.depth : 0));
    const auto expect = [](const RoutingTape::Of& of, const std::vector<kernels::Routing>& layers, int64_t k) {
      for (size_t layer = 0; layer < layers.size(); ++layer) {
        const auto& routing = layers[layer];
        EXPECT_EQ(routing.experts.size(1), k);
        EXPECT_TRUE(at::equal(of.probabilities[layer].flatten(0, 1), routing.probabilities));
        const auto weights = at::zeros_like(routing.probabilities).scatter(1, routing.experts, routing.gate_weights);
        EXPECT_TRUE(at::equal(of.gate_weights[layer].flatten(0, 1), weights));
      }
    };
    expect(tape.tokens, tokens, c.experts_per_token);
    expect(tape.timesteps, timesteps, c.experts_per_timestep);
  }
}

TEST_P(Family, StopEndsTheForwardBeforeTheNextBlock) {
  const auto model = random_model(GetParam());
  const auto batch = random_batch(GetParam(), 1);
  int asked = 0;
  EXPECT_THROW(model.forward(batch.x, batch.t, batch.y, {}, {}, [&] { return ++asked == 2; }), Stopped);
  EXPECT_EQ(asked, 2);
}

TEST_P(Family, EveryParameterHasAGradient) {
  auto model = random_model(GetParam());
  const auto batch = random_batch(model.config(), 3);
  std::vector<at::Tensor> leaves;
  for (const auto& [name, tensor] : model.parameters()) leaves.push_back(tensor->set_requires_grad(true));
  const auto loss = model.forward(batch.x, batch.t, batch.y).square().mean();
  const auto gradients = torch::autograd::grad({loss}, leaves);
  const auto names = model.parameters();
  for (size_t i = 0; i < gradients.size(); ++i) {
    EXPECT_GT(gradients[i].abs().max().item<float>(), 0) << names[i].name;
  }
}

TEST(Transformer, IntegerTimestepsAlone) {
  for (const auto& config : every_family()) {
    const auto model = random_model(config);
    const auto batch = random_batch(config, 2);
    for (const double t : {0.5, -1.0, static_cast<double>(config.num_timesteps), std::stod("nan"), 1e30}) {
      const auto times = at::tensor({0.0, t}, at::kDouble);
      if (!config.integer_timesteps()) {
        EXPECT_NO_THROW(model.forward(batch.x, times, batch.y)) << config.family << t;
        continue;
      }
      const auto message =
          io::message_of<std::invalid_argument>([&] { model.forward(batch.x, times, batch.y); });
      EXPECT_TRUE(io::contains(message, "integer timesteps 0 .. 99, got t[1] = ")) << message;
    }
  }
}

// The table over all timesteps is what a forward at each of them chooses.
TEST(Transformer, TimestepRoutingIsThatOfTheForward) {
  const auto model = random_model(small_switch_config());
  const auto& c = model.config();
  const auto x = random({1, 3, 8, 8}, 3), y = at::zeros({1}, at::kLong);
  const auto table = model.timestep_routing();
  ASSERT_EQ(static_cast<int64_t>(table.size()), c.depth);
  for (const int64_t t : {int64_t{0}, int64_t{31}, c.num_timesteps - 1}) {
    std::vector<kernels::Routing> layers;
    RoutingTape tape;
    tape.timesteps.kept = &layers;
    model.forward(x, at::full({1}, t), y, {}, tape);
    ASSERT_EQ(layers.size(), table.size());
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      EXPECT_TRUE(at::allclose(layers[layer].probabilities[0], table[layer].probabilities[t], 1e-5, 1e-6));
      EXPECT_TRUE(at::equal(layers[layer].experts[0], table[layer].experts[t]));
    }
  }
  EXPECT_TRUE(random_model(small_config()).timestep_routing().empty());
}

struct Numbers {
  const char* name;
  at::ScalarType dtype;
  kernels::Products products = kernels::Products::in_dtype;
};
constexpr Numbers kNumbers[] = {
    {"fp32", at::kFloat}, {"bf16", at::kBFloat16}, {"int8", at::kBFloat16, kernels::Products::int8}};

bool processor_has(const Numbers& numbers) { return kernels::has_products(numbers.dtype, numbers.products); }

class FamilyInNumbers : public ::testing::TestWithParam<std::tuple<ModelConfig, Numbers>> {
 protected:
  void SetUp() override {
    if (!processor_has(std::get<Numbers>(GetParam()))) GTEST_SKIP() << "no such products on this processor";
  }
};
INSTANTIATE_TEST_SUITE_P(Families, FamilyInNumbers,
                         ::testing::Combine(::testing::ValuesIn(every_family()),
                                            ::testing::ValuesIn(kNumbers)),
                         [](const auto& instance) {
                           return std::string(std::get<Numbers>(instance.param).name) + "_" +
                                  std::to_string(instance.index);
                         });

// Bit for bit, in the form that draws images.
TEST_P(FamilyInNumbers, AnImageDependsOnItselfAlone) {
  const auto& [config, numbers] = GetParam();
  auto model = random_model(config, numbers.dtype);
  model.pack({numbers.products});
  const auto batch = random_batch(model.config(), 8);
  const at::NoGradGuard no_grad;
  for (const bool one_time : {false, true}) {
    const auto t = one_time ? at::full_like(batch.t, batch.t[3].item()) : batch.t;
    const auto all = model.forward(batch.x, t, batch.y);
    for (const auto& [first, count] : {std::pair{0, 1}, {5, 1}, {7, 1}, {0, 3}, {4, 3}}) {
      const auto part = batch.narrow(first, count);
      EXPECT_TRUE(
          at::equal(model.forward(part.x, t.narrow(0, first, count), part.y), all.narrow(0, first, count)))
          << count << " images from " << first << ", one time " << one_time;
    }
  }
}

class BatchInvariance : public ::testing::TestWithParam<Numbers> {};
INSTANTIATE_TEST_SUITE_P(Dtypes, BatchInvariance, ::testing::ValuesIn(kNumbers),
                         [](const auto& instance) { return instance.param.name; });

// Bit for bit, in the form that draws images: whatever the batch, the place in it, and whether routing is
// recorded.
TEST_P(BatchInvariance, AnImageDependsOnItselfAlone) {
  if (!processor_has(GetParam())) GTEST_SKIP() << "no such products on this processor";
  auto model = random_model(preset("solids/4"), GetParam().dtype);
  model.pack({GetParam().products});
  const auto batch = random_batch(model.config(), 8);
  const at::NoGradGuard no_grad;
  const auto all = model.forward(batch.x, batch.t, batch.y);
  ASSERT_TRUE(at::isfinite(all).all().item<bool>());
  ASSERT_GT(all.abs().max().item<float>(), 0.01F);
  for (const auto& [first, count] : {std::pair{0, 8}, {0, 1}, {5, 1}, {7, 1}, {0, 3}, {4, 3}}) {
    const auto part = batch.narrow(first, count);
    for (const bool observed : {false, true}) {
      const auto tape = observed ? RoutingTape::allocate(model.config(), count, true, at::kCPU) : RoutingTape();
      const auto out = model.forward(part.x, part.t, part.y, {}, tape);
      EXPECT_TRUE(at::equal(out, all.narrow(0, first, count)))
          << count << " images from " << first << ", observed " << observed;
    }
  }
}

TEST_P(Family, Int8IsCloseToWhatItStandsFor) {
  if (!kernels::has_int8_products()) GTEST_SKIP() << "no int8 products on this processor";
  auto exact = random_model(GetParam()), rounded = random_model(GetParam(), at::kBFloat16),
       in_bf16 = random_model(GetParam(), at::kBFloat16);
  rounded.pack({kernels::Products::int8});
  in_bf16.pack();
  EXPECT_EQ(rounded.packing().products, kernels::Products::int8);
  const auto batch = random_batch(exact.config(), 4);
  const at::NoGradGuard no_grad;
  const auto expected = exact.forward(batch.x, batch.t, batch.y);
  const auto got = rounded.forward(batch.x, batch.t, batch.y);
  const auto size_of = [&](const at::Tensor& error) {
    return (error.square().mean().sqrt() / expected.square().mean().sqrt()).item<double>();
  };
  EXPECT_LT(size_of(got - expected), 0.1);
  EXPECT_GT(size_of(got - in_bf16.forward(batch.x, batch.t, batch.y)), 2e-3)
      << "the products are not of 8 bits";
}

TEST(Initialize, IsAFunctionOfTheSeed) {
  const auto tensors = [](uint64_t seed) {
    DiffusionTransformer model(small_config());
    initialize(model, seed);
    return model.state_dict();
  };
  const auto first = tensors(3), again = tensors(3), other = tensors(4);
  for (const auto& [name, tensor] : first) EXPECT_TRUE(at::equal(tensor, again.at(name))) << name;
  EXPECT_FALSE(at::equal(first.at("x_embedder.proj.weight"), other.at("x_embedder.proj.weight")));
}

TEST_P(Family, OutputIsZeroAtFirst) {  // adaLN-zero and a zero output layer
  DiffusionTransformer model(GetParam());
  initialize(model, 0);
  const auto batch = random_batch(model.config(), 2);
  EXPECT_TRUE(at::equal(model.forward(batch.x, batch.t, batch.y), at::zeros({2, 3, 8, 8})));
}

TEST(Initialize, TimestepExpertsLetAllThrough) {
  DiffusionTransformer model(small_switch_config());
  initialize(model, 0);
  const auto state = model.state_dict();
  EXPECT_EQ(state.at("routers.1.experts.w").abs().max().item<double>(), 0);
  EXPECT_EQ(state.at("routers.1.experts.b").abs().max().item<double>(), 0);
  EXPECT_GT(state.at("routers.1.f_gate.1.weight").abs().max().item<double>(), 0);
}

TEST(Initialize, DistributionsArePublishedOnes) {
  auto config = preset("solids/8");
  config.qk_norm = true;
  config.depth = 1;
  DiffusionTransformer model(config);
  initialize(model, 0);
  const auto state = model.state_dict();
  const auto largest = [&](const char* name) { return state.at(name).abs().max().item<double>(); };
  const auto deviation = [&](const char* name) { return state.at(name).std().item<double>(); };
  EXPECT_EQ(largest("blocks.0.adaLN_modulation.1.weight"), 0);
  EXPECT_EQ(largest("final_layer.adaLN_modulation.1.weight"), 0);
  EXPECT_EQ(largest("final_layer.linear.weight"), 0);
  EXPECT_EQ(largest("blocks.0.attn.qkv.bias"), 0);
  EXPECT_TRUE(at::equal(state.at("blocks.0.attn.q_norm.weight"), at::ones({64})));
  EXPECT_EQ(largest("blocks.0.attn.k_norm.bias"), 0);
  EXPECT_NEAR(deviation("t_embedder.mlp.0.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("y_embedder.embedding_table.weight"), 0.02, 0.002);
  EXPECT_NEAR(largest("blocks.0.moe.gate.weight"), 1 / std::sqrt(192.0), 1e-3);
  EXPECT_NEAR(largest("blocks.0.attn.qkv.weight"), std::sqrt(6.0 / (192 + 576)), 1e-3);
  EXPECT_NEAR(largest("blocks.0.moe.experts.7.up_proj.weight"), std::sqrt(6.0 / (192 + 176)), 1e-3);
  EXPECT_NEAR(largest("x_embedder.proj.weight"), std::sqrt(6.0 / (3 * 64 + 192)), 1e-3);
}

}  // namespace
}  // namespace switchyard::dit
