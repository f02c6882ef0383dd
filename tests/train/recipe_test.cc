#include "train/recipe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace switchyard::train {
namespace {

TEST(Recipe, NamedRecipesAreValid) {
  for (const auto name : recipe_names()) EXPECT_NO_THROW(recipe(name).validate()) << name;
}

TEST(Recipe, UnknownNameListsTheKnownOnes) {
  try {
    recipe("solid");
    FAIL() << "expected std::invalid_argument";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("solids"), std::string::npos) << error.what();
  }
}

struct BadRecipe {
  const char* field;
  std::function<void(Recipe&)> spoil;
};

TEST(Recipe, BadFieldIsNamed) {
  const BadRecipe cases[] = {
      {"images", [](Recipe& r) { r.images = 0; }},
      {"images", [](Recipe& r) { r.images = INT64_MAX; }},
      {"batch_size", [](Recipe& r) { r.batch_size = 0; }},
      {"time_scale", [](Recipe& r) { r.time_scale = std::nan(""); }},
      {"model must draw", [](Recipe& r) { r.model = "dit-moe-s/2-8e2a"; }},
      {"shard_size", [](Recipe& r) { r.shard_size = 3; }},
      {"shard_size", [](Recipe& r) { r.shard_size = 0; }},
      {"learning_rate", [](Recipe& r) { r.learning_rate = -1; }},
      {"learning_rate", [](Recipe& r) { r.learning_rate = std::nan(""); }},
      {"decay_fraction", [](Recipe& r) { r.decay_fraction = 1.5; }},
      {"beta2", [](Recipe& r) { r.beta2 = 1.0; }},
      {"class_dropout", [](Recipe& r) { r.class_dropout = 1.1; }},
      {"min_time", [](Recipe& r) { r.min_time = 0; }},
      {"image_size", [](Recipe& r) { r.image_size = 30; }},
      {"image_size", [](Recipe& r) { r.image_size = 1024; }},
      {"model preset", [](Recipe& r) { r.model = "nothing"; }},
  };
  for (const auto& [field, spoil] : cases) {
    Recipe recipe;
    spoil(recipe);
    try {
      recipe.validate();
      FAIL() << "expected std::invalid_argument for " << field;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
    }
  }
}

TEST(Recipe, LearningRateWarmsUpHoldsAndFallsToZero) {
  Recipe r;
  r.images = 6400;
  r.batch_size = 64;
  r.warmup_images = 640;
  r.decay_fraction = 0.5;
  r.learning_rate = 1.0;
  EXPECT_DOUBLE_EQ(r.learning_rate_at(0), 0.1);
  EXPECT_DOUBLE_EQ(r.learning_rate_at(9), 1.0);
  EXPECT_DOUBLE_EQ(r.learning_rate_at(49), 1.0);
  EXPECT_DOUBLE_EQ(r.learning_rate_at(75), 0.5);
  EXPECT_DOUBLE_EQ(r.learning_rate_at(100), 0.0);
}

TEST(Recipe, JsonHoldsEveryField) {
  int fields = 0;
  Recipe r;
  Recipe::for_each_field(r, [&](const char* name, const auto& value, const char*) {
    ++fields;
    EXPECT_EQ(to_json(r).at(name), nlohmann::json(value)) << name;
  });
  EXPECT_EQ(to_json(r)["data"], "solids");
  EXPECT_EQ(to_json(r).size(), static_cast<size_t>(fields) + 1);
}

TEST(Recipe, SolidsHaveSettingsOfTheirOwn) {
  EXPECT_EQ(
      settings_of(recipe("solids")).dump(),
      R"({"clip":0.0,"guidance":{"scale":1.0},"quantization":"round","shift":3.0,"solver":"euler_stochastic","steps":40})");
  EXPECT_EQ(settings_of(recipe("solids"), 15)["steps"], 15);
  EXPECT_TRUE(settings_of(recipe("tiny")).is_null());
}

}  // namespace
}  // namespace switchyard::train
