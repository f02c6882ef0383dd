// Model files: there and back, and what is said of files that do not fit.
#include "dit/checkpoint.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "../io/scratch.h"
#include "dit/model_file.h"
#include "io/error.h"
#include "io/safetensors.h"
#include "random_model.h"

namespace switchyard::dit {
namespace {

using io::contains;
using io::message_of;

class Checkpoint : public io::Scratch {
 protected:
  // The saved small model, changed by `spoil`, and what loading it says.
  std::string message_for(const std::function<void(io::TensorFile&, nlohmann::json&)>& spoil) {
    auto model = random_model(small_config());
    save_model(file("model.safetensors"), model, "{}");
    auto stored = io::read_safetensors(file("model.safetensors"));
    auto json = nlohmann::json::parse(stored.metadata.at(kMetadataKey));
    spoil(stored, json);
    if (stored.metadata.contains(kMetadataKey))
      stored.metadata[kMetadataKey] = json.is_string() ? json.get<std::string>() : json.dump();
    io::write_safetensors(file("spoilt.safetensors"), stored.tensors, stored.metadata);
    const auto message =
        message_of<io::InputError>([&] { make_model(open_model(file("spoilt.safetensors"))); });
    EXPECT_TRUE(contains(message, "spoilt.safetensors")) << "the file is named";
    return message;
  }
};

TEST_F(Checkpoint, RoundTrip) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    auto config = small_config();
    config.qk_norm = true;
    config.num_classes = 3;
    config.class_names = {"sphere", "cube", "torus"};
    auto model = random_model(config);
    save_model(file("model.safetensors"), model, R"({"steps": 31})", dtype);
    const auto opened = open_model(file("model.safetensors"));
    EXPECT_EQ(opened.format, "Switchyard");
    EXPECT_EQ(opened.training, nlohmann::json::parse(R"({"steps": 31})"));
    auto loaded = make_model(opened);
    EXPECT_EQ(loaded.config(), config);
    auto state = loaded.state_dict();
    const auto original = model.state_dict();
    ASSERT_EQ(state.size(), original.size());
    for (const auto& [name, tensor] : original) {
      EXPECT_TRUE(at::equal(state.at(name), tensor.to(dtype).to(at::kFloat))) << name;
    }
  }
}

TEST_F(Checkpoint, CarriesSettings) {
  auto model = random_model(small_config());
  const nlohmann::json settings = {{"solver", "heun"}, {"guidance", {{"scale", 0.1 + 0.2}}}};
  save_model(file("plain.safetensors"), model, "{}");
  save_model(file("model.safetensors"), model, "{}", at::kFloat, settings);
  EXPECT_TRUE(open_model(file("plain.safetensors")).settings.is_null());
  EXPECT_EQ(open_model(file("model.safetensors")).settings, settings);
  // They were for the objective that the file states.
  EXPECT_TRUE(
      open_model(file("model.safetensors"), {.hints = {.schedule = "linear", .prediction = "noise"}})
          .settings.is_null());
}

TEST_F(Checkpoint, SettingsMustBeAnObject) {
  EXPECT_TRUE(contains(message_for([](auto&, auto& json) { json["settings"] = {1, 2}; }),
                       "its settings are array, expected an object"));
}

TEST_F(Checkpoint, LoadsInTheDtypeAskedFor) {
  auto model = random_model(small_config());
  save_model(file("model.safetensors"), model, "{}");
  auto loaded = make_model(open_model(file("model.safetensors")), at::kBFloat16);
  for (const auto& [name, tensor] : loaded.parameters())
    EXPECT_EQ(tensor->scalar_type(), at::kBFloat16) << name;
}

TEST_F(Checkpoint, LoadsFromMemoryThatGoesAway) {
  auto model = random_model(small_config());
  save_model(file("model.safetensors"), model, "{}", at::kFloat);
  auto bytes = bytes_of("model.safetensors");
  auto loaded = make_model(open_model(std::as_bytes(std::span(bytes)), "embedded"));
  bytes.assign(bytes.size(), '\xff');
  auto state = loaded.state_dict();
  for (const auto& [name, tensor] : model.state_dict())
    EXPECT_TRUE(at::equal(state.at(name), tensor)) << name;
}

