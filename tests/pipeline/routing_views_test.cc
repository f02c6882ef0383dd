// Views of planted routing, against plain loops over what was planted.
#include "pipeline/routing_views.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <stdexcept>

#include "pipeline/session.h"
#include "planted_model.h"

namespace switchyard::pipeline {
namespace {

struct Size {
  const char* name;
  int64_t tokens, experts, k, images, steps, layers;
  bool ragged = false;  // a token has 0 .. k experts
  int64_t fewer = 0;    // above 0: so many experts in layer 0 (at least k)
};
std::ostream& operator<<(std::ostream& out, const Size& size) { return out << size.name; }

// Who was chosen, the strongest first: token t of image i prefers expert i + s + 2 l + t + h, then the next ones, each
// with half the weight of the one before. The last expert of all is never chosen where there are more than k + 1.
struct Choice {
  int64_t expert;
  float weight;
};
std::vector<Choice> planted(const Size& z, int64_t image, int64_t step, int64_t layer, int64_t half,
                            int64_t token) {
  const int64_t there = layer == 0 && z.fewer > 0 ? z.fewer : z.experts;
  const int64_t used = there > z.k + 1 ? there - 1 : there;
  const int64_t count = z.ragged ? (token + step) % (z.k + 1) : z.k;
  std::vector<Choice> choices;
  for (int64_t i = 0; i < count; ++i)
    choices.push_back(
        {(image + step + 2 * layer + token + half + i) % used, std::ldexp(0.5f, static_cast<int>(-i))});
  return choices;
}
// In halves without guidance, and after a cancelled step.
bool was_evaluated(const Size& z, int64_t image, int64_t step, int64_t half) {
  return !(half == 1 && step % 3 == 2) && !(image == z.images - 1 && image > 0 && step == z.steps - 1);
}
// Of the chosen ones more than of the others, all of them different.
float planted_probability(const Size& z, int64_t expert, const std::vector<Choice>& choices) {
  for (const auto& choice : choices)
    if (choice.expert == expert) return choice.weight;
  return 0.001f * static_cast<float>(z.experts - expert);
}

RoutingRecord record_of(const Size& z) {
  dit::ModelConfig config;
  config.depth = z.layers;
  config.num_experts = z.experts;
  config.experts_per_token = z.k;
  if (z.fewer > 0) {
    config.block_experts.assign(static_cast<size_t>(z.layers), z.experts);
    config.block_experts[0] = z.fewer;
  }
  config.input_size = 8;
  config.patch_size = 1;
  Request request;
  request.settings.grid.steps = static_cast<int>(z.steps);
  for (int64_t i = 0; i < z.images; ++i) request.images.push_back({.label = i, .seed = 0});
  RoutingRecord record(config, request, Router::tokens, /*keep_probabilities=*/true);
  for (auto* tensor : {&record.experts, &record.gate_weights, &record.probabilities})
    *tensor = tensor->narrow(4, 0, z.tokens).contiguous();
  for (int64_t n = 0; n < z.images; ++n) {
    for (int64_t s = 0; s < z.steps; ++s) {
      for (int64_t h = 0; h < 2; ++h) {
        if (!was_evaluated(z, n, s, h)) continue;
        record.evaluated[n][s][h] = true;
        auto ids = at::full({z.layers, z.tokens, z.k}, record.no_expert(), at::kLong);
        auto weights = at::zeros({z.layers, z.tokens, z.k}), all = at::zeros({z.layers, z.tokens, z.experts});
        for (int64_t l = 0; l < z.layers; ++l) {
          for (int64_t t = 0; t < z.tokens; ++t) {
            const auto choices = planted(z, n, s, l, h, t);
            for (size_t i = 0; i < choices.size(); ++i) {
              ids.accessor<int64_t, 3>()[l][t][static_cast<int64_t>(i)] = choices[i].expert;
              weights.accessor<float, 3>()[l][t][static_cast<int64_t>(i)] = choices[i].weight;
            }
            for (int64_t e = 0; e < z.experts; ++e)
              all.accessor<float, 3>()[l][t][e] = planted_probability(z, e, choices);
          }
        }
        record.experts[n][s].select(1, h).copy_(ids);
        record.gate_weights[n][s].select(1, h).copy_(weights);
        record.probabilities[n][s].select(1, h).copy_(all);
      }
    }
  }
  return record;
}

float measured(const Size& z, const std::vector<Choice>& choices, int64_t expert, Measure measure) {
  if (measure == Measure::probability) return planted_probability(z, expert, choices);
  for (const auto& choice : choices)
    if (choice.expert == expert) return measure == Measure::tokens ? 1.0f : choice.weight;
  return 0;
}

void expect_close(const at::Tensor& got, const at::Tensor& expected, double tolerance = 1e-3) {
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_TRUE(at::allclose(got.to(at::kDouble), expected.to(at::kDouble), 0, tolerance, /*equal_nan=*/true))
      << "got\n"
      << got << "\nexpected\n"
      << expected;
}

class RoutingViews : public ::testing::TestWithParam<Size> {
 protected:
  const Size& z = GetParam();
  RoutingRecord record = record_of(z);
  static constexpr Measure kMeasures[] = {Measure::tokens, Measure::weight, Measure::probability};

