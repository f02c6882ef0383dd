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

TEST(Metadata, ComesBackExactly) {
  const Settings settings{
      .solver = sampler::Solver::heun,
      .steps = 31,
      .shift = 1.0 / 3.0,
      .guidance = {
          .scale = 0.1 + 0.2, .t_low = std::numeric_limits<double>::denorm_min(), .t_high = 1 - 1e-16}};
  const auto stored =
      read_image_text(image_text(kProvenance, model(), settings, {.label = 1, .seed = 0xffff'ffff}), "a.png");
  EXPECT_EQ(stored.model, kProvenance);
  EXPECT_EQ(stored.image.label, 1);
  EXPECT_EQ(stored.image.seed, 0xffff'ffffu);
  EXPECT_EQ(stored.class_name, "cône, \"tall\"");
  EXPECT_EQ(stored.settings.solver, settings.solver);
  EXPECT_EQ(stored.settings.steps, settings.steps);
  EXPECT_EQ(stored.settings.shift, settings.shift);
  EXPECT_EQ(stored.settings.guidance.scale, settings.guidance.scale);
  EXPECT_EQ(stored.settings.guidance.t_low, settings.guidance.t_low);
  EXPECT_EQ(stored.settings.guidance.t_high, settings.guidance.t_high);
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
        Fault{"version", [](Json& j) { j["version"] = 2; }, "expected version 1, got version 2"},
        Fault{"no_version", [](Json& j) { j.erase("version"); }, "field \"version\" is missing"},
        Fault{"no_hash", [](Json& j) { j["model"].erase("hash"); }, "field \"model.hash\" is missing"},
        Fault{"model_type", [](Json& j) { j["model"] = "x"; }, "model must be an object"},
        Fault{"dtype", [](Json& j) { j["dtype"] = "int8"; },
              "field \"dtype\" must be \"float32\" or \"bfloat16\", got \"int8\""},
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