TEST_F(Checkpoint, LoadedModelComputesTheSame) {
  auto model = random_model(small_config());
  save_model(file("model.safetensors"), model, "{}", at::kFloat);
  const auto loaded = make_model(open_model(file("model.safetensors")));
  const auto batch = random_batch(model.config(), 2);
  EXPECT_TRUE(at::equal(loaded.forward(batch.x, batch.t, batch.y), model.forward(batch.x, batch.t, batch.y)));
}

TEST_F(Checkpoint, MissingTensorIsNamed) {
  for (const char* name : {"pos_embed", "blocks.1.moe.experts.3.up_proj.weight", "t_embedder.mlp.0.weight"}) {
    EXPECT_TRUE(contains(message_for([&](auto& stored, auto&) { stored.tensors.erase(name); }),
                         std::string(name) + " is missing"));
  }
}

TEST_F(Checkpoint, SurplusTensorIsNamed) {
  EXPECT_TRUE(contains(message_for([](auto& stored, auto&) { stored.tensors["ema.decay"] = at::ones({1}); }),
                       "\"ema.decay\" is not part of this model"));
}

TEST_F(Checkpoint, ShapeIsNamed) {
  const auto message =
      message_for([](auto& stored, auto&) { stored.tensors["final_layer.linear.bias"] = at::ones({7}); });
  EXPECT_TRUE(contains(message, "final_layer.linear.bias has shape [7], expected [48]"));
}

TEST_F(Checkpoint, IntegersAreNoWeights) {
  const auto message = message_for(
      [](auto& stored, auto&) { stored.tensors["final_layer.linear.bias"] = at::ones({48}, at::kInt); });
  EXPECT_TRUE(contains(message, "final_layer.linear.bias holds Int"));
}

TEST_F(Checkpoint, AtMostTenProblemsAreListed) {
  const auto message = message_for([](auto& stored, auto&) {
    for (int i = 0; i < 31; ++i) stored.tensors["surplus." + std::to_string(i)] = at::ones({1});
  });
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 11) << message;
  EXPECT_TRUE(contains(message, "and 21 more"));
}

TEST_F(Checkpoint, OtherFilesAreNotOurs) {
  EXPECT_TRUE(contains(message_for([](auto& stored, auto&) {
                         stored.metadata.clear();
                         stored.tensors = {{"weight", at::ones({3})}};
                       }),
                       "not a checkpoint of a DiT"));
  for (const char* text : {"", "{", "[]", "null", "{\"version\": 1}"}) {
    EXPECT_TRUE(
        contains(message_for([&](auto&, auto& json) { json = std::string(text); }), "metadata is not"))
        << text;
  }
  EXPECT_TRUE(contains(message_for([](auto&, auto& json) { json["config"] = 3; }), "expected a JSON object"));
}

TEST_F(Checkpoint, OfficialNamesAreEnough) {
  auto model = random_model(small_config());
  io::write_safetensors(file("bare.safetensors"), model.state_dict());
  const auto opened =
      open_model(file("bare.safetensors"), {.weights = {}, .hints = {.num_heads = model.config().num_heads}});
  EXPECT_EQ(opened.format, "safetensors");
  EXPECT_EQ(opened.origin.at("hidden_size"), Origin::tensors);
  EXPECT_EQ(opened.origin.at("num_heads"), Origin::given);
  EXPECT_EQ(opened.origin.at("schedule"), Origin::published);
  auto state = make_model(opened).state_dict();
  for (const auto& [name, tensor] : model.state_dict())
    EXPECT_TRUE(at::equal(state.at(name), tensor)) << name;
}

TEST_F(Checkpoint, ObjectiveOfAFileOfOursCanBeOverridden) {
  auto model = random_model(small_config());
  save_model(file("model.safetensors"), model, "{}");
  const auto opened = open_model(file("model.safetensors"),
                                 {.weights = {}, .hints = {.schedule = "cosine", .prediction = "v"}});
  EXPECT_EQ(opened.config.schedule, "cosine");
  EXPECT_EQ(opened.config.prediction, "v");
  EXPECT_EQ(opened.origin.at("schedule"), Origin::given);
}