  int64_t experts_in(int64_t layer) const { return layer == 0 && z.fewer > 0 ? z.fewer : z.experts; }
  std::vector<int64_t> all_images() const {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < z.images; ++i) all.push_back(i);
    return all;
  }

  // The mean over the tokens of these images and steps, by the definition.
  double mean(const std::vector<int64_t>& images, int64_t first, int64_t last, int64_t layer, int64_t half,
              int64_t expert, Measure measure) const {
    if (expert >= experts_in(layer)) return NAN;
    double sum = 0, count = 0;
    for (const auto n : images) {
      for (int64_t s = first; s <= last; ++s) {
        for (int64_t t = 0; was_evaluated(z, n, s, half) && t < z.tokens; ++t, ++count)
          sum += measured(z, planted(z, n, s, layer, half, t), expert, measure);
      }
    }
    return sum / count;
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, RoutingViews,
                         ::testing::Values(Size{"OneToken", 1, 4, 2, 1, 1, 2},
                                           Size{"OfTimesteps", 1, 3, 2, 3, 5, 2},
                                           Size{"Odd", 31, 8, 2, 3, 4, 3}, Size{"Uneven", 33, 5, 3, 2, 6, 2},
                                           Size{"ExpertChoice", 33, 4, 4, 2, 4, 3, true},
                                           Size{"FewerInALayer", 31, 8, 2, 2, 3, 3, false, 3},
                                           Size{"ManyExperts", 31, 300, 2, 2, 3, 2}),
                         [](const auto& test) { return test.param.name; });

TEST_P(RoutingViews, TokenTableIsWhatWasPlanted) {
  for (const auto measure : kMeasures) {
    for (int64_t n = 0; n < z.images; ++n) {
      for (int64_t s = 0; s < z.steps; ++s) {
        const int64_t l = (n + s) % z.layers;
        at::Tensor of[2];
        for (int64_t h = 0; h < 2; ++h) {
          of[h] = at::full({z.tokens, z.experts}, NAN);
          for (int64_t t = 0; was_evaluated(z, n, s, h) && t < z.tokens; ++t) {
            for (int64_t e = 0; e < experts_in(l); ++e)
              of[h].accessor<float, 2>()[t][e] = measured(z, planted(z, n, s, l, h, t), e, measure);
          }
          expect_close(
              token_table(record, {n, s, l, h == 0 ? Half::conditional : Half::unconditional}, measure),
              of[h]);
        }
        expect_close(token_table(record, {n, s, l, Half::difference}, measure), of[0] - of[1]);
        const int64_t e = z.experts / 2;
        expect_close(patch_map(record, {n, s, l}, e, measure), of[0].select(1, e));
      }
    }
  }
}

TEST_P(RoutingViews, SumsOverExpertsAreTokensTimesK) {
  if (z.ragged) GTEST_SKIP() << "tokens have any number of experts";
  const auto table = token_table(record, {}, Measure::tokens);
  EXPECT_EQ(table.nansum().item<double>(), z.k * z.tokens);
  const auto map = timestep_map(record, {}, z.layers - 1, Measure::tokens);
  EXPECT_TRUE(at::allclose(map.sum(1), at::full({z.steps}, static_cast<double>(z.k)), 0, 1e-5)) << map.sum(1);
  const auto loads = atlas(record, {}, Measure::tokens).loads;
  EXPECT_TRUE(at::allclose(loads.nansum(1), at::full({z.layers}, static_cast<double>(z.k)), 0, 1e-5))
      << loads;
}

TEST_P(RoutingViews, WinnersAreTheFirstChoices) {
  const auto expected = [&](int64_t n, int64_t s, int64_t l, int64_t h, int64_t t) -> int64_t {
    const auto choices = planted(z, n, s, l, h, t);
    return was_evaluated(z, n, s, h) && !choices.empty() ? choices[0].expert : -1;
  };
  for (int64_t n = 0; n < z.images; ++n) {
    for (int64_t s = 0; s < z.steps; ++s) {
      for (int64_t l = 0; l < z.layers; ++l) {
        const auto with = winner_map(record, {n, s, l}),
                   without = winner_map(record, {n, s, l, Half::unconditional}),
                   difference = winner_map(record, {n, s, l, Half::difference});
        for (int64_t t = 0; t < z.tokens; ++t) {
          const auto a = expected(n, s, l, 0, t), b = expected(n, s, l, 1, t);
          ASSERT_EQ(with[t].item<int64_t>(), a);
          ASSERT_EQ(without[t].item<int64_t>(), b);
          ASSERT_EQ(difference[t].item<int64_t>(), b >= 0 && a != b ? a : -1);
        }
        const auto patch = z.tokens - 1;
        EXPECT_EQ(path_of_patch(record, n, patch, Half::conditional)[s][l].item<int64_t>(),
                  expected(n, s, l, 0, patch));
      }
    }
  }
}

TEST_P(RoutingViews, MarginIsLastChosenAgainstFirstRejected) {
  for (int64_t s = 0; s < z.steps; ++s) {
    const auto margin = margins(record, {0, s, 0});
    for (int64_t t = 0; t < z.tokens; ++t) {
      const auto choices = planted(z, 0, s, 0, 0, t);
      float least = INFINITY, greatest = -INFINITY;
      for (int64_t e = 0; e < experts_in(0); ++e) {
        const float p = planted_probability(z, e, choices);
        const bool chosen = measured(z, choices, e, Measure::tokens) > 0;
        if (chosen) least = std::min(least, p);
        if (!chosen) greatest = std::max(greatest, p);
      }
      const float got = margin[t].item<float>();
      if (std::isinf(least) || std::isinf(greatest))
        EXPECT_TRUE(std::isnan(got)) << "chose none or all: " << got;
      else
        EXPECT_NEAR(got, least - greatest, 1e-3);
    }
  }
}

TEST_P(RoutingViews, TimestepMapIsMeansOverTokens) {
  std::vector<std::vector<int64_t>> subsets = {all_images(), {z.images - 1}};
  if (z.images > 2) subsets.push_back({2, 0});
  for (const auto& images : subsets) {
    for (const auto measure : kMeasures) {
      const int64_t layer = z.layers - 1, first = z.steps > 2 ? 1 : 0,
                    last = z.steps > 2 ? z.steps - 2 : z.steps - 1;
      at::Tensor of[2];
      for (int64_t h = 0; h < 2; ++h) {
        of[h] = at::full({z.steps, z.experts}, NAN);
        for (int64_t s = first; s <= last; ++s) {
          for (int64_t e = 0; e < z.experts; ++e) of[h][s][e] = mean(images, s, s, layer, h, e, measure);
        }
        const auto half = h == 0 ? Half::conditional : Half::unconditional;
        expect_close(timestep_map(record, {images, first, last, half}, layer, measure), of[h]);
      }
      expect_close(timestep_map(record, {images, first, last, Half::difference}, layer, measure),
                   of[0] - of[1]);
    }
  }
  expect_close(timestep_map(record, {}, 0, Measure::weight),
               timestep_map(record, {all_images(), 0, z.steps - 1}, 0, Measure::weight));
}

TEST_P(RoutingViews, AtlasHasLoadsEntropyAndImbalance) {
  for (const auto measure : kMeasures) {
    const auto got = atlas(record, {}, measure);
    for (int64_t l = 0; l < z.layers; ++l) {
      double sum = 0, most = 0, entropy = 0;
      std::vector<double> loads;
      for (int64_t e = 0; e < z.experts; ++e) {
        const double load = mean(all_images(), 0, z.steps - 1, l, 0, e, measure);
        ASSERT_TRUE(std::abs(got.loads[l][e].item<double>() - load) < 1e-3 || e >= experts_in(l)) << load;
        ASSERT_EQ(std::isnan(got.loads[l][e].item<double>()), e >= experts_in(l));
        if (e >= experts_in(l)) continue;
        loads.push_back(load);
        sum += load;
        most = std::max(most, load);
      }
      for (const double load : loads) entropy -= load > 0 ? load / sum * std::log(load / sum) : 0;
      const auto count = static_cast<double>(loads.size());
      EXPECT_NEAR(got.imbalance[l].item<double>(), most / (sum / count), 2e-3 * count);
      EXPECT_NEAR(got.entropy[l].item<double>(), entropy / std::log(count), 2e-3);
    }
  }
}

TEST_P(RoutingViews, FlowIsTheSharesOfPairs) {
  const auto flow = [&](int64_t first, int64_t last, int64_t from_layer, int64_t to_layer, int64_t later,
                        int64_t h) {
    auto counts = at::zeros({z.experts, z.experts}, at::kDouble);
    for (int64_t n = 0; n < z.images; ++n) {
      for (int64_t s = first; s <= last; ++s) {
        if (!was_evaluated(z, n, s, h) || !was_evaluated(z, n, s + later, h)) continue;
        for (int64_t t = 0; t < z.tokens; ++t) {
          for (const auto& a : planted(z, n, s, from_layer, h, t))
            for (const auto& b : planted(z, n, s + later, to_layer, h, t))
              counts.accessor<double, 2>()[a.expert][b.expert] += 1;
        }
      }
    }
    counts /= counts.sum();
    counts.slice(0, experts_in(from_layer)).fill_(NAN);
    counts.slice(1, experts_in(to_layer)).fill_(NAN);
    return counts;
  };
  expect_close(flow_to_next_layer(record, {}, 0), flow(0, z.steps - 1, 0, 1, 0, 0), 1e-6);
  expect_close(flow_to_next_layer(record, {.half = Half::difference}, 0),
               flow(0, z.steps - 1, 0, 1, 0, 0) - flow(0, z.steps - 1, 0, 1, 0, 1), 1e-6);
  for (int64_t s = 0; s + 1 < z.steps; ++s)
    expect_close(flow_to_next_step(record, {.half = Half::unconditional}, s, 1), flow(s, s, 1, 1, 1, 1),
                 1e-6);
  EXPECT_THROW(flow_to_next_layer(record, {}, z.layers - 1), std::invalid_argument);
  EXPECT_THROW(flow_to_next_step(record, {}, z.steps - 1, 0), std::invalid_argument);
}

TEST_P(RoutingViews, DormantAreThoseThatNobodyChose) {
  for (const auto& dormant : dormant_experts(record, {}, 1e-9)) {
    EXPECT_EQ(dormant.share, 0);
    EXPECT_EQ(mean(all_images(), 0, z.steps - 1, dormant.layer, 0, dormant.expert, Measure::tokens), 0);
  }
  int64_t idle = 0;
  for (int64_t l = 0; l < z.layers; ++l)
    for (int64_t e = 0; e < experts_in(l); ++e)
      idle += mean(all_images(), 0, z.steps - 1, l, 0, e, Measure::tokens) == 0;
  EXPECT_EQ(static_cast<int64_t>(dormant_experts(record, {}, 1e-9).size()), idle);
  EXPECT_EQ(static_cast<int64_t>(dormant_experts(record, {}, 1e9).size()),
            z.fewer > 0 ? z.fewer + (z.layers - 1) * z.experts : z.layers * z.experts);
}

TEST_P(RoutingViews, StrongestPatchesCarryTheGreatestWeight) {
  const auto patches = strongest_patches(record, {}, 0, 0, 1000);
  std::vector<int> seen(static_cast<size_t>(z.images * z.tokens));
  double before = 1;
  for (const auto& patch : patches) {
    EXPECT_LE(patch.weight, before);
    before = patch.weight;
    EXPECT_EQ(seen[static_cast<size_t>(patch.image * z.tokens + patch.patch)]++, 0) << "twice";
    EXPECT_NEAR(patch.weight,
                measured(z, planted(z, patch.image, patch.step, 0, 0, patch.patch), 0, Measure::weight),
                1e-4);
    for (int64_t s = 0; s < z.steps; ++s) {
      if (!was_evaluated(z, patch.image, s, 0)) continue;
      EXPECT_LE(measured(z, planted(z, patch.image, s, 0, 0, patch.patch), 0, Measure::weight),
                patch.weight + 1e-4);
    }
  }
  EXPECT_EQ(strongest_patches(record, {}, 0, 0, 1).size(), patches.empty() ? 0u : 1u);
}

TEST_P(RoutingViews, ChangedChoicesAreZeroAgainstItself) {
  const auto same = changed_choices(record, {}, record, {});
  for (int64_t t = 0; t < z.tokens; ++t) {
    if (planted(z, 0, 0, 0, 0, t).empty())
      EXPECT_TRUE(std::isnan(same[t].item<float>()));
    else
      EXPECT_EQ(same[t].item<float>(), 0);
  }
}

// Two of two experts per token: the other half has moved on by one, so that one of two choices is another.
TEST(RoutingViewsOf, ChangedChoicesCountThoseThatMoved) {
  const Size z{"", 31, 8, 2, 1, 1, 1};
  const auto record = record_of(z);
  const auto moved = changed_choices(record, {}, record, {.half = Half::unconditional});
  EXPECT_TRUE(moved.eq(0.5).all().item<bool>()) << moved;
}

TEST(RoutingViewsOf, PlacesOutsideAreNamed) {
  const auto record = record_of({"", 3, 4, 2, 2, 3, 2});
  const auto message = [&](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message([&] { token_table(record, {2}, Measure::tokens); }),
            "routing view: image 2 is not in 0 .. 1");
  EXPECT_EQ(message([&] { winner_map(record, {0, -1}); }), "routing view: step -1 is not in 0 .. 2");
  EXPECT_EQ(message([&] { margins(record, {0, 0, 2}); }), "routing view: layer 2 is not in 0 .. 1");
  EXPECT_EQ(message([&] { patch_map(record, {}, 4, Measure::tokens); }),
            "routing view: expert 4 is not in 0 .. 3");
  EXPECT_EQ(message([&] { path_of_patch(record, 0, 3, Half::conditional); }),
            "routing view: patch 3 is not in 0 .. 2");
  EXPECT_EQ(message([&] {
              timestep_map(record, {{0, 5}}, 0, Measure::tokens);
            }),
            "routing view: image 5 is not in 0 .. 1");
  EXPECT_NE(message([&] { atlas(record, {{}, 2, 1}, Measure::tokens); }), "no error");
  EXPECT_NE(message([&] { dormant_experts(record, {.half = Half::difference}); }), "no error");
  auto without = record;
  without.probabilities = at::Tensor();
  EXPECT_EQ(message([&] { margins(without, {}); }), "routing view: the record did not keep probabilities");
}

TEST(RoutingViewsOf, NormalisationLeavesOutNothings) {
  const auto matrix = at::tensor({1.0f, 3.0f, NAN, 0.0f, 0.0f, NAN, -2.0f, 6.0f, NAN}).view({3, 3});
  expect_close(normalised(matrix, Normalisation::row),
               at::tensor({0.25f, 0.75f, NAN, 0.0f, 0.0f, NAN, -0.25f, 0.75f, NAN}).view({3, 3}), 1e-6);
  expect_close(normalised(matrix, Normalisation::column),
               at::tensor({1 / 3.f, 1 / 3.f, NAN, 0.0f, 0.0f, NAN, -2 / 3.f, 2 / 3.f, NAN}).view({3, 3}),
               1e-6);
  expect_close(normalised(matrix, Normalisation::global), matrix / 6, 1e-6);
  expect_close(normalised(matrix, Normalisation::uniform),
               at::tensor({0.5f, 1.5f, NAN, 0.0f, 0.0f, NAN, -0.5f, 1.5f, NAN}).view({3, 3}), 1e-6);
}

// From the model's router to the view, without a hand between them.
TEST(RoutingViewsOf, PlantedModelShowsItsPlant) {
  Session session(planted_model());
  Request request;
  request.settings.grid.steps = 3;
  request.images = {{0, 1}, {1, 2}, {2, 3}};
  request.batch_size = 2;
  RoutingRecord record(session.config(), request, Router::tokens, /*keep_probabilities=*/true);
  std::vector<StepRouting> events;
  Observer observer;
  observer.probabilities = true;
  observer.routing = [&](const StepRouting& routing) {
    events.push_back(routing);
    record.add(routing);
    return true;
  };
  ASSERT_TRUE(session.draw(request, observer));
  for (int64_t layer = 0; layer < 3; ++layer) {
    EXPECT_TRUE(at::equal(winner_map(record, {2, 1, layer}), at::arange(kTokens).remainder(kExperts)));
    EXPECT_TRUE(margins(record, {2, 1, layer}).gt(0).all().item<bool>());
  }
  EXPECT_TRUE(timestep_map(record, {}, 1, Measure::tokens).eq(0.5).all().item<bool>());
  EXPECT_TRUE(atlas(record, {}, Measure::tokens).imbalance.eq(1).all().item<bool>());
  for (const auto& event : events) {
    const int64_t half = event.conditional ? 0 : 1;
    const auto kept =
        record.probabilities.narrow(0, event.first_image, event.images).select(1, event.step).select(2, half);
    EXPECT_TRUE(at::equal(kept, event.tokens.probabilities.transpose(0, 1).to(at::kHalf)));
  }
}

}  // namespace
}  // namespace switchyard::pipeline
