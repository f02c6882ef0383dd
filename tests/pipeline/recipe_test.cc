// Routing recipes on a model whose routing is planted: every patch has a known order of experts, in every layer,
// at every time, in every dtype.
#include "pipeline/recipe.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "../io/scratch.h"
#include "io/error.h"
#include "io/png.h"
#include "pipeline/session.h"
#include "planted_model.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;

// What a token's experts should weigh, by the definition: the keys of an edited softmax, one token at a time.
std::map<int64_t, float> expected_weights(const float* p, int64_t t, const RoutingRecipe& recipe, int64_t layer,
                                          double noise, bool conditional, int64_t image) {
  std::vector<float> key(p, p + kExperts), scale(kExperts, 1.0f);
  for (const auto& edit : recipe) {
    const auto in = [](const std::vector<int64_t>& list, int64_t x) {
      return list.empty() || std::ranges::find(list, x) != list.end();
    };
    if (!in(edit.layers, layer) || !in(edit.images, image)) continue;
    if (noise < edit.t_low || noise > edit.t_high) continue;
    if (edit.half == RoutingEdit::Half::conditional && !conditional) continue;
    if (edit.half == RoutingEdit::Half::unconditional && conditional) continue;
    if (!edit.region.empty() && !edit.region[t]) continue;
    for (const int64_t e : edit.experts) {
      if (edit.action == RoutingEdit::Action::mute) key[e] = -1;
      if (edit.action == RoutingEdit::Action::force && key[e] >= 0) key[e] = p[e] + 10;
      if (edit.action == RoutingEdit::Action::scale) scale[e] *= static_cast<float>(edit.factor);
    }
  }
  std::vector<int64_t> order(kExperts);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return key[a] > key[b]; });
  std::map<int64_t, float> weights;
  for (int64_t slot = 0; slot < 2; ++slot)
    if (key[order[slot]] >= 0) weights[order[slot]] = p[order[slot]] * scale[order[slot]];
  return weights;
}

struct Case {
  const char *name, *recipe;
};
constexpr Case kCases[] = {
    {"nothing", "[]"},
    {"mute", R"([{"experts": [1], "action": "mute"}])"},
    {"muteInALayer", R"([{"experts": [0, 3], "action": "mute", "layers": [1]}])"},
    {"forceEarly", R"([{"experts": [2], "action": "force", "t": [0.5, 1]}])"},
    {"forceInOneHalf", R"([{"experts": [2], "action": "force", "half": "unconditional"}])"},
    {"scaleInARegion",
     R"([{"experts": [0, 1], "action": "scale", "factor": 0.5, "region": {"rectangle": [1, 0, 2, 3]}}])"},
    {"muteTillOneIsLeft", R"([{"experts": [0, 1, 2], "action": "mute",
                               "region": {"patches": ["1000", "0000", "0001", "0000"]}}])"},
    {"oneImage", R"([{"experts": [3], "action": "force", "images": [1, 4]}])"},
    {"several", R"([{"experts": [1], "action": "mute", "half": "conditional", "t": [0, 0.7]},
                    {"experts": [2], "action": "force", "layers": [0, 2], "region": {"rectangle": [0, 0, 4, 1]}},
                    {"experts": [2], "action": "scale", "factor": 0.25},
                    {"experts": [2, 3], "action": "scale", "factor": 4, "images": [0]}])"},
};

class PlantedRouting : public ::testing::TestWithParam<std::tuple<Case, at::ScalarType, int64_t>> {};
INSTANTIATE_TEST_SUITE_P(Edits, PlantedRouting,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::Values(1, 3, 8)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + toString(std::get<1>(test.param)) +
                                  "Batch" + std::to_string(std::get<2>(test.param));
                         });

Request request_for(const std::string& recipe, int64_t batch) {
  Request request;
  request.settings.grid.steps = 3;
  request.recipe = recipe_from_json(Json::parse(recipe), planted_config(), "test");
  request.batch_size = batch;
  for (int64_t i = 0; i < 8; ++i) request.images.push_back({i, static_cast<uint64_t>(i)});
  return request;
}