TEST_F(Checkpoint, TensorsAreCheckedWithoutMakingTheModel) {
  auto model = random_model(small_config());
  auto state = model.state_dict();
  io::write_safetensors(file("bare.safetensors"), state);
  EXPECT_NO_THROW(require_fitting_tensors(open_model(file("bare.safetensors"))));
  state["surplus"] = at::ones({1});
  io::write_safetensors(file("surplus.safetensors"), state);
  const auto opened = open_model(file("surplus.safetensors"));
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { require_fitting_tensors(opened); }), "surplus"));
}

TEST_F(Checkpoint, TensorsThatRepeatAFewBytesAreRefused) {
  auto config = small_config();
  config.hidden_size = 256;
  auto model = random_model(config);
  save_model(file("model.safetensors"), model, "{}");
  auto opened = open_model(file("model.safetensors"));
  const auto one = at::ones({1});
  for (auto& [name, tensor] : opened.tensors) tensor = one.expand(tensor.sizes());
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { make_model(opened); }), "repeat each other's bytes"));
}

TEST_F(Checkpoint, TrainingRecordMustBeAnObject) {
  EXPECT_TRUE(
      contains(message_for([](auto&, auto& json) { json["training"] = 5; }), "training record is number"));
}

TEST_F(Checkpoint, OtherVersionsAreNamed) {
  for (const auto& version : nlohmann::json::parse(R"([2, 0, "1", null, []])")) {
    EXPECT_TRUE(contains(message_for([&](auto&, auto& json) { json["version"] = version; }),
                         "version " + version.dump()));
  }
}

TEST_F(Checkpoint, BadConfigurationIsNamed) {
  EXPECT_TRUE(contains(message_for([](auto&, auto& json) { json["config"]["depth"] = "two"; }),
                       "\"depth\" has a wrong type"));
  EXPECT_TRUE(contains(message_for([](auto&, auto& json) { json["config"]["num_heads"] = 5; }), "num_heads"));
}

// Each of these would take gigabytes to terabytes.
TEST_F(Checkpoint, HostileSizesAllocateNothing) {
  const std::map<std::string, int64_t> cases[] = {
      {{"hidden_size", 16384}},
      {{"expert_hidden", 131072}, {"num_experts", 1024}, {"depth", 1024}, {"hidden_size", 16384}},
      {{"num_classes", 1048576}, {"hidden_size", 16384}},
      {{"input_size", 4096}, {"patch_size", 1}},
      {{"depth", 1024}, {"expert_hidden", 131072}},
  };
  for (const auto& sizes : cases) {
    const auto message = message_for([&](auto&, auto& json) {
      for (const auto& [field, size] : sizes) json["config"][field] = size;
    });
    EXPECT_TRUE(contains(message, "its configuration asks for"));
  }
}

TEST_F(Checkpoint, BothKeyStylesAreRead) {
  auto model = random_model(small_config());
  std::map<std::string, at::Tensor> flash;
  for (const auto& [name, tensor] : model.state_dict()) {
    auto renamed = name;
    if (const auto at = renamed.find("attn.qkv"); at != std::string::npos)
      renamed.replace(at, 8, "attn.Wqkv");
    if (const auto at = renamed.find("attn.proj"); at != std::string::npos)
      renamed.replace(at, 9, "attn.out_proj");
    flash[renamed] = tensor;
  }
  DiffusionTransformer other(small_config());
  load_state(other, flash, "flash");
  const auto state = other.state_dict();
  for (const auto& [name, tensor] : model.state_dict())
    EXPECT_TRUE(at::equal(state.at(name), tensor)) << name;

  flash["blocks.0.attn.qkv.weight"] = model.state_dict().at("blocks.0.attn.qkv.weight");
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { load_state(other, flash, "flash"); }),
                       "comes in both key styles"));
}

TEST_F(Checkpoint, UnwritableTarget) {
  auto model = random_model(small_config());
  EXPECT_THROW(save_model(file("no/such/folder.safetensors"), model, "{}"), io::OutputError);
}

}  // namespace
}  // namespace switchyard::dit
