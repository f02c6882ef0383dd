// The configuration: JSON there and back, every wrong field named, presets as published.
#include "dit/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "../io/scratch.h"

namespace switchyard::dit {
namespace {

using io::contains;
using io::message_of;

TEST(Config, JsonRoundTrip) {
  for (const auto name : preset_names())
    EXPECT_EQ(config_from_json(to_json(preset(name))), preset(name)) << name;
  auto config = preset("tiny");
  config.num_classes = 2;
  config.class_names = {"würfel \"1\"", ""};
  config.qk_norm = true;
  config.time_scale = 0.1;
  EXPECT_EQ(config_from_json(nlohmann::json::parse(to_json(config).dump())), config);
}

TEST(Config, FieldsAreStoredUnderTheirNames) {
  const auto json = to_json(preset("solids/4"));
  EXPECT_EQ(json.at("input_size"), 64);
  EXPECT_EQ(json.at("learn_sigma"), false);
  EXPECT_EQ(json.at("prediction"), "clean_image");
}

TEST(Config, EachMissingFieldOfTheFirstVersionIsNamed) {
  auto config = preset("tiny");
  const auto whole = to_json(config);
  ModelConfig::for_each_first_field(config, [&](const std::string& field, const auto&, const char*) {
    auto json = whole;
    json.erase(field);
    EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { config_from_json(json); }),
                         "\"" + field + "\" is missing"));
  });
}

TEST(Config, LaterFieldsMayBeMissing) {
  auto config = preset("tiny");
  auto json = to_json(config);
  ModelConfig::for_each_later_field(config,
                                    [&](const char* field, const auto&, const char*) { json.erase(field); });
  ASSERT_FALSE(json.contains("block_router"));
  EXPECT_EQ(config_from_json(json), config);
}

TEST(Config, EachFieldOfAnotherTypeIsNamed) {
  const auto whole = to_json(preset("tiny"));
  for (const auto& [field, value] : whole.items()) {
    for (const auto& other : nlohmann::json::parse(R"([null, {}, [1], "text", true, 2.5, 1e300])")) {
      const bool fits = other.type() == value.type() || (value.is_number_float() && other.is_number());
      if (fits) continue;
      auto json = whole;
      json[field] = other;
      EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { config_from_json(json); }),
                           "\"" + field + "\" has a wrong type"))
          << other;
    }
  }
}

TEST(Config, UnknownFieldIsNamed) {
  auto json = to_json(preset("tiny"));
  json["num_expert"] = 3;
  EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { config_from_json(json); }),
                       "unknown field \"num_expert\""));
}

TEST(Config, IsAnObject) {
  for (const char* text : {"[]", "null", "\"x\"", "3"}) {
    EXPECT_THROW(config_from_json(nlohmann::json::parse(text)), std::invalid_argument) << text;
  }
}