TEST_P(PlantedRouting, EditsChangeExactlyWhatTheySpeakOf) {
  const auto& [which, dtype, batch] = GetParam();
  if (!kernels::has_products(dtype)) GTEST_SKIP() << "no such products on this processor";
  Session session(planted_model(dtype));
  const auto request = request_for(which.recipe, batch);
  int events = 0;
  Observer observer;
  observer.probabilities = true;
  observer.routing = [&](const StepRouting& r) {
    ++events;
    const auto &p = r.tokens.probabilities, &weights = r.tokens.gate_weights;
    for (int64_t layer = 0; layer < planted_config().depth; ++layer) {
      for (int64_t n = 0; n < r.images; ++n) {
        for (int64_t t = 0; t < kTokens; ++t) {
          const float* of_token = p[layer][n][t].const_data_ptr<float>();
          EXPECT_GT(of_token[t % kExperts], of_token[(t + 1) % kExperts]) << "the plant failed";
          const auto expected =
              expected_weights(of_token, t, request.recipe, layer, r.t, r.conditional, r.first_image + n);
          for (int64_t e = 0; e < kExperts; ++e) {
            const float got = weights[layer][n][t].const_data_ptr<float>()[e];
            EXPECT_EQ(got, expected.contains(e) ? expected.at(e) : 0.0f)
                << "layer " << layer << ", image " << r.first_image + n << ", token " << t << ", expert " << e
                << ", t " << r.t << (r.conditional ? ", with" : ", without") << " the class";
          }
        }
      }
    }
    return !::testing::Test::HasFailure();
  };
  EXPECT_TRUE(session.draw(request, observer));
  EXPECT_EQ(events, 3 * 2 * ((8 + batch - 1) / batch));
}

// With a model that answers to its routing: the pixels depend on the recipe, and not on the batch or on watching.
TEST(Recipe, PixelsDependOnItAndOnNothingElse) {
  dit::DiffusionTransformer model(planted_config());
  const at::NoGradGuard no_grad;
  const auto generator = at::detail::createCPUGenerator(6);
  for (auto& [name, tensor] : model.parameters()) tensor->normal_(0.0, 0.2, generator);
  Session session(std::move(model));
  const auto pixels = [&](const Request& request, bool watched) {
    std::vector<at::Tensor> images;
    Observer observer;
    observer.image_finished = [&](const ImageFinished& done) {
      images.push_back(done.pixels);
      return true;
    };
    if (watched) observer.routing = [](const StepRouting&) { return true; };
    EXPECT_TRUE(session.draw(request, observer));
    return at::stack(images);
  };
  const auto plain = pixels(request_for("[]", 3), false);
  for (const auto& [name, recipe] : kCases) {
    SCOPED_TRACE(name);
    const auto drawn = pixels(request_for(recipe, 1), false);
    EXPECT_EQ(at::equal(drawn, plain), std::string(name) == "nothing");
    EXPECT_TRUE(at::equal(drawn, pixels(request_for(recipe, 3), true)));
    EXPECT_TRUE(at::equal(drawn, pixels(request_for(recipe, 8), false)));
  }
}

TEST(Recipe, RoundTripsThroughJson) {
  for (const auto& [name, text] : kCases) {
    const auto recipe = recipe_from_json(Json::parse(text), planted_config(), "test");
    EXPECT_EQ(recipe_from_json(to_json(recipe, planted_config()), planted_config(), "test"), recipe) << name;
  }
}

TEST(Recipe, IsStoredInEveryImageDrawnWithIt) {
  Session session(planted_model(at::kFloat));
  const auto request = request_for(kCases[8].recipe, 8);
  for (const size_t image : {0, 5}) {
    const auto stored = read_image_text(session.text_of(request, image), "test");
    EXPECT_EQ(recipe_from_json(stored.recipe, planted_config(), "test"),
              recipe_of_image(request.recipe, static_cast<int64_t>(image)));
  }
  EXPECT_TRUE(read_image_text(session.text_of(request_for("[]", 8), 0), "test").recipe.empty());
}

TEST(Recipe, OfOneImageSaysNothingOfOthers) {
  const auto recipe = recipe_from_json(Json::parse(kCases[8].recipe), planted_config(), "test");
  EXPECT_EQ(recipe_of_image(recipe, 0).size(), 4u);
  EXPECT_EQ(recipe_of_image(recipe, 1).size(), 3u);
  for (const auto& edit : recipe_of_image(recipe, 0)) EXPECT_TRUE(edit.images.empty());
}

using RecipeFiles = io::Scratch;

