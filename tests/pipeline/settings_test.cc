#include "pipeline/settings.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <set>

#include "../io/scratch.h"
#include "io/error.h"
#include "pipeline/session.h"
#include "pipeline/settings_text.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;
using Names = std::vector<std::string>;

dit::ModelConfig model(const char* schedule = "rectified_flow") {
  auto config = dit::preset("tiny");
  config.schedule = schedule;
  if (config.schedule != "rectified_flow") config.prediction = "noise";
  return config;
}

// Settings that the command line would make of these.
Settings made_of(const GivenSettings& given, const dit::ModelConfig& config = model()) {
  Settings settings;
  apply(given, config, settings);
  return settings;
}

std::string complaint(const GivenSettings& given, const dit::ModelConfig& config = model()) {
  return io::message_of<std::invalid_argument>([&] { made_of(given, config); });
}

TEST(Settings, EveryFieldIsStatedOnce) {
  std::set<std::string> names;
  Names options;
  const auto look = [&](const Field& field, const auto&) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    if (options.empty() || options.back() != field.option) options.push_back(field.option);
    const std::string help = field.help;
    EXPECT_TRUE(help.size() > 10 && help.back() != '.' && help.find('\n') == std::string::npos) << field.name;
  };
  const Settings settings;
  for_each_field(look, settings);
  EXPECT_EQ(names.size(), 29u);
  EXPECT_EQ(std::set(options.begin(), options.end()).size(), options.size()) << "two values are neighbours";
}

struct Meaning {
  const char *name, *schedule;
  GivenSettings given;
  Names fields;
};

const Meaning kMeanings[] = {
    {"rectified_flow",
     "rectified_flow",
     {},
     {"solver", "steps", "shift", "clip", "guidance.scale", "guidance.t_low", "guidance.t_high",
      "guidance.kind", "guidance.channels", "weak_experts", "quantization"}},
    {"unguided",
     "rectified_flow",
     {{"--guidance", {"1"}}, {"--guidance-kind", {"rescaled"}}},
     {"solver", "steps", "shift", "clip", "guidance.scale", "quantization"}},
    {"zero_star",
     "rectified_flow",
     {{"--guidance-kind", {"cfg_zero_star"}}},
     {"solver", "steps", "shift", "clip", "guidance.scale", "guidance.t_low", "guidance.t_high",
      "guidance.kind", "guidance.channels", "guidance.zero_from", "weak_experts", "quantization"}},
    {"zero_star_of_ddpm",
     "linear",
     {{"--guidance-kind", {"cfg_zero_star"}}},
     {"solver", "steps", "spacing", "clip", "guidance.scale", "guidance.t_low", "guidance.t_high",
      "guidance.kind", "guidance.channels", "weak_experts", "quantization"}},
    {"rescaled",
     "cosine",
     {{"--solver", {"ddim"}}, {"--guidance-kind", {"rescaled"}}, {"--clip", {"1"}}},
     {"solver", "steps", "spacing", "eta", "clip", "guidance.scale", "guidance.t_low", "guidance.t_high",
      "guidance.kind", "guidance.channels", "guidance.rescale", "weak_experts", "quantization"}},
    {"counts",
     "linear",
     {{"--spacing", {"10,20"}}, {"--guidance", {"1"}}},
     {"solver", "spacing", "clip", "guidance.scale", "quantization"}},
    {"edm_heun",
     "linear",
     {{"--solver", {"edm_heun"}}, {"--guidance", {"1"}}},
     {"solver", "steps", "spacing", "churn.amount", "clip", "guidance.scale", "quantization"}},
    {"churned",
     "edm",
     {{"--solver", {"edm_heun"}}, {"--churn", {"4"}}, {"--guidance-kind", {"adaptive_projected"}}},
     {"solver", "steps", "churn.amount", "churn.t_min", "churn.t_max", "churn.noise", "sigma_min",
      "sigma_max", "rho", "clip", "guidance.scale", "guidance.t_low", "guidance.t_high", "guidance.kind",
      "guidance.channels", "guidance.parallel", "guidance.longest", "guidance.momentum", "weak_experts", "quantization"}},
};

TEST(Settings, FieldsHaveMeaningWhereTheyShould) {
  for (const auto& [name, schedule, given, expected] : kMeanings) {
    const auto settings = made_of(given, model(schedule));
    Names fields;
    const auto look = [&](const Field& field, const auto&) {
      if (has_meaning(field, model(schedule), settings)) fields.emplace_back(field.name);
    };
    for_each_field(look, settings);
    EXPECT_EQ(fields, expected) << name;
  }
}