TEST(Config, ValidateNamesTheField) {
  struct Case {
    const char* named;
    std::function<void(ModelConfig&)> spoil;
  };
  const Case cases[] = {
      {"family", [](ModelConfig& c) { c.family = "dit"; }},
      {"block_router", [](ModelConfig& c) { c.block_router = "token"; }},
      {"feed_forward", [](ModelConfig& c) { c.feed_forward = "dense"; }},
      {"mlp_hidden", [](ModelConfig& c) { c.mlp_hidden = 3; }},
      {"num_timesteps", [](ModelConfig& c) { c.num_timesteps = 0; }},
      {"mlp_hidden", [](ModelConfig& c) { c = preset("dit-s/2"), c.mlp_hidden = 0; }},
      {"num_experts", [](ModelConfig& c) { c = preset("dit-s/2"), c.num_experts = 8; }},
      {"task_alpha", [](ModelConfig& c) { c = preset("dtr-s/2"), c.task_alpha = 0; }},
      {"task_beta", [](ModelConfig& c) { c = preset("dtr-s/2"), c.task_beta = 1.5; }},
      {"task_beta", [](ModelConfig& c) { c = preset("dtr-s/2"), c.task_beta = 0.001; }},
      {"timestep_experts", [](ModelConfig& c) { c = preset("switch-dit-s/2"), c.timestep_experts = 0; }},
      {"experts_per_timestep",
       [](ModelConfig& c) { c = preset("switch-dit-s/2"), c.experts_per_timestep = 4; }},
      {"schedule",
       [](ModelConfig& c) {
         c = preset("switch-dit-s/2"), c.schedule = "rectified_flow", c.prediction = "velocity";
       }},
      {"time_scale", [](ModelConfig& c) { c = preset("switch-dit-s/2"), c.time_scale = 1000; }},
      // Of another family
      {"experts_per_timestep", [](ModelConfig& c) { c.experts_per_timestep = -1; }},
      {"timestep_experts", [](ModelConfig& c) { c.timestep_experts = 3; }},
      {"task_alpha", [](ModelConfig& c) { c.task_alpha = 1e300; }},
      {"task_beta", [](ModelConfig& c) { c.task_beta = std::nan(""); }},
      {"task_alpha", [](ModelConfig& c) { c = preset("switch-dit-s/2"), c.task_alpha = 4; }},
      {"timestep_experts", [](ModelConfig& c) { c = preset("dtr-s/2"), c.timestep_experts = 3; }},
      {"token_router", [](ModelConfig& c) { c = preset("dit-s/2"), c.token_router = "loss_free"; }},
      {"prediction", [](ModelConfig& c) { c = preset("dit-s/2"), c.prediction = "velocity"; }},
      {"prediction", [](ModelConfig& c) { c = preset("dit-s/2"), c.learn_sigma = false; }},
      {"schedule", [](ModelConfig& c) { c.schedule = ""; }},
      {"prediction", [](ModelConfig& c) { c.prediction = "noise"; }},
      {"input_size", [](ModelConfig& c) { c.input_size = 0; }},
      {"input_size", [](ModelConfig& c) { c.input_size = 1 << 20; }},
      {"patch_size", [](ModelConfig& c) { c.patch_size = -4; }},
      {"patch_size", [](ModelConfig& c) { c.patch_size = 3; }},
      {"in_channels", [](ModelConfig& c) { c.in_channels = 0; }},
      {"hidden_size", [](ModelConfig& c) { c.hidden_size = INT64_MAX; }},
      {"hidden_size", [](ModelConfig& c) { c.hidden_size = 34, c.num_heads = 1; }},
      {"depth", [](ModelConfig& c) { c.depth = 0; }},
      {"num_heads", [](ModelConfig& c) { c.num_heads = 5; }},
      {"num_heads", [](ModelConfig& c) { c.num_heads = 0; }},
      {"num_experts", [](ModelConfig& c) { c.num_experts = 0; }},
      {"experts_per_token", [](ModelConfig& c) { c.experts_per_token = 5; }},
      {"experts_per_token", [](ModelConfig& c) { c.experts_per_token = 0; }},
      {"expert_hidden", [](ModelConfig& c) { c.expert_hidden = 0; }},
      {"shared_hidden", [](ModelConfig& c) { c.shared_hidden = -1; }},
      {"num_classes", [](ModelConfig& c) { c.num_classes = 0; }},
      {"class_names", [](ModelConfig& c) { c.class_names = {"one"}; }},
      {"class_names", [](ModelConfig& c) { c.class_names.assign(c.num_classes, "\x1b[31m"); }},
      {"frequency_shift", [](ModelConfig& c) { c.frequency_shift = 2; }},
      {"norm_eps", [](ModelConfig& c) { c.norm_eps = 0; }},
      {"norm_eps", [](ModelConfig& c) { c.norm_eps = std::nan(""); }},
      {"block_embedders", [](ModelConfig& c) { c = preset("switch-dit-s/2"), c.block_embedders = true; }},
      {"time_scale", [](ModelConfig& c) { c.time_scale = 0; }},
      {"time_scale", [](ModelConfig& c) { c.time_scale = std::stod("nan"); }},
  };
  for (const auto& test : cases) {
    auto config = preset("tiny");
    test.spoil(config);
    EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { config.validate(); }), test.named));
  }
}

