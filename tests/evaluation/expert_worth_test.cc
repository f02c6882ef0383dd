#include "evaluation/expert_worth.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace switchyard::evaluation {
namespace {

TEST(Ablations, MuteEachExpertOfTheLayers) {
  const auto config = dit::preset("tiny");
  const auto rows = ablations(config, {1, 0});
  ASSERT_EQ(rows.size(), 1u + 2 * static_cast<size_t>(config.num_experts));
  EXPECT_EQ(rows[0].label, "as it is");
  EXPECT_TRUE(rows[0].recipe.empty());
  EXPECT_EQ(rows[3].label, "layer 1, expert 2 muted");
  EXPECT_EQ(rows[3].recipe, (pipeline::RoutingRecipe{{.layers = {1}, .experts = {2}}}));
}

TEST(Ablations, WithoutLayersMuteEachExpertEverywhereBesideTheUsualRecipe) {
  const auto config = dit::preset("tiny");
  const pipeline::RoutingRecipe usual{{.layers = {0}, .experts = {3}}};
  const auto rows = ablations(config, {}, usual);
  ASSERT_EQ(rows.size(), 1u + static_cast<size_t>(config.num_experts));
  EXPECT_EQ(rows[0].recipe, usual);
  EXPECT_EQ(rows[1].label, "expert 0 muted");
  EXPECT_EQ(rows[1].recipe, (pipeline::RoutingRecipe{usual[0], {.experts = {0}}}));
}

TEST(Ablations, OfAModelThatRoutesTimestepsMuteThose) {
  const auto config = dit::preset("solids-switch/8");
  const auto rows = ablations(config, {});
  ASSERT_EQ(rows.size(), 1u + static_cast<size_t>(config.timestep_experts));
  EXPECT_EQ(rows[1].recipe.front().router, pipeline::Router::timesteps);
}

TEST(Ablations, RefuseLayersAndModelsWithoutExperts) {
  EXPECT_THROW(ablations(dit::preset("tiny"), {99}), std::invalid_argument);
  EXPECT_THROW(ablations(dit::preset("tiny"), {-1}), std::invalid_argument);
  EXPECT_THROW(ablations(dit::preset("dit-s/2"), {}), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::evaluation
