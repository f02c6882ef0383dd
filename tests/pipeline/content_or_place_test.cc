#include "pipeline/content_or_place.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "planted_model.h"

namespace switchyard::pipeline {
namespace {

// Blocks are identities. Of a token, channels 0 .. 3 say where it is, as in the planted model, and channels 4 .. 7 what
// is in it: sums over the patch with random weights. Layer 0 routes by the place, layer 1 by the content, layer 2 by the
// place again.
dit::DiffusionTransformer model_of_both(bool mirrored_weights) {
  const at::NoGradGuard no_grad;
  auto model = planted_model();
  auto state = model.state_dict();
  auto embedder = state.at("x_embedder.proj.weight");  // [D, C, p, p]
  auto weights = at::randn({kExperts, embedder.size(1), embedder.size(2), embedder.size(3)},
                           at::make_generator<at::CPUGeneratorImpl>(5));
  if (mirrored_weights) weights = weights + weights.flip(-1);  // a mirrored patch is the same
  embedder.narrow(0, 4, kExperts).copy_(weights);
  auto gate = state.at("blocks.1.moe.gate.weight").zero_();
  for (int64_t e = 0; e < kExperts; ++e) gate[e][4 + e] = 0.5;
  return model;
}

class ContentOrPlace : public ::testing::TestWithParam<double> {};

TEST_P(ContentOrPlace, TellsThemApart) {
  Session session(model_of_both(/*mirrored_weights=*/true));
  const auto latent = at::randn({3, 16, 16}, at::make_generator<at::CPUGeneratorImpl>(6));
  const auto score = content_or_place(session, latent, 1, 7, GetParam());
  ASSERT_TRUE(score);
  for (const auto& [name, table] :
       {std::pair("shifted", score->shifted), std::pair("mirrored", score->mirrored)}) {
    ASSERT_EQ(table.sizes(), at::IntArrayRef({3, kExperts})) << name;
    EXPECT_TRUE(table[1].eq(1).all().item<bool>()) << name << table;
    for (const int64_t layer : {0, 2}) {
      // Mirrored, the columns that take experts 0 and 2 change places with each other: nothing to tell apart.
      EXPECT_TRUE(table[layer].nan_to_num(0).eq(0).all().item<bool>()) << name << table;
      EXPECT_EQ(table[layer][1].item<float>(), 0) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Times, ContentOrPlace, ::testing::Values(0.9, 0.3, 0.01));

TEST(ContentOrPlaceOf, MirroredContentIsOtherContentToAModelThatSeesTheDifference) {
  Session session(model_of_both(/*mirrored_weights=*/false));
  const auto latent = at::randn({3, 16, 16}, at::make_generator<at::CPUGeneratorImpl>(6));
  const auto score = content_or_place(session, latent, 1, 7, 0.3);
  EXPECT_TRUE(score->shifted[1].eq(1).all().item<bool>());
  EXPECT_LT(score->mirrored[1].mean().item<float>(), 0.9);
}

TEST(ContentOrPlaceOf, CountsWhereTheyDiffer) {
  // Places 0 .. 3, everything moved on by one. Expert 0 was in place 0; content foresees place 1, place foresees 0.
  const auto source = at::tensor({3, 0, 1, 2}, at::kLong);
  const auto chosen = [](std::vector<int64_t> who) {
    return at::tensor(who, at::kLong).view({1, 4, 1}).eq(1);
  };
  struct {
    std::vector<int64_t> after;
    int64_t with_content;
  } const cases[] = {
      {{0, 1, 0, 0}, 2}, {{1, 0, 0, 0}, 0}, {{1, 1, 0, 0}, 1}, {{0, 0, 0, 0}, 1}, {{0, 1, 1, 1}, 2}};
  for (const auto& [after, with_content] : cases) {
    const auto found = followed(chosen({1, 0, 0, 0}), chosen(after), source);
    EXPECT_EQ(found.differ.item<int64_t>(), 2);
    EXPECT_EQ(found.with_content.item<int64_t>(), with_content) << after;
  }
  EXPECT_EQ(followed(chosen({1, 1, 1, 1}), chosen({0, 0, 0, 0}), source).differ.item<int64_t>(), 0);
}

TEST(ContentOrPlaceOf, ExpertsThatNobodyChoosesHaveNoScore) {
  auto model = planted_model();
  const at::NoGradGuard no_grad;
  auto state = model.state_dict();
  state.at("pos_embed").zero_();  // all tokens are alike: everybody goes to experts 0 and 1
  Session session(std::move(model));
  const auto score = content_or_place(session, at::zeros({3, 16, 16}), 0, 1, 0.5);
  EXPECT_TRUE(score->shifted.isnan().all().item<bool>());
}

TEST(ContentOrPlaceOf, Stops) {
  Session session(planted_model());
  EXPECT_FALSE(content_or_place(session, at::zeros({3, 16, 16}), 0, 1, 0.5, [] { return true; }));
}

}  // namespace
}  // namespace switchyard::pipeline