// One image of a model with random weights, or nothing where the sampler refuses.
at::Tensor pixels_of(Session& session, const Settings& settings) {
  at::Tensor pixels;
  Observer observer;
  observer.image_finished = [&](const ImageFinished& image) {
    pixels = image.pixels;
    return true;
  };
  try {
    session.draw({.images = {{.label = 1, .seed = 7}}, .settings = settings}, observer);
  } catch (const std::invalid_argument&) {
  }
  return pixels;
}

// Another value than any of kMeanings has, which shows.
const GivenSettings kOthers = {{"--solver", {"midpoint"}},
                               {"--steps", {"7"}},
                               {"--spacing", {"trailing"}},
                               {"--shift", {"4"}},
                               {"--eta", {"0.7"}},
                               {"--churn", {"6"}},
                               {"--churn-interval", {"1", "5"}},
                               {"--churn-noise", {"3"}},
                               {"--sigma-min", {"0.1"}},
                               {"--sigma-max", {"20"}},
                               {"--rho", {"3"}},
                               {"--clip", {"0.1"}},
                               {"--guidance", {"5"}},
                               {"--guidance-interval", {"0.6", "0.7"}},
                               {"--guidance-kind", {"rescaled"}},
                               {"--guidance-channels", {"1"}},
                               {"--guidance-rescale", {"0.1"}},
                               {"--guidance-zero-from", {"0.5"}},
                               {"--guidance-parallel", {"2"}},
                               {"--guidance-longest", {"0.5"}},
                               {"--guidance-momentum", {"0.5"}},
                               {"--weak-experts", {"1"}}};

// What has meaning changes the image, what has none does not.
TEST(Settings, MeaningIsWhatTheImageShows) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, schedule, given, expected] : kMeanings) {
    if (std::string(schedule) == "edm") continue;  // no model has it yet
    const auto config = model(schedule);
    dit::DiffusionTransformer drawing(config);
    at::manual_seed(5);
    for (auto& [path, tensor] : drawing.parameters()) tensor->normal_(0.0, 0.1);
    Session session(std::move(drawing));
    auto settings = made_of(given, config);
    if (!given.contains("--spacing")) settings.grid.steps = 5;
    drop_idle(config, settings);
    const auto before = pixels_of(session, settings);
    ASSERT_TRUE(before.defined()) << name;
    for (const auto& [option, values] : kOthers) {
      Settings changed = settings;
      apply({{option, values}}, config, changed);
      if (changed == settings) continue;
      bool meaning = false;
      const auto look = [&](const Field& field, const auto&) {
        meaning |= option == field.option && has_meaning(field, config, settings);
      };
      for_each_field(look, settings);
      const auto after = pixels_of(session, changed);
      if (!meaning && !after.defined()) continue;  // the sampler says so too
      ASSERT_TRUE(after.defined()) << name << " " << option;
      EXPECT_EQ(!at::equal(before, after), meaning) << name << " " << option;
    }
  }
}

TEST(Settings, ModelsThatRouteNoTokensHaveNoWeakExperts) {
  auto settings = made_of({{"--weak-experts", {"1"}}});
  const auto dropped = drop_idle(dit::preset("dit-s/2"), settings);
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_STREQ(dropped[0].first.option, "--weak-experts");
  EXPECT_EQ(dropped[0].second, "the model routes no tokens");
  EXPECT_EQ(settings, Settings{});
}

TEST(Settings, WhatIsIdleIsDroppedWithItsReason) {
  auto settings = made_of({{"--eta", {"0.5"}}, {"--shift", {"2"}}, {"--churn-interval", {"1", "inf"}}});
  Names reasons;
  for (const auto& [field, why] : drop_idle(model(), settings))
    reasons.push_back(std::string(field.name) + ": " + why);
  EXPECT_EQ(reasons, (Names{"eta: it is for ddim, the solver is euler",
                            "churn.t_min: it is for edm_heun, the solver is euler"}));
  EXPECT_EQ(settings, made_of({{"--shift", {"2"}}}));
}