TEST(Config, PresetsAreValid) {
  for (const auto name : preset_names()) EXPECT_NO_THROW(preset(name).validate()) << name;
}

TEST(Config, UnknownPresetListsTheKnown) {
  const auto message = message_of<std::invalid_argument>([] { preset("dit-moe-s"); });
  for (const auto name : preset_names()) EXPECT_TRUE(contains(message, std::string(name)));
}

// Given to whole millions, or tenths of a billion. DiT: Peebles and Xie 2023, table 4; DiT-MoE: Fei et al.
// 2024, table 1 (dense models activate all they have). Switch-DiT: the DiT beside, and 3 (D^2 + D) + 3 (D +
// 1) per block.
TEST(Config, ParameterCountsAsPublished) {
  struct Case {
    const char* preset;
    double total, activated, unit;
  };
  for (const auto& [name, total, activated, unit] : {Case{"dit-s/2", 33e6, 33e6, 1e6},
                                                     {"dit-s/4", 33e6, 33e6, 1e6},
                                                     {"dit-s/8", 33e6, 33e6, 1e6},
                                                     {"dit-b/2", 130e6, 130e6, 1e6},
                                                     {"dit-b/4", 130e6, 130e6, 1e6},
                                                     {"dit-b/8", 131e6, 131e6, 1e6},
                                                     {"dit-l/2", 458e6, 458e6, 1e6},
                                                     {"dit-l/4", 458e6, 458e6, 1e6},
                                                     {"dit-l/8", 459e6, 459e6, 1e6},
                                                     {"dit-xl/2", 675e6, 675e6, 1e6},
                                                     {"dit-xl/4", 675e6, 675e6, 1e6},
                                                     {"dit-xl/8", 676e6, 676e6, 1e6},
                                                     {"dit-moe-s/2-8e2a", 199e6, 71e6, 1e6},
                                                     {"dit-moe-s/2-16e2a", 369e6, 71e6, 1e6},
                                                     {"dit-moe-b/2-8e2a", 795e6, 286e6, 1e6},
                                                     {"dit-moe-l/2-8e2a", 2.8e9, 1.0e9, 1e8},
                                                     {"dit-moe-xl/2-8e2a", 4.1e9, 1.5e9, 1e8},
                                                     {"dit-moe-g/2-16e2a", 16.5e9, 3.1e9, 1e8}}) {
    const auto count = count_parameters(preset(name));
    EXPECT_NEAR(static_cast<double>(count.total), total, unit) << name;
    EXPECT_NEAR(static_cast<double>(count.activated), activated, unit) << name;
  }
}

TEST(Config, SwitchDitIsDitAndItsRouters) {
  for (const std::string size : {"s/2", "b/2", "l/2", "xl/2"}) {
    const auto config = preset("switch-dit-" + size);
    const int64_t d = config.hidden_size, expert = d * d + d;
    const auto dense = count_parameters(preset("dit-" + size)), routed = count_parameters(config);
    EXPECT_EQ(routed.total, dense.total + config.depth * 3 * (expert + d + 1)) << size;
    EXPECT_EQ(routed.total - routed.activated, config.depth * expert) << size;
    EXPECT_EQ(count_parameters(preset("dtr-" + size)).total, dense.total) << "DTR adds no parameter";
  }
}

TEST(Config, PublishedXlAndGAreTheirSizes) {
  struct Case {
    const char* preset;
    int64_t depth, width, heads;
  };
  for (const auto& [name, depth, width, heads] : {Case{"dit-moe-xl/2-8e2a", 28, 1152, 16},
                                                  {"dit-moe-g/2-16e2a", 40, 1408, 16},
                                                  {"dit-xl/8", 28, 1152, 16}}) {
    const auto config = preset(name);
    EXPECT_EQ(config.depth, depth) << name;
    EXPECT_EQ(config.hidden_size, width) << name;
    EXPECT_EQ(config.num_heads, heads) << name;
  }
}

}  // namespace
}  // namespace switchyard::dit