TEST_F(RecipeFiles, MayNameAMaskBesideThem) {
  auto mask = at::zeros({8, 8, 3}, at::kByte);
  mask.narrow(0, 0, 2).narrow(1, 6, 2).fill_(255);  // the patch on the top right
  io::write_png(file("mask.png"), mask);
  put("recipe.json", R"([{"experts": [0], "action": "mute", "region": {"mask": "mask.png"}}])");
  const auto recipe = read_recipe(file("recipe.json"), planted_config());
  std::vector<bool> expected(kTokens);
  expected[3] = true;
  EXPECT_EQ(recipe.at(0).region, expected);
}

struct Wrong {
  const char *recipe, *expected;
};

TEST(Recipe, ErrorsNameEditAndField) {
  constexpr Wrong kWrong[] = {
      {R"({"experts": [0]})", "a recipe is a list of edits"},
      {R"([{"experts": [0], "action": "mute"}, {"action": "mute"}])", "recipe edit 1: field \"experts\" is missing"},
      {R"([{"experts": [4], "action": "mute"}])", "recipe edit 0: field \"experts\" must be in 0 .. 3, layer 0 has 4"},
      {R"([{"experts": [], "action": "mute"}])", "recipe edit 0: field \"experts\" must be a list"},
      {R"([{"experts": [1.5], "action": "mute"}])", "recipe edit 0: field \"experts\" must hold whole numbers"},
      {R"([{"experts": [0], "action": "kill"}])", "field \"action\" must be one of \"mute\", \"scale\", \"force\", got \"kill\""},
      {R"([{"experts": [0], "action": "scale"}])", "field \"factor\" is missing"},
      {R"([{"experts": [0], "action": "mute", "factor": 2}])", "field \"factor\" is for the action \"scale\""},
      {R"([{"experts": [0], "action": "mute", "layers": [3]}])", "field \"layers\" must hold whole numbers in 0 .. 2, got 3"},
      {R"([{"experts": [0], "action": "mute", "t": [0.5, 0.2]}])", "field \"t\" must be [low, high], got [0.5,0.2]"},
      {R"([{"experts": [0], "action": "mute", "t": [0, 2]}])", "field \"t\" must be a number in 0 .. 1, got 2"},
      {R"([{"experts": [0], "action": "mute", "region": {"rectangle": [3, 0, 2, 1]}}])", "does not lie within the 4 x 4 patches"},
      {R"([{"experts": [0], "action": "mute", "region": {"patches": ["0000"]}}])", "patches must be 4 texts of 4 0 or 1"},
      {R"([{"experts": [0], "action": "mute", "router": "timesteps"}])", "field \"router\" the model routes no timesteps"},
      {R"([{"experts": [0], "action": "mute", "half": "left"}])", "field \"half\" must be one of"},
      {R"([{"experts": [0], "action": "mute", "colour": 1}])", "field \"colour\" is not a field of an edit"},
  };
  for (const auto& [recipe, expected] : kWrong) {
    const auto message = io::message_of<io::InputError>(
        [&] { recipe_from_json(Json::parse(recipe), planted_config(), "wrong.json"); });
    EXPECT_TRUE(io::contains(message, expected)) << message;
    EXPECT_TRUE(io::contains(message, "wrong.json")) << message;
  }
}

TEST(Recipe, ThatLeavesATokenWithoutAnExpertIsRefusedBeforeAnythingIsDrawn) {
  constexpr Wrong kImpossible[] = {
      {R"([{"experts": [0, 1], "action": "mute"}, {"experts": [0], "action": "scale", "factor": 2},
           {"experts": [2, 3], "action": "mute", "layers": [1], "t": [0.2, 0.4], "region": {"rectangle": [1, 0, 1, 1]}}])",
       "edits 0, 2: in layer 1 token 1 is left without an expert"},
      {R"([{"experts": [0, 1, 2], "action": "force"}])",
       "edit 0: in layer 0 more experts are forced than the 2 that token 0 picks"},
  };
  Session session(planted_model(at::kFloat));
  for (const auto& [recipe, expected] : kImpossible) {
    const auto message =
        io::message_of<std::invalid_argument>([&] { session.draw(request_for(recipe, 8)); });
    EXPECT_TRUE(io::contains(message, expected)) << message;
  }
  // Outside of the times at which the model is asked, nothing is impossible.
  EXPECT_NO_THROW(session.check(request_for(
      R"([{"experts": [0, 1, 2, 3], "action": "mute", "t": [0.4, 0.6]}])", 8)));
}

}  // namespace
}  // namespace switchyard::pipeline