TEST(Settings, OptionsTakeNumbersNamesAndPairs) {
  Settings expected;
  expected.solver = {.solver = sampler::Solver::edm_heun,
                     .churn = {.amount = 40, .t_min = 0.05, .t_max = 50}};
  expected.grid.steps = 31;
  expected.guidance = {.scale = 0.5,
                       .t_low = 0.1,
                       .t_high = 0.9,
                       .kind = sampler::GuidanceKind::adaptive_projected,
                       .channels = 2,
                       .momentum = -0.25};
  EXPECT_EQ(made_of({{"--solver", {"edm_heun"}},
                     {"--churn", {"4e1"}},
                     {"--churn-interval", {"0.05", "50"}},
                     {"--steps", {"31"}},
                     {"--guidance", {".5"}},
                     {"--guidance-interval", {"0.1", "0.9"}},
                     {"--guidance-kind", {"adaptive_projected"}},
                     {"--guidance-channels", {"2"}},
                     {"--guidance-momentum", {"-.25"}}}),
            expected);
  EXPECT_EQ(made_of({{"--churn-interval", {"0", "inf"}}}), Settings{});
}

TEST(Settings, AnotherSolverHasItsOwnSpacing) {
  Settings settings;
  settings.solver.solver = sampler::Solver::dpmpp_2m;
  settings.grid.spacing = "karras";
  auto same = settings, kept = settings, other = settings;
  apply({{"--solver", {"dpmpp_2m"}}}, model("linear"), same);
  apply({{"--solver", {"ddim"}}, {"--spacing", {"karras"}}}, model("linear"), kept);
  apply({{"--solver", {"ddim"}}}, model("linear"), other);
  EXPECT_EQ(same.grid.spacing, "karras");
  EXPECT_EQ(kept.grid.spacing, "karras");
  EXPECT_EQ(other.grid.spacing, "");
}

TEST(Settings, OptionsOutOfRangeAreNamed) {
  EXPECT_EQ(complaint({{"--steps", {"0"}}}), "--steps: expected 1 .. 10000, got 0");
  EXPECT_EQ(complaint({{"--steps", {"many"}}}), "--steps: expected 1 .. 10000, got many");
  EXPECT_EQ(complaint({{"--steps", {"2.5"}}}), "--steps: expected 1 .. 10000, got 2.5");
  EXPECT_EQ(complaint({{"--steps", {"99999999999999999999"}}}),
            "--steps: expected 1 .. 10000, got 99999999999999999999");
  EXPECT_EQ(complaint({{"--shift", {"0"}}}), "--shift: expected positive, got 0");
  EXPECT_EQ(complaint({{"--shift", {"inf"}}}), "--shift: expected positive, got inf");
  EXPECT_EQ(complaint({{"--guidance", {"nan"}}}), "--guidance: expected a number, got nan");
  EXPECT_EQ(complaint({{"--guidance", {"2x"}}}), "--guidance: expected a number, got 2x");
  EXPECT_EQ(complaint({{"--guidance-interval", {"0", "1.5"}}}),
            "--guidance-interval: expected 0 .. 1, got 1.5");
  EXPECT_EQ(complaint({{"--churn-interval", {"inf", "inf"}}}),
            "--churn-interval: expected 0 or more, got inf");
  EXPECT_EQ(complaint({{"--guidance-channels", {"4"}}}), "--guidance-channels: expected 0 .. 3, got 4");
  EXPECT_EQ(complaint({{"--weak-experts", {"3"}}}), "--weak-experts: expected 0 .. 2, got 3");
  EXPECT_TRUE(io::contains(complaint({{"--solver", {"hein"}}}), "did you mean \"heun\""));
}

TEST(Settings, ValidationNamesWhatIsWrong) {
  const auto message = [](void (*change)(Settings&), const char* schedule = "rectified_flow") {
    Settings settings;
    change(settings);
    return io::message_of<std::invalid_argument>([&] { validate(model(schedule), settings); });
  };
  EXPECT_EQ(message([](Settings& s) { s.grid.steps = 0; }), "steps is 0, expected 1 .. 10000");
  EXPECT_EQ(message([](Settings& s) { s.guidance.channels = 4; }), "guidance.channels is 4, expected 0 .. 3");
  EXPECT_EQ(message([](Settings& s) { s.solver.eta = 2; }), "eta is 2, expected 0 .. 1") << "though idle";
  EXPECT_TRUE(io::contains(message([](Settings& s) { s.guidance.t_low = 0.5, s.guidance.t_high = 0.25; }),
                           "guidance interval is 0.5..0.25"));
  EXPECT_TRUE(io::contains(message([](Settings& s) { s.solver.solver = sampler::Solver::ddpm; }),
                           "solver \"ddpm\" is not for models of schedule"));
  EXPECT_TRUE(io::contains(message([](Settings& s) { s.grid.steps = 1001; }, "linear"), "1001"));
  EXPECT_TRUE(io::contains(message([](Settings& s) { s.grid.spacing = "karas"; }, "linear"), "karras"));
}

