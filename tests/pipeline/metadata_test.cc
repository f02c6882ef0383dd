#include "pipeline/metadata.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "../io/scratch.h"
#include "io/error.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;

dit::ModelConfig model() {
  dit::ModelConfig config;
  config.input_size = 64;
  config.num_classes = 3;
  config.class_names = {"sphere", "cône, \"tall\"", "cube"};
  return config;
}

const Provenance kProvenance{.model_name = "solids", .model_hash = "0123456789", .dtype = "bfloat16"};

TEST(Metadata, WritesTheTextThatOtherToolsShow) {
  const auto text = image_text(kProvenance, model(), Settings{}, {.label = 2, .seed = 7});
  ASSERT_EQ(text.size(), 2u);
  EXPECT_EQ(text[0].first, "parameters");
  EXPECT_EQ(text[0].second,
            "cube\nSteps: 25, Sampler: Euler, CFG scale: 2, Seed: 7, Size: 64x64, Model hash: 0123456789, "
            "Model: solids, Version: Switchyard " SWITCHYARD_VERSION);
  EXPECT_EQ(text[1].first, "switchyard");
}

TEST(Metadata, QuotesWhatWouldBreakTheFields) {
  const Settings settings{.grid = {.shift = 1.5}, .guidance = {.scale = 2, .t_low = 0.25, .t_high = 1}};
  const auto text =
      image_text({.model_name = "a, b: c", .model_hash = "h"}, model(), settings, {.label = 3})[0].second;
  EXPECT_EQ(text.rfind("no class\n", 0), 0u) << text;
  EXPECT_NE(text.find(", Model: \"a, b: c\", Shift: 1.5, Guidance interval: 0.25 to 1, Version"),
            std::string::npos)
      << text;
}

TEST(Metadata, RefusesALabelOutsideTheModel) {
  EXPECT_THROW(image_text(kProvenance, model(), {}, {.label = 4}), std::invalid_argument);
  EXPECT_THROW(image_text(kProvenance, model(), {}, {.label = -1}), std::invalid_argument);
}

// No field at its default.
Settings unusual_settings() {
  Settings s;
  s.solver = {.solver = sampler::Solver::edm_heun,
              .eta = 0.1 + 0.2,
              .churn = {.amount = 40, .t_min = 0.05, .t_max = 50, .noise = 1.003}};
  s.grid = {
      .steps = 31, .spacing = "10,20,30", .shift = 1.0 / 3.0, .sigma_min = 0.1, .sigma_max = 1e3, .rho = 5.5};
  s.clip = 1.5;
  s.weak_experts = 1;
  s.guidance = {.scale = 0.1 + 0.7,
                .t_low = std::numeric_limits<double>::denorm_min(),
                .t_high = 1 - 1e-16,
                .kind = sampler::GuidanceKind::adaptive_projected,
                .channels = 3,
                .rescale = 0.3,
                .zero_from = 0.96,
                .parallel = 0.2,
                .longest = 2.5,
                .momentum = -0.75};
  return s;
}

// A model and a change of the unusual settings that together give every field meaning somewhere.
struct Kind {
  const char *schedule, *spacing;
  sampler::Solver solver;
  sampler::GuidanceKind guidance;
};

class MetadataOf : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(
    Kinds, MetadataOf,
    ::testing::Values(Kind{"rectified_flow", "", sampler::Solver::heun, sampler::GuidanceKind::cfg_zero_star},
                      Kind{"linear", "10,20,30", sampler::Solver::edm_heun,
                           sampler::GuidanceKind::adaptive_projected},
                      Kind{"cosine", "karras", sampler::Solver::ddim, sampler::GuidanceKind::rescaled},
                      Kind{"edm", "", sampler::Solver::euler, sampler::GuidanceKind::classifier_free}),
    [](const auto& entry) { return std::string(entry.param.schedule); });

