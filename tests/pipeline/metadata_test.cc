#include "pipeline/metadata.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

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
  const Settings settings{.shift = 1.5, .guidance = {.scale = 2, .t_low = 0.25, .t_high = 1}};
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
  s.solver = sampler::Solver::edm_heun;
  s.steps = 31;
  s.spacing = "10,20,30";
  s.shift = 1.0 / 3.0;
  s.eta = 0.1 + 0.2;
  s.churn = {.amount = 40, .t_min = 0.05, .t_max = 50, .noise = 1.003};
  s.sigma_min = 0.1;
  s.sigma_max = 1e3;
  s.rho = 5.5;
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

void expect_same(const Settings& a, const Settings& b) {
  EXPECT_EQ(a.solver, b.solver);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.spacing, b.spacing);
  EXPECT_EQ(a.shift, b.shift);
  EXPECT_EQ(a.eta, b.eta);
  EXPECT_EQ(a.churn.amount, b.churn.amount);
  EXPECT_EQ(a.churn.t_min, b.churn.t_min);
  EXPECT_EQ(a.churn.t_max, b.churn.t_max);
  EXPECT_EQ(a.churn.noise, b.churn.noise);
  EXPECT_EQ(a.sigma_min, b.sigma_min);
  EXPECT_EQ(a.sigma_max, b.sigma_max);
  EXPECT_EQ(a.rho, b.rho);
  EXPECT_EQ(a.clip, b.clip);
  EXPECT_EQ(a.weak_experts, b.weak_experts);
  EXPECT_TRUE(a.guidance == b.guidance);
}

TEST(Metadata, ComesBackExactly) {
  const Settings unusual = unusual_settings(), plain;
  for (const auto* settings : {&unusual, &plain}) {
    const auto stored = read_image_text(
        image_text(kProvenance, model(), *settings, {.label = 1, .seed = 0xffff'ffff}), "a.png");
    EXPECT_EQ(stored.model, kProvenance);
    EXPECT_EQ(stored.image.label, 1);
    EXPECT_EQ(stored.image.seed, 0xffff'ffffu);
    EXPECT_EQ(stored.class_name, "cône, \"tall\"");
    expect_same(stored.settings, *settings);
  }
}

TEST(Metadata, ReadsTheFirstVersion) {
  const char* const text =
      R"({"version":1,"model":{"name":"solids","hash":"0123456789"},"dtype":"float32","class":1,)"
      R"("class_name":"cube","seed":7,"settings":{"solver":"heun","steps":31,"shift":1.5,)"
      R"("guidance":{"scale":3.0,"t_low":0.25,"t_high":0.75}}})";
  Settings expected;
  expected.solver = sampler::Solver::heun;
  expected.steps = 31;
  expected.shift = 1.5;
  expected.guidance.scale = 3;
  expected.guidance.t_low = 0.25;
  expected.guidance.t_high = 0.75;
  expect_same(read_image_text({{"switchyard", text}}, "a.png").settings, expected);
}

TEST(Metadata, TellsOtherToolsWhatIsUnusual) {
  const auto text = image_text(kProvenance, model(), unusual_settings(), {.label = 2})[0].second;
  EXPECT_NE(text.find(", Schedule type: \"10,20,30\", Eta: 0.30000000000000004, Sigma churn: 40, Guidance: "
                      "adaptive_projected, Guided by experts: 1, Guidance interval: "),
            std::string::npos)
      << text;
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
        Fault{"version", [](Json& j) { j["version"] = 3; }, "expected version 1 .. 2, got version 3"},
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
        Fault{"no_eta", [](Json& j) { j["settings"].erase("eta"); }, "field \"settings.eta\" is missing"},
        Fault{"eta", [](Json& j) { j["settings"]["eta"] = 2; },
              "field \"settings.eta\" must be a number in 0 .. 1, got 2"},
        Fault{"rho", [](Json& j) { j["settings"]["rho"] = -1; },
              "field \"settings.rho\" must be positive, got -1"},
        Fault{"churn", [](Json& j) { j["settings"]["churn"]["amount"] = -1; }, "churn is -1"},
        Fault{"guidance_kind", [](Json& j) { j["settings"]["guidance"]["kind"] = "rescale"; },
              "unknown guidance \"rescale\"; did you mean \"rescaled\"?"},
        Fault{"momentum", [](Json& j) { j["settings"]["guidance"]["momentum"] = 1; },
              "guidance momentum is 1"},
        Fault{"weak_experts", [](Json& j) { j["settings"]["weak_experts"] = -1; },
              "field \"settings.weak_experts\" must be an integer in 0 .. "},
        Fault{"interval", [](Json& j) { j["settings"]["guidance"]["t_low"] = 2; }, "guidance interval is 2"}),
    [](const auto& entry) { return entry.param.name; });

TEST(Metadata, KnowsWhatIsNotOurs) {
  EXPECT_EQ(complaint({{"parameters", "cube"}}),
            "a.png: not drawn by Switchyard (no text entry \"switchyard\")");
  EXPECT_EQ(complaint({{"switchyard", "{"}}), "a.png: text entry \"switchyard\" is not JSON");
}

TEST(Metadata, HashesAsOtherToolsDo) {
  EXPECT_EQ(model_hash(std::as_bytes(std::span("abc", 3))), "ba7816bf8f");
  EXPECT_THROW(model_hash(std::filesystem::path("/nowhere/model.safetensors")), io::InputError);
}

}  // namespace
}  // namespace switchyard::pipeline
