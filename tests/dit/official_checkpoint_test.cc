// Official checkpoints: every field inferred, and where each came from.
#include "dit/official_checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <set>

#include "../io/scratch.h"
#include "dit/imagenet_classes.h"
#include "dit/model_file.h"
#include "dit/stored_weights.h"
#include "dit/task_masks.h"
#include "io/error.h"
#include "parity_case.h"
#include "random_model.h"

namespace switchyard::dit {
namespace {

using io::contains;
using io::message_of;
using nlohmann::json;

// What the official code would store: every tensor, also those that the configuration determines.
StateDict official_state(DiffusionTransformer& model) {
  auto state = model.state_dict();
  for (const auto& [name, tensor] : model.derived_state()) state[name] = tensor;
  return state;
}

// As a file with these tensors and arguments loads.
DiffusionTransformer load_official(const StateDict& tensors, const json& arguments,
                                   const CheckpointHints& hints, const std::string& source) {
  ModelFile file;
  file.source = source;
  file.tensors = stored_weights(tensors, std::nullopt, source).tensors;
  file.config = infer_config(file.tensors, arguments, hints, source).config;
  return make_model(file);
}

class OfficialFamily : public ::testing::TestWithParam<ModelConfig> {};
INSTANTIATE_TEST_SUITE_P(Each, OfficialFamily, ::testing::ValuesIn(every_family()));

TEST_P(OfficialFamily, SizesComeFromTheTensors) {
  for (const bool qk_norm : {false, true}) {
    auto config = GetParam();
    config.qk_norm = qk_norm;
    config.learn_sigma = qk_norm;
    if (config.learn_sigma && config.prediction == "noise") config.prediction = "noise_and_variance";
    auto model = random_model(config);
    CheckpointHints hints{.num_heads = config.num_heads};
    hints.schedule = config.schedule;
    hints.prediction = config.prediction;
    auto inferred = infer_config(official_state(model), {}, hints, "file");
    inferred.config.time_scale = config.time_scale;  // the official code has none
    EXPECT_EQ(to_json(inferred.config), to_json(config));
    for (const char* field : {"family", "input_size", "hidden_size", "depth", "num_classes", "block_router"})
      EXPECT_EQ(inferred.origin.at(field), Origin::tensors) << field;
    EXPECT_EQ(inferred.origin.at("num_heads"), qk_norm ? Origin::tensors : Origin::given);
  }
}

TEST_P(OfficialFamily, LoadedModelComputesTheSame) {
  auto model = random_model(GetParam());
  StateDict prefixed;
  for (const auto& [name, tensor] : official_state(model)) prefixed["module." + name] = tensor;
  CheckpointHints hints{.num_heads = GetParam().num_heads};
  auto loaded = load_official(prefixed, {}, hints, "file");
  const auto state = loaded.state_dict();
  for (const auto& [name, tensor] : model.state_dict())
    EXPECT_TRUE(at::equal(state.at(name), tensor)) << name;
}

// The fixtures' own checkpoints say what they are, in the official layout.
class OfficialParityTest : public ParityTest {};
INSTANTIATE_TEST_SUITE_P(All, OfficialParityTest, ::testing::ValuesIn(parity_cases()), test_name);

TEST_P(OfficialParityTest, InferredConfiguration) {
  const CheckpointHints hints{.num_heads = c_.config.num_heads};
  const auto inferred = infer_config(c_.weights, c_.json.at("config"), hints, c_.name).config;
  auto expected = c_.config;
  expected.schedule = inferred.schedule;  // the cases name no objective of the model
  expected.prediction = inferred.prediction;
  expected.toward_image = inferred.toward_image;
  expected.class_names = inferred.class_names;
  EXPECT_EQ(to_json(inferred), to_json(expected));
  EXPECT_NO_THROW(load_official(c_.weights, c_.json.at("config"), hints, c_.name));
}

struct ObjectiveCase {
  const char* arguments;
  const char *schedule, *prediction;
  Origin origin;
};

TEST(OfficialObjective, FromTheStoredArgumentsElseThePublishedUse) {
  auto moe_config = small_config();
  moe_config.learn_sigma = true;
  auto moe = random_model(moe_config);
  const auto tensors = official_state(moe);
  for (const auto& [arguments, schedule, prediction, origin] :
       {ObjectiveCase{"null", "linear", "noise_and_variance", Origin::published},
        {R"({"rf": true})", "rectified_flow", "velocity", Origin::arguments},
        {R"({"rf": false})", "linear", "noise_and_variance", Origin::arguments},
        {R"({"rf": "True"})", "rectified_flow", "velocity", Origin::arguments},
        {R"({"noise_schedule": "squaredcos_cap_v2"})", "cosine", "noise_and_variance", Origin::arguments},
        {R"({"diffusion": {"noise_schedule": "linear"}})", "linear", "noise_and_variance", Origin::arguments},
        {R"({"noise_schedule": 3, "lr": 1e-4})", "linear", "noise_and_variance", Origin::published},
        {R"({"path_type": "Linear", "prediction": "velocity"})", "rectified_flow", "velocity",
         Origin::arguments},
        {R"({"path_type": "GVP", "prediction": "velocity"})", "gvp", "v", Origin::arguments},
        {R"([1, 2])", "linear", "noise_and_variance", Origin::published}}) {
    const auto inferred = infer_config(tensors, json::parse(arguments), {}, "file");
    EXPECT_EQ(inferred.config.schedule, schedule) << arguments;
    EXPECT_EQ(inferred.config.prediction, prediction) << arguments;
    EXPECT_EQ(inferred.origin.at("schedule"), origin) << arguments;
  }
  CheckpointHints hints;
  hints.schedule = "rectified_flow";
  const auto given = infer_config(tensors, json::parse(R"({"rf": false})"), hints, "file");
  EXPECT_EQ(given.config.schedule, "rectified_flow");
  EXPECT_EQ(given.origin.at("schedule"), Origin::given);
}

TEST(OfficialObjective, RoutersByTimestepUseTheCosineSchedule) {
  for (const auto& config : {small_task_config(), small_switch_config()}) {
    auto model = random_model(config);
    const auto inferred = infer_config(official_state(model), {}, {}, "file");
    EXPECT_EQ(inferred.config.schedule, "cosine");
    EXPECT_EQ(inferred.origin.at("schedule"), Origin::published);
  }
}

TEST(OfficialCheckpoint, ExpertsPerTokenAreSaidOrAssumed) {
  auto model = random_model(small_config());
  const auto tensors = official_state(model);
  EXPECT_EQ(infer_config(tensors, {}, {}, "file").origin.at("experts_per_token"), Origin::published);
  const auto stored = infer_config(tensors, json::parse(R"({"num_experts_per_tok": 3})"), {}, "file");
  EXPECT_EQ(stored.config.experts_per_token, 3);
  EXPECT_EQ(stored.origin.at("experts_per_token"), Origin::arguments);
  const auto impossible = infer_config(tensors, {{"num_experts_per_tok", 50}}, {}, "file");
  EXPECT_EQ(impossible.origin.at("experts_per_token"), Origin::published) << "it contradicts the tensors";
}

TEST(OfficialCheckpoint, HeadsOfPublishedWidthsAreKnownOthersGuessed) {
  auto small = random_model(small_config());
  EXPECT_EQ(infer_config(official_state(small), {}, {}, "file").origin.at("num_heads"), Origin::guessed);
  auto config = small_dense_config();
  config.hidden_size = 384;
  config.num_heads = 6;
  config.depth = 1;
  auto wide = random_model(config);
  const auto inferred = infer_config(official_state(wide), {}, {}, "file");
  EXPECT_EQ(inferred.config.num_heads, 6);
  EXPECT_EQ(inferred.origin.at("num_heads"), Origin::published);
}

struct ClassesCase {
  int64_t rows;
  const char* arguments;
  std::optional<int64_t> hint;
  int64_t classes;
  bool null_class;
  Origin origin;
};

// The table of classes has rows alone: what the last one stands for is said, or assumed.
TEST(OfficialCheckpoint, TheLastClassMayBeNoClass) {
  const ClassesCase cases[] = {
      {1, "null", {}, 1, false, Origin::tensors},
      {1, R"({"num_classes": 0})", {}, 1, false, Origin::tensors},
      {1, "null", 1, 1, false, Origin::given},
      {2, "null", {}, 1, true, Origin::published},
      {2, R"({"num_classes": 2, "class_dropout_prob": 0.1})", {}, 2, false, Origin::arguments},
      {10, "null", {}, 9, true, Origin::published},
      {10, R"({"num_classes": 10})", {}, 10, false, Origin::arguments},
      {10, R"({"num_classes": 9})", {}, 9, true, Origin::arguments},
      {10, R"({"num_classes": 1000})", {}, 9, true, Origin::published},
      {10, R"({"class_dropout_prob": 0})", {}, 10, false, Origin::arguments},
      {10, R"({"model": {"class_dropout": 0.0}})", {}, 10, false, Origin::arguments},
      {10, R"({"class_dropout_prob": 0.1})", {}, 9, true, Origin::published},
      {10, R"({"num_classes": 9})", 10, 10, false, Origin::given},
      {10, R"({"num_classes": 10})", 9, 9, true, Origin::given},
      {1000, "null", {}, 1000, false, Origin::guessed},
      {1000, R"({"num_classes": 999})", {}, 999, true, Origin::arguments},
      {1000, "null", 999, 999, true, Origin::given},
      {1001, "null", {}, 1000, true, Origin::published},
  };
  for (auto config :
       {small_dense_config(), small_switch_config(), small_config(), small_switch_config(small_config())}) {
    for (const auto& [rows, arguments, hint, classes, null_class, origin] : cases) {
      SCOPED_TRACE(config.family + ", " + std::to_string(rows) + " rows, " + arguments);
      config.num_classes = classes;
      config.has_null_class = null_class;
      auto model = random_model(config);
      const auto tensors = official_state(model);
      CheckpointHints hints{.num_heads = config.num_heads};
      hints.schedule = config.schedule;
      hints.prediction = config.prediction;
      hints.num_classes = hint;
      const auto inferred = infer_config(tensors, json::parse(arguments), hints, "file");
      EXPECT_EQ(inferred.config.num_classes, classes);
      EXPECT_EQ(inferred.config.has_null_class, null_class);
      EXPECT_EQ(inferred.config.class_names.size(), classes == 1000 ? 1000U : 0U);
      EXPECT_EQ(inferred.origin.at("has_null_class"), origin);
      auto loaded = load_official(tensors, json::parse(arguments), hints, "file");
      EXPECT_EQ(count_parameters(loaded.config()).total, count_parameters(config).total);
      EXPECT_EQ(loaded.state_dict().at("y_embedder.embedding_table.weight").size(0), rows);
      for (const int64_t wrong : {rows + 1, rows - 2}) {
        hints.num_classes = wrong;
        const auto message = message_of<io::InputError>([&] { infer_config(tensors, {}, hints, "file"); });
        EXPECT_TRUE(contains(message, "has " + std::to_string(rows) + " row")) << message;
        EXPECT_TRUE(contains(message, "it can be " + std::to_string(rows))) << message;
      }
    }
  }
}

TEST(OfficialCheckpoint, WhatIsWrongIsNamed) {
  auto model = random_model(small_switch_config());
  const auto whole = official_state(model);
  const auto message = [&](const std::function<void(StateDict&)>& spoil) {
    auto state = whole;
    spoil(state);
    return message_of<io::InputError>([&] { load_official(state, {}, {}, "model.pt"); });
  };
  EXPECT_TRUE(
      contains(message([](auto& s) { s.clear(); }), "model.pt: no tensor \"x_embedder.proj.weight\""));
  EXPECT_TRUE(contains(message([](auto& s) { s["pos_embed"] = at::zeros({1, 5, 32}); }), "square number"));
  EXPECT_TRUE(
      contains(message([](auto& s) { s["x_embedder.proj.weight"] = at::zeros({4}); }), "4 dimensions"));
  EXPECT_TRUE(contains(message([](auto& s) { s.erase("blocks.1.mlp.fc2.bias"); }), "fc2.bias is missing"));
  EXPECT_TRUE(contains(message([](auto& s) {
                         s["final_layer.linear.weight"] = at::zeros({7, 32});
                       }),
                       "7 rows"));
  EXPECT_TRUE(contains(message([](auto& s) { s["full_time"] = at::zeros({100}, at::kLong); }),
                       "full_time is not what the configuration gives"));
  EXPECT_TRUE(contains(message([](auto& s) {
                         s["routers.0.f_gate.1.weight"] = at::zeros({2, 32});
                       }),
                       "experts_per_timestep 3 must be at most"));
  EXPECT_TRUE(contains(message([](auto& s) {
                         s["routers.0.f_gate.1.weight"] = at::zeros({4, 32});
                       }),
                       "experts.w has shape"));
}

TEST(TaskWindows, AlphaAndBetaAreFoundAgain) {
  for (const double alpha : {0.5, 1.0, 2.5, 4.0, 8.0}) {
    for (const auto& [beta, width] : {std::pair{0.8, 32}, {0.75, 48}, {0.8, 1152}, {0.5, 4}}) {
      const auto windows = task_windows(1000, width, task_window_size(beta, width), alpha);
      const auto fit = fit_task_windows(windows);
      ASSERT_TRUE(fit) << alpha << ' ' << beta << ' ' << width;
      EXPECT_TRUE(
          at::equal(task_windows(1000, width, task_window_size(fit->beta, width), fit->alpha), windows));
      if (width < 32) continue;  // too few steps of the windows to tell alphas apart
      EXPECT_EQ(fit->alpha, alpha) << width;
    }
  }
  auto other = task_windows(100, 32, 16, 2);
  other[50][0] = 1 - other[50][0];
  EXPECT_FALSE(fit_task_windows(other));
  EXPECT_FALSE(fit_task_windows(at::zeros({100, 32})));
}

TEST(ImagenetClasses, AThousandNamesInTheOrderOfLabels) {
  const auto names = imagenet_class_names();
  ASSERT_EQ(names.size(), 1000U);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 1000U);
  for (const auto& [label, name] : {std::pair{0, "tench"},
                                    {88, "macaw"},
                                    {207, "golden retriever"},
                                    {279, "Arctic fox"},
                                    {360, "otter"},
                                    {387, "lesser panda"},
                                    {417, "balloon"},
                                    {974, "geyser"},
                                    {979, "valley"},
                                    {999, "toilet tissue"}}) {
    EXPECT_EQ(names[label], name) << label;
  }
}

}  // namespace
}  // namespace switchyard::dit