TEST_P(MetadataOf, ComesBackExactly) {
  auto config = model();
  config.schedule = GetParam().schedule;
  auto unusual = unusual_settings();
  unusual.solver.solver = GetParam().solver;
  unusual.grid.spacing = GetParam().spacing;
  unusual.guidance.kind = GetParam().guidance;
  auto unguided = unusual;
  unguided.guidance.scale = 1;
  for (auto settings : {unusual, unguided}) {
    drop_idle(config, settings);
    const auto stored = read_image_text(
        image_text(kProvenance, config, settings, {.label = 1, .seed = 0xffff'ffff}), "a.png");
    EXPECT_EQ(stored.model, kProvenance);
    EXPECT_EQ(stored.image.label, 1);
    EXPECT_EQ(stored.image.seed, 0xffff'ffffu);
    EXPECT_EQ(stored.class_name, "cône, \"tall\"");
    EXPECT_EQ(stored.settings, settings);
    EXPECT_TRUE(stored.recipe.empty());
  }
}

TEST(Metadata, HoldsFieldsWithMeaningAlone) {
  auto settings = unusual_settings();
  settings.solver.solver = sampler::Solver::euler;
  settings.grid.spacing = "";
  settings.guidance.kind = sampler::GuidanceKind::rescaled;
  settings.grid.shift = 3;
  settings.guidance.t_high = 1;
  const auto text = image_text(kProvenance, model(), settings, {.label = 1, .seed = 7})[1].second;
  EXPECT_EQ(Json::parse(text)["settings"].dump(),
            R"({"solver":"euler","steps":31,"shift":3.0,"clip":1.5,"guidance":{"scale":0.7999999999999999,)"
            R"("t_low":5e-324,"t_high":1.0,"kind":"rescaled","channels":3,"rescale":0.3},"weak_experts":1,)"
            R"("quantization":"round"})");
}

class MetadataInAFile : public io::Scratch {};

TEST_F(MetadataInAFile, NamesComeBackWhateverIsInThem) {
  const std::string name = "a, \"b\": c\nd\t\\ \xF0\x9F\x98\x80 ü";
  auto config = model();
  config.class_names[1] = name;
  const Provenance provenance{.model_name = name,
                              .model_hash = "h",
                              .library = "oneDNN",
                              .weights = "ema",
                              .decoder_name = name,
                              .decoder_hash = "d"};
  const auto text = image_text(provenance, config, {}, {.label = 1, .seed = 7});
  io::write_png(file("a.png"), at::zeros({2, 2, 3}, at::kByte), text);
  const auto read = io::read_png(file("a.png")).text;
  EXPECT_EQ(read, text);
  const auto stored = read_image_text(read, "a.png");
  EXPECT_EQ(stored.model, provenance);
  EXPECT_EQ(stored.class_name, name);
}

TEST(Metadata, NamesThatAreNoUtf8AreMended) {
  const auto text = image_text({.model_name = "caf\xE9", .model_hash = "h"}, model(), {}, {.label = 1});
  EXPECT_EQ(read_image_text(text, "a.png").model.model_name, "caf\xEF\xBF\xBD");
  EXPECT_NE(text[0].second.find("Model: caf\xEF\xBF\xBD,"), std::string::npos);
}

TEST(Metadata, KeepsARecipe) {
  const auto recipe = recipe_from_json(
      Json::parse(R"([{"layers":[0,2],"action":"mute","experts":[1],"t":[0.1,0.30000000000000004]}])"),
      model(), "a");
  const auto text = image_text(kProvenance, model(), {}, {.label = 1}, recipe);
  EXPECT_EQ(recipe_from_json(read_image_text(text, "a.png").recipe, model(), "a"), recipe);
}

TEST(Metadata, WritesNothingThatCannotBeRead) {
  Settings settings;
  settings.guidance.scale = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(image_text(kProvenance, model(), settings, {.label = 1}), std::invalid_argument);
  settings = {.grid = {.shift = std::numeric_limits<double>::infinity()}};
  EXPECT_THROW(image_text(kProvenance, model(), settings, {.label = 1}), std::invalid_argument);
}

TEST(Metadata, ReadsTheFirstVersion) {
  const char* const text =
      R"({"version":1,"model":{"name":"solids","hash":"0123456789"},"dtype":"float32","class":1,)"
      R"("class_name":"cube","seed":7,"settings":{"solver":"heun","steps":31,"shift":1.5,)"
      R"("guidance":{"scale":3.0,"t_low":0.25,"t_high":0.75}}})";
  Settings expected;
  expected.solver.solver = sampler::Solver::heun;
  expected.grid.steps = 31;
  expected.grid.shift = 1.5;
  expected.guidance.scale = 3;
  expected.guidance.t_low = 0.25;
  expected.guidance.t_high = 0.75;
  EXPECT_EQ(read_image_text({{"switchyard", text}}, "a.png").settings, expected);
}

// As the program wrote it with that version, for `sample --class cube --seed 4`.
const std::string kSecondVersion =
    R"({"version":2,"model":{"name":"solids","hash":"f12fec0684","weights":"","objective":)"
    R"("rectified_flow:clean_image","experts_per_token":2,"num_heads":3},"decoder":null,"image_size":64,)"
    R"("dtype":"float32","class":1,"class_name":"cube","seed":4,"settings":{"solver":"euler","steps":25,)"
    R"("spacing":"","shift":1.0,"eta":0.0,"churn":{"amount":0.0,"t_min":0.0,"t_max":null,"noise":1.0},)"
    R"("sigma_min":0.002,"sigma_max":80.0,"rho":7.0,"clip":0.0,"guidance":{"scale":2.0,"t_low":0.0,)"
    R"("t_high":1.0,"kind":"classifier_free","channels":0,"rescale":0.7,"zero_from":1.0,"parallel":0.0,)"
    R"("longest":15.0,"momentum":-0.5},"weak_experts":0}})";

TEST(Metadata, ReadsTheSecondVersion) {
  const auto stored = read_image_text({{"switchyard", kSecondVersion}}, "a.png");
  EXPECT_EQ(stored.settings, Settings{});
  EXPECT_EQ(stored.model, (Provenance{.model_name = "solids",
                                      .model_hash = "f12fec0684",
                                      .objective = "rectified_flow:clean_image",
                                      .experts_per_token = 2,
                                      .num_heads = 3,
                                      .image_size = 64}));
  EXPECT_EQ(stored.image.seed, 4u);
}

TEST(Metadata, ReadsEverySettingOfTheSecondVersion) {
  const auto at = kSecondVersion.find(R"("settings")");
  const auto text =
      kSecondVersion.substr(0, at) +
      R"("settings":{"solver":"edm_heun","steps":31,"spacing":"10,20,30","shift":0.3333333333333333,)"
      R"("eta":0.30000000000000004,"churn":{"amount":40.0,"t_min":0.05,"t_max":50.0,"noise":1.003},)"
      R"("sigma_min":0.1,"sigma_max":1000.0,"rho":5.5,"clip":1.5,"guidance":{"scale":0.7999999999999999,)"
      R"("t_low":5e-324,"t_high":0.9999999999999999,"kind":"adaptive_projected","channels":3,)"
      R"("rescale":0.3,"zero_from":0.96,"parallel":0.2,"longest":2.5,"momentum":-0.75},"weak_experts":1}})";
  EXPECT_EQ(read_image_text({{"switchyard", text}}, "a.png").settings, unusual_settings());
}

TEST(Metadata, TellsOtherToolsWhatIsUnusual) {
  auto config = model();
  config.schedule = "linear";
  const auto unusual = unusual_settings();
  const auto text = image_text(kProvenance, config, unusual, {.label = 2})[0].second;
  EXPECT_NE(text.find("\nSteps: 60, Sampler: Edm_heun, CFG scale: 0.7999999999999999, Seed: "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(", Schedule type: \"10,20,30\", Sigma churn: 40, Churn interval: 0.05 to 50, Churn "
                      "noise: 1.003, Clip: 1.5, Guidance interval: 5e-324 to 0.9999999999999999, Guidance: "
                      "adaptive_projected, Guidance channels: 3, "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(", Guided by experts: 1, Version"), std::string::npos) << text;
  auto ddim = unusual;
  ddim.solver.solver = sampler::Solver::ddim;
  EXPECT_NE(
      image_text(kProvenance, config, ddim, {.label = 2})[0].second.find(", Eta: 0.30000000000000004, "),
      std::string::npos);
}

std::string complaint(const io::TextEntries& text) {
  try {
    read_image_text(text, "a.png");
  } catch (const io::InputError& error) {
    return error.what();
  }
  return "no complaint";
}

struct Fault {
  const char* name;
  std::function<void(Json&)> change;
  const char* complaint;  // after the file and the entry
};

class MetadataFault : public ::testing::TestWithParam<Fault> {};

TEST_P(MetadataFault, IsNamed) {
  auto json = Json::parse(image_text(kProvenance, model(), {}, {.label = 1, .seed = 7})[1].second);
  GetParam().change(json);
  EXPECT_EQ(complaint({{"switchyard", json.dump()}})
                .rfind("a.png: text entry \"switchyard\": " + std::string(GetParam().complaint), 0),
            0u)
      << complaint({{"switchyard", json.dump()}});
}

INSTANTIATE_TEST_SUITE_P(
    All, MetadataFault,
    ::testing::Values(
        Fault{"array", [](Json& j) { j = Json::array(); }, "expected a JSON object"},
        Fault{"version", [](Json& j) { j["version"] = 4; }, "expected version 1 .. 3, got version 4"},
        Fault{"no_version", [](Json& j) { j.erase("version"); }, "field \"version\" is missing"},
        Fault{"no_hash", [](Json& j) { j["model"].erase("hash"); }, "field \"model.hash\" is missing"},
        Fault{"model_type", [](Json& j) { j["model"] = "x"; }, "model must be an object"},
        Fault{"dtype", [](Json& j) { j["dtype"] = "int4"; },
              "field \"dtype\" must be \"float32\", \"bfloat16\" or \"int8\", got \"int4\""},
        Fault{"class", [](Json& j) { j["class"] = -1; }, "field \"class\" must be an integer"},
        Fault{"seed_large", [](Json& j) { j["seed"] = 0x1'0000'0000; },
              "field \"seed\" must be an integer in 0 .. 4294967295"},
        Fault{"seed_huge", [](Json& j) { j["seed"] = UINT64_MAX; },
              "field \"seed\" must be an integer in 0 .. 4294967295"},
        Fault{"seed_real", [](Json& j) { j["seed"] = 1.5; }, "field \"seed\" must be an integer"},
        Fault{"solver", [](Json& j) { j["settings"]["solver"] = "hoin"; }, "unknown solver \"hoin\""},
        Fault{"steps", [](Json& j) { j["settings"]["steps"] = 0; },
              "field \"settings.steps\" must be an integer in 1 .. "},
        Fault{"shift", [](Json& j) { j["settings"]["shift"] = 0; },
              "field \"settings.shift\" must be positive, got 0"},
        Fault{"scale", [](Json& j) { j["settings"]["guidance"]["scale"] = "2"; },
              "field \"settings.guidance.scale\" must be a number, got \"2\""},
        Fault{"no_eta_in_version_2",
              [](Json& j) {
                j = Json::parse(kSecondVersion);
                j["settings"].erase("eta");
              },
              "field \"settings.eta\" is missing"},
        Fault{"no_scale", [](Json& j) { j["settings"]["guidance"].erase("scale"); },
              "field \"settings.guidance.scale\" is missing"},
        Fault{"eta", [](Json& j) { j["settings"]["eta"] = 2; },
              "field \"settings.eta\" must be a number in 0 .. 1, got 2"},
        Fault{"rho", [](Json& j) { j["settings"]["rho"] = -1; },
              "field \"settings.rho\" must be positive, got -1"},
        Fault{"churn", [](Json& j) { j["settings"]["churn"]["amount"] = -1; },
              "field \"settings.churn.amount\" must be 0 or more, got -1"},
        Fault{"guidance_kind", [](Json& j) { j["settings"]["guidance"]["kind"] = "rescale"; },
              "unknown guidance \"rescale\"; did you mean \"rescaled\"?"},
        Fault{"momentum", [](Json& j) { j["settings"]["guidance"]["momentum"] = 1; },
              "field \"settings.guidance.momentum\" must be above -1 and below 1, got 1"},
        Fault{"weak_experts", [](Json& j) { j["settings"]["weak_experts"] = -1; },
              "field \"settings.weak_experts\" must be an integer in 0 .. "},
        Fault{"t_low", [](Json& j) { j["settings"]["guidance"]["t_low"] = 2; },
              "field \"settings.guidance.t_low\" must be a number in 0 .. 1, got 2"},
        Fault{
            "interval",
            [](Json& j) { j["settings"]["guidance"]["t_high"] = 0, j["settings"]["guidance"]["t_low"] = 1; },
            "guidance interval is 1"},
        Fault{"settings_type", [](Json& j) { j["settings"] = 3; }, "settings must be an object"},
        Fault{"unknown", [](Json& j) { j["sead"] = 3; }, "unknown field \"sead\""},
        Fault{"unknown_of_model", [](Json& j) { j["model"]["size"] = 3; }, "unknown field \"model.size\""},
        Fault{"unknown_setting", [](Json& j) { j["settings"]["stepps"] = 3; },
              "unknown field \"settings.stepps\""},
        Fault{"unknown_of_guidance", [](Json& j) { j["settings"]["guidance"]["scael"] = 3; },
              "unknown field \"settings.guidance.scael\""},
        Fault{"products", [](Json& j) { j["model"]["products"] = 3; },
              "field \"model.products\" must be a text, got 3"},
        Fault{"recipe", [](Json& j) { j["recipe"] = "mute"; },
              "field \"recipe\" must be a list, got \"mute\""}),
    [](const auto& entry) { return entry.param.name; });

TEST(Metadata, KnowsWhatIsNotOurs) {
  EXPECT_EQ(complaint({{"parameters", "cube"}}),
            "a.png: not drawn by Switchyard (no text entry \"switchyard\")");
  EXPECT_EQ(complaint({{"switchyard", "{"}}), "a.png: text entry \"switchyard\" is not JSON in UTF-8: syntax error at its byte 2 of 1");
}

TEST(Metadata, SaysWhereABareNaNIs) {
  auto text = kSecondVersion;
  text.replace(text.find("0.002"), 5, "NaN");
  EXPECT_TRUE(complaint({{"switchyard", text}})
                  .starts_with("a.png: text entry \"switchyard\" is not JSON in UTF-8 from the field \"sigma_min\" on: "
                               "syntax error at its byte "));
}

TEST(Metadata, HashesAsOtherToolsDo) {
  EXPECT_EQ(model_hash(std::as_bytes(std::span("abc", 3))), "ba7816bf8f");
  EXPECT_THROW(model_hash(std::filesystem::path("/nowhere/model.safetensors")), io::InputError);
}

}  // namespace
}  // namespace switchyard::pipeline
