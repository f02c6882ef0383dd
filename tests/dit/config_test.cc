// The configuration: JSON there and back, every wrong field named, presets as published.
#include "dit/config.h"

#include <gtest/gtest.h>

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
  const auto json = to_json(preset("solids"));
  EXPECT_EQ(json.at("input_size"), 64);
  EXPECT_EQ(json.at("learn_sigma"), false);
  EXPECT_EQ(json.at("prediction"), "clean_image");
}

TEST(Config, EachMissingFieldIsNamed) {
  const auto whole = to_json(preset("tiny"));
  for (const auto& [field, value] : whole.items()) {
    auto json = whole;
    json.erase(field);
    EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { config_from_json(json); }),
                         "\"" + field + "\" is missing"));
  }
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

// Fei et al. 2024, table 1; given to whole millions, or tenths of a billion.
TEST(Config, ParameterCountsAsPublished) {
  struct Case {
    const char* preset;
    double total, activated, unit;
  };
  for (const auto& [name, total, activated, unit] : {Case{"dit-moe-s/2-8e2a", 199e6, 71e6, 1e6},
                                                     {"dit-moe-s/2-16e2a", 369e6, 71e6, 1e6},
                                                     {"dit-moe-b/2-8e2a", 795e6, 286e6, 1e6},
                                                     {"dit-moe-l/2-8e2a", 2.8e9, 1.0e9, 1e8},
                                                     {"dit-moe-xl/2-8e2a", 4.1e9, 1.5e9, 1e8}}) {
    const auto count = count_parameters(preset(name));
    EXPECT_NEAR(static_cast<double>(count.total), total, unit) << name;
    EXPECT_NEAR(static_cast<double>(count.activated), activated, unit) << name;
  }
}

}  // namespace
}  // namespace switchyard::dit
