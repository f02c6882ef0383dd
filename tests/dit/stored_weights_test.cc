// Where training frameworks put a model's weights: every row is a layout that people have.
#include "dit/stored_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "../io/scratch.h"
#include "io/error.h"

namespace switchyard::dit {
namespace {

using io::contains;
using io::TorchValue;
using Kind = TorchValue::Kind;

TorchValue text(const std::string& value) { return {Kind::string, value}; }
TorchValue number(double value) { return {Kind::real, value}; }

TorchValue dict(std::initializer_list<std::pair<std::string, TorchValue>> items) {
  std::vector<io::TorchItem> all;
  for (const auto& [key, value] : items) all.push_back({text(key), value});
  return {Kind::dict, std::move(all)};
}

// A model of three tensors, which `fill` tells from others; `around` is put around each name.
TorchValue model(double fill, const std::string& before = "", const std::string& inside = "") {
  const auto tensor = [&](at::IntArrayRef shape) { return TorchValue{Kind::tensor, at::full(shape, fill)}; };
  return dict({{before + "pos_embed", tensor({1, 4, 2})},
               {before + "x_embedder.proj.weight", tensor({2, 3, 1, 1})},
               {before + "blocks.0." + inside + "attn.qkv.bias", tensor({6})}});
}

// torch.save(model): each module with its own tensors and the modules within.
TorchValue module(std::initializer_list<std::pair<std::string, TorchValue>> parameters,
                  std::initializer_list<std::pair<std::string, TorchValue>> modules,
                  std::initializer_list<std::pair<std::string, TorchValue>> buffers = {}) {
  return dict({{"training", {Kind::boolean, true}},
               {"_parameters", dict(parameters)},
               {"_buffers", dict(buffers)},
               {"_modules", dict(modules)}});
}

TorchValue whole_model(double fill) {
  const auto tensor = [&](at::IntArrayRef shape) { return TorchValue{Kind::tensor, at::full(shape, fill)}; };
  const auto attention = module({}, {{"qkv", module({{"bias", tensor({6})}, {"weight", {}}}, {})}});
  const auto projection = module({{"weight", tensor({2, 3, 1, 1})}}, {});
  return module({},
                {{"x_embedder", module({}, {{"proj", projection}})},
                 {"blocks", module({}, {{"0", module({}, {{"attn", attention}})}})}},
                {{"pos_embed", tensor({1, 4, 2})}});
}

TorchValue shadow(double fill, std::vector<std::vector<int64_t>> shapes) {
  std::vector<TorchValue> tensors;
  for (const auto& shape : shapes) tensors.push_back({Kind::tensor, at::full(shape, fill)});
  return dict({{"decay", number(0.999)}, {"shadow_params", {Kind::list, std::move(tensors)}}});
}

const std::vector<std::vector<int64_t>> kTrainable = {{2, 3, 1, 1}, {6}};

struct Layout {
  const char* name;
  TorchValue tree;
  std::optional<std::string> wanted;
  const char* found;
  double fill;
};

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all = {
      {"bare", model(1), {}, "", 1},
      {"data_parallel", model(1, "module."), {}, "", 1},
      {"compiled", model(1, "_orig_mod."), {}, "", 1},
      {"wrappers_in_any_order", model(1, "module._orig_mod.module."), {}, "", 1},
      {"fully_sharded",
       model(1, "_fsdp_wrapped_module.", "_fsdp_wrapped_module._checkpoint_wrapped_module."),
       {},
       "",
       1},
      {"official", dict({{"model", model(1)}, {"ema", model(2)}, {"opt", dict({})}}), {}, "ema", 2},
      {"official_as_trained", dict({{"model", model(1)}, {"ema", model(2)}}), "model", "model", 1},
      {"wrapped_inside",
       dict({{"model", model(1, "module.")}, {"ema", model(2, "_orig_mod.")}}),
       {},
       "ema",
       2},
      {"model_ema", dict({{"model_ema", model(2)}, {"model", model(1)}}), {}, "model_ema", 2},
      {"ema_by_any_name", dict({{"ema_model", model(2)}, {"net", model(1)}}), "ema", "ema_model", 2},
      {"deepspeed", dict({{"module", model(1)}, {"ds_version", text("0.9")}}), {}, "module", 1},
      {"lightning",
       dict({{"state_dict", model(1, "model.")}, {"epoch", number(3)}}),
       {},
       "state_dict/model",
       1},
      {"model_state", dict({{"model_state", model(1)}}), {}, "model_state", 1},
      {"two_deep", dict({{"ema", dict({{"module", model(2)}})}, {"net", model(1)}}), {}, "ema/module", 2},
      {"whole", whole_model(1), {}, "", 1},
      {"whole_in_a_wrapper", module({}, {{"module", whole_model(1)}}), {}, "", 1},
      {"whole_beside_its_average", dict({{"model", whole_model(1)}, {"ema", whole_model(2)}}), {}, "ema", 2},
      {"shadow_params", dict({{"model", model(1)}, {"ema", shadow(2, kTrainable)}}), {}, "ema", 2},
      {"not_the_shadow", dict({{"model", model(1)}, {"ema", shadow(2, kTrainable)}}), "model", "model", 1},
  };
  return all;
}

void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }

class StoredWeightsIn : public ::testing::TestWithParam<Layout> {};
INSTANTIATE_TEST_SUITE_P(Layouts, StoredWeightsIn, ::testing::ValuesIn(layouts()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(StoredWeightsIn, AreFoundByTheModelsNames) {
  const auto& layout = GetParam();
  const auto weights = stored_weights(layout.tree, layout.wanted, "file.pt");
  EXPECT_EQ(weights.name, layout.found);
  ASSERT_EQ(weights.tensors.size(), 3U);
  for (const char* name : {"x_embedder.proj.weight", "blocks.0.attn.qkv.bias"}) {
    ASSERT_TRUE(weights.tensors.contains(name)) << name;
    EXPECT_TRUE(weights.tensors.at(name).eq(layout.fill).all().item<bool>()) << name;
  }
}

TEST(StoredWeights, KnownCompanionsAreNamedAndLeftOut) {
  auto tree = model(1);
  std::get<std::vector<io::TorchItem>>(tree.value)
      .push_back({text("projectors.0.weight"), {Kind::tensor, at::ones({1})}});
  const auto weights = stored_weights(tree, std::nullopt, "file.pt");
  EXPECT_EQ(weights.tensors.size(), 3U);
  EXPECT_EQ(weights.companions, (std::map<std::string, std::string>{{"projectors", "1 tensors of REPA"}}));
}

TEST(StoredWeights, WhatIsNotThereIsNamed) {
  const auto message = [](const TorchValue& tree, const std::optional<std::string>& wanted) {
    return io::message_of<io::InputError>([&] { stored_weights(tree, wanted, "file.pt"); });
  };
  const auto both = dict({{"model", model(1)}, {"ema", model(2)}});
  EXPECT_TRUE(contains(message(both, "best"),
                       "file.pt: no weights \"best\" in this file, it holds: \"model\", \"ema\""));
  EXPECT_TRUE(contains(message(model(1), "ema"), "holds one set of weights"));
  EXPECT_TRUE(contains(message(dict({{"epoch", number(3)}}), {}), "found no tensors"));
  const auto few = dict({{"model", model(1)}, {"ema", shadow(2, {{2, 3, 1, 1}})}});
  EXPECT_TRUE(contains(message(few, {}), "1 averaged tensors for 2 parameters")) << message(few, {});
  const auto other = dict({{"model", model(1)}, {"ema", shadow(2, {{6}, {2, 3, 1, 1}})}});
  EXPECT_TRUE(contains(message(other, {}), "x_embedder.proj.weight has no counterpart"))
      << message(other, {});
}

}  // namespace
}  // namespace switchyard::dit