// Every double comes back from its JSON with its last bit.
TEST(Settings, NumbersComeBackFromJson) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10'000; ++i) {
    Settings settings, back;
    settings.guidance.scale = std::bit_cast<double>(random());
    settings.grid.shift =
        std::ldexp(1.0 + static_cast<double>(random() >> 12), static_cast<int>(random() % 900));
    if (!std::isfinite(settings.guidance.scale) || settings.guidance.scale == 1) continue;
    read_settings(Json::parse(settings_json(model(), settings).dump()), back);
    ASSERT_EQ(settings, back) << settings.guidance.scale;
    ASSERT_EQ(std::signbit(settings.guidance.scale), std::signbit(back.guidance.scale));
  }
}

TEST(Settings, AreSaidInOneSentence) {
  const auto said = [](const GivenSettings& given, const char* schedule = "rectified_flow") {
    return sentence_of(model(schedule), made_of(given, model(schedule)));
  };
  EXPECT_EQ(said({}), "euler, 25 steps, guidance 2");
  EXPECT_EQ(said({{"--solver", {"euler_stochastic"}},
                  {"--steps", {"40"}},
                  {"--shift", {"3"}},
                  {"--guidance", {"1.5"}}}),
            "euler_stochastic, 40 steps, shift 3, guidance 1.5");
  EXPECT_EQ(said({{"--steps", {"1"}}, {"--guidance", {"1"}}, {"--guidance-kind", {"rescaled"}}}),
            "euler, 1 step, guidance 1");
  EXPECT_EQ(said({{"--solver", {"ddim"}}, {"--spacing", {"ddim10"}}}, "linear"),
            "ddim, 10 steps, spacing ddim10, guidance 2");
  EXPECT_EQ(said({{"--solver", {"midpoint"}}, {"--steps", {"3"}}}), "midpoint, 3 steps (6 evaluations), guidance 2");
  EXPECT_EQ(said({{"--guidance-interval", {"0.1", "1"}}, {"--guidance-kind", {"rescaled"}}}),
            "euler, 25 steps, guidance 2, guidance interval 0.1 to 1, guidance kind rescaled");
  EXPECT_EQ(sentence_of(model("linear"), chosen(sampler::Quality::fast, model("linear"))),
            "dpmpp_2m, 12 steps, spacing karras, guidance 2, guidance interval 0.1 to 0.9");
}

TEST(SettingsOfAModel, AreItsOwnElseTheBalancedChoice) {
  const nlohmann::json own = {
      {"solver", "euler_stochastic"}, {"steps", 40}, {"shift", 3.0}, {"guidance", {{"scale", 1.5}}}};
  EXPECT_EQ(sentence_of(model(), settings_for(model(), own)),
            "euler_stochastic, 40 steps, shift 3, guidance 1.5");
  for (const char* schedule : {"rectified_flow", "linear", "cosine"}) {
    EXPECT_EQ(settings_for(model(schedule), nullptr), chosen(sampler::Quality::balanced, model(schedule)));
  }
}

TEST(SettingsOfAModel, ThatAreWrongAreNamedWithTheFile) {
  const auto message = [](const nlohmann::json& own) {
    return io::message_of<io::InputError>([&] { settings_for(model(), own, "m.safetensors"); });
  };
  EXPECT_EQ(message({{"steps", 0}}),
            "m.safetensors: its settings: field \"steps\" must be an integer in 1 .. 10000, got 0");
  EXPECT_EQ(message({{"guidance", {{"scael", 2}}}}),
            "m.safetensors: its settings: unknown field \"guidance.scael\"");
  EXPECT_TRUE(io::contains(message({{"solver", "ddpm"}}), "m.safetensors: its settings: solver \"ddpm\" is"));
  EXPECT_TRUE(io::contains(message({{"weak_experts", 3}}), "weak_experts is 3, expected 0 .. 2"));
}

}  // namespace
}  // namespace switchyard::pipeline
