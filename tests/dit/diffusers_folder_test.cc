// diffusers' folders in every form that they come in, and in forms that harm.
#include "dit/diffusers_folder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/StringUtil.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "../io/allocation_counter.h"
#include "../io/scratch.h"
#include "../io/torch_builder.h"
#include "dit/diffusers_scheduler.h"
#include "dit/model_file.h"
#include "io/error.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace switchyard::dit {
namespace {

namespace fs = std::filesystem;
using io::contains;
using nlohmann::json;

const fs::path kPipeline = fs::path(SWITCHYARD_FIXTURE_DIR) / "diffusers_dit/pipeline";
const std::string kWeights = "diffusion_pytorch_model.safetensors";

// A copy of the fixture's pipeline to change.
class DiffusersFolder : public io::Scratch {
 protected:
  DiffusersFolder() {
    fs::copy(kPipeline, pipeline(), fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(pipeline()))
      fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add);
    tensors_ = io::read_safetensors(kPipeline / "transformer" / kWeights).tensors;
  }

  fs::path pipeline() const { return file("pipeline"); }
  fs::path transformer() const { return pipeline() / "transformer"; }

  static void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  static void edit(const fs::path& path, const std::function<void(json&)>& change) {
    auto read = io::read_json(path);
    change(read);
    write(path, read.dump());
  }

  // The transformer in two shards; `change` sees the index before it is written.
  void shard(
      const std::function<void(json&)>& change = [](json&) {}, const io::StateDict& also = {}) const {
    fs::remove(transformer() / kWeights);
    io::StateDict parts[2];
    parts[1] = also;
    json index = {{"metadata", {{"total_size", 1}}}};
    const std::string names[2] = {"part-00001-of-00002.safetensors", "part-00002-of-00002.safetensors"};
    size_t i = 0;
    for (const auto& [name, tensor] : tensors_) {
      const size_t part = i++ % 2;
      parts[part][name] = tensor;
      index["weight_map"][name] = names[part];
    }
    for (const size_t part : {0, 1}) io::write_safetensors(transformer() / names[part], parts[part]);
    change(index);
    write(transformer() / (kWeights + ".index.json"), index.dump());
  }

  // What torch.save would have written.
  void as_torch_file(const fs::path& path) const {
    namespace build = io::build;
    std::vector<std::pair<std::string, std::string>> items;
    build::Storages storages;
    for (const auto& [name, tensor] : tensors_) {
      const auto key = std::to_string(storages.size());
      const auto values = tensor.contiguous();
      items.emplace_back(build::text(name), build::tensor(build::storage("FloatStorage", key, values.numel()),
                                                          0, values.sizes().vec(), values.strides().vec()));
      storages.emplace_back(key,
                            std::string(static_cast<const char*>(values.const_data_ptr()), values.nbytes()));
    }
    write(path, build::torch_zip(build::dict(items), storages));
  }

  at::Tensor drawn(const fs::path& path) const {
    const at::NoGradGuard no_grad;
    const auto model = make_model(open_model(path));
    const auto& c = model.config();
    return model.forward(at::ones({1, c.in_channels, c.input_size, c.input_size}), at::full({1}, 7),
                         at::full({1}, 3, at::kLong));
  }

  std::string message(const fs::path& path) const {
    return io::message_of<io::InputError>([&] { make_model(open_model(path)); });
  }

  io::StateDict tensors_;
};

TEST_F(DiffusersFolder, SaysWhatItIs) {
  const auto file = open_model(pipeline());
  EXPECT_EQ(file.format, "diffusers");
  EXPECT_EQ(file.config.family, "dit");
  EXPECT_EQ(file.config.num_classes, 10);
  EXPECT_TRUE(file.config.has_null_class);
  EXPECT_EQ(file.config.prediction, "noise_and_variance");
  EXPECT_TRUE(file.config.block_embedders);
  EXPECT_EQ(file.config.norm_eps, 1e-5);
  EXPECT_TRUE(file.origin.empty()) << "all of it is said";
  EXPECT_EQ(file.decoder, pipeline() / "vae");
  EXPECT_EQ(
      file.settings,
      json::parse(R"({"solver": "ddim", "steps": 50, "spacing": "leading", "guidance": {"scale": 4.0}})"));
  EXPECT_EQ(file.metadata["scheduler"], "DDIMScheduler");
  EXPECT_NO_THROW(require_fitting_tensors(file));
}

TEST_F(DiffusersFolder, EveryFormGivesTheSame) {
  const auto expected = drawn(pipeline());
  EXPECT_GT(expected.abs().max().item<float>(), 0.01F);
  const auto expect_same = [&](const char* what, const fs::path& path) {
    SCOPED_TRACE(what);
    EXPECT_TRUE(at::equal(drawn(path), expected));
  };
  expect_same("its index", pipeline() / "model_index.json");
  expect_same("the transformer alone", transformer());
  expect_same("its file", transformer() / kWeights);
  EXPECT_EQ(open_model(transformer()).origin.at("schedule"), Origin::published);
  EXPECT_EQ(open_model(transformer()).decoder, "");
  as_torch_file(transformer() / "diffusion_pytorch_model.bin");
  expect_same("a torch file", transformer() / "diffusion_pytorch_model.bin");
  fs::remove(transformer() / kWeights);
  expect_same("a folder with a torch file", pipeline());
  fs::remove(transformer() / "diffusion_pytorch_model.bin");
  shard();
  expect_same("shards", pipeline());
  expect_same("their index", transformer() / (kWeights + ".index.json"));
  EXPECT_EQ(weight_files(pipeline()).size(), 2U);

  io::StateDict half;
  for (const auto& [name, tensor] : tensors_) half[name] = tensor.to(at::kHalf);
  fs::remove(transformer() / (kWeights + ".index.json"));
  io::write_safetensors(transformer() / "diffusion_pytorch_model.fp16.safetensors", half);
  fs::rename(pipeline() / "vae" / kWeights, pipeline() / "vae/diffusion_pytorch_model.fp16.safetensors");
  EXPECT_LT((drawn(pipeline()) - expected).abs().max().item<float>(), 0.01F);
  EXPECT_EQ(open_model(pipeline()).decoder.filename(), "diffusion_pytorch_model.fp16.safetensors");
}

TEST_F(DiffusersFolder, SavedAsOurFileItComputesTheSame) {
  auto file = open_model(pipeline());
  auto model = make_model(file);
  save_model(this->file("ours.safetensors"), model, "{}", at::kFloat, file.settings);
  EXPECT_TRUE(at::equal(drawn(this->file("ours.safetensors")), drawn(pipeline())));
  EXPECT_EQ(open_model(this->file("ours.safetensors")).config, file.config);
}

TEST_F(DiffusersFolder, EqualEmbeddersBecomeOne) {
  for (auto& [name, tensor] : tensors_) {
    const auto at = name.find("transformer_blocks.1.norm1.emb.");
    if (at != std::string::npos)
      tensor = tensors_.at("transformer_blocks.0." + name.substr(name.find("norm1"))).clone();
  }
  io::write_safetensors(transformer() / kWeights, tensors_);
  const auto shared = open_model(pipeline());
  EXPECT_FALSE(shared.config.block_embedders);
  const auto expected = drawn(pipeline());
  // One bit apart they are two again, with nearly the same answer.
  tensors_.at("transformer_blocks.1.norm1.emb.class_embedder.embedding_table.weight")[0][0] += 1e-3;
  io::write_safetensors(transformer() / kWeights, tensors_);
  EXPECT_TRUE(open_model(pipeline()).config.block_embedders);
  EXPECT_TRUE(at::equal(drawn(pipeline()), expected)) << "it was another class's number";
}

TEST_F(DiffusersFolder, ClassNamesAreTheIndexs) {
  const auto with = [&](const json& labels) {
    edit(pipeline() / "model_index.json", [&](json& index) { index["id2label"] = labels; });
    return open_model(pipeline());
  };
  json labels;
  for (int i = 0; i < 10; ++i)
    labels[std::to_string(i)] = "kind " + std::to_string(i) + ", sort " + std::to_string(i);
  EXPECT_EQ(with(labels).config.class_names.at(3), "kind 3, sort 3");
  labels["3"] = "long, " + std::string(300, 'x');
  EXPECT_EQ(with(labels).config.class_names.at(3), "long");
  labels["3"] = 3;
  EXPECT_TRUE(contains(with(labels).metadata["id2label"], "class 3 has no name"));
  labels["3"] = "\x1b[31m";
  EXPECT_TRUE(contains(with(labels).metadata["id2label"], "control characters"));
  labels["10"] = labels["3"] = "more";
  EXPECT_TRUE(contains(with(labels).metadata["id2label"], "names 11 classes, the model has 10"));
  EXPECT_TRUE(with(labels).config.class_names.empty());
  EXPECT_TRUE(contains(with(json::array({1})).metadata["id2label"], "no object"));
}

struct SchedulerCase {
  const char* change;  // merged into the fixture's
  const char *schedule, *prediction;
  const char* settings;  // solver, steps, spacing; null: none
};

TEST_F(DiffusersFolder, SchedulersAreObjectiveAndSettings) {
  const auto usual = io::read_json(kPipeline / "scheduler/scheduler_config.json");
  for (
      const auto& [change, schedule, prediction, settings] :
      {SchedulerCase{R"({})", "linear", "noise_and_variance", "ddim leading"},
       {R"({"timestep_spacing": "trailing"})", "linear", "noise_and_variance", "ddim trailing"},
       {R"({"_class_name": "DDPMScheduler", "timestep_spacing": null})", "linear", "noise_and_variance",
        "ddpm leading"},
       {R"({"_class_name": "DPMSolverMultistepScheduler", "timestep_spacing": null})", "linear",
        "noise_and_variance", "dpmpp_2m linspace"},
       {R"({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "use_karras_sigmas": true})",
        "linear", "noise_and_variance", "dpmpp_3m karras"},
       {R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"})", "linear",
        "noise_and_variance", "dpmpp_2m_sde leading"},
       {R"({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "linspace"})", "linear",
        "noise_and_variance", "euler linspace"},
       {R"({"_class_name": "PNDMScheduler"})", "linear", "noise_and_variance", nullptr},
       {R"({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "v_prediction"})",
        "scaled_linear", "v", "ddim leading"},
       {R"({"beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"})", "cosine", "clean_image",
        "ddim leading"}}) {
    SCOPED_TRACE(change);
    auto config = usual;
    config.merge_patch(json::parse(change));
    write(pipeline() / "scheduler/scheduler_config.json", config.dump());
    const auto file = open_model(pipeline());
    EXPECT_EQ(file.config.schedule, schedule);
    EXPECT_EQ(file.config.prediction, prediction);
    if (settings == nullptr) {
      EXPECT_TRUE(file.settings.is_null());
      EXPECT_EQ(file.metadata["scheduler"], "PNDMScheduler; left out: its solver");
    } else {
      EXPECT_EQ(
          file.settings["solver"].get<std::string>() + " " + file.settings["spacing"].get<std::string>(),
          settings);
    }
  }
  auto clipped = usual;
  clipped.merge_patch({{"clip_sample", true}, {"thresholding", true}, {"steps_offset", 1}});
  const auto read = diffusers_scheduler(clipped, true, "here");
  EXPECT_EQ(read.settings["clip"], 1.0);
  EXPECT_EQ(read.left_out, (std::vector<std::string>{"thresholding", "steps_offset"}));
  fs::remove_all(pipeline() / "scheduler");
  EXPECT_EQ(open_model(pipeline()).origin.at("schedule"), Origin::published);
}

struct Harm {
  const char* file;    // JSON to change
  const char* change;  // merged into it
  const char* says;
};

TEST_F(DiffusersFolder, WhatIsWrongIsNamed) {
  for (const auto& [file, change, says] :
       {Harm{"model_index.json", R"({"_class_name": "StableDiffusionPipeline"})",
             "\"StableDiffusionPipeline\", expected a DiTPipeline"},
        {"model_index.json", R"({"_class_name": 7})", "_class_name is 7, expected a text"},
        {"transformer/config.json", R"({"_class_name": "PixArtTransformer2DModel"})",
         "expected a DiTTransformer2DModel"},
        {"transformer/config.json", R"({"activation_fn": "geglu"})",
         "activation_fn is \"geglu\", this program knows \"gelu-approximate\""},
        {"transformer/config.json", R"({"norm_type": "layer_norm"})", "norm_type is \"layer_norm\""},
        {"transformer/config.json", R"({"attention_bias": false})", "attention with biases only"},
        {"transformer/config.json", R"({"norm_elementwise_affine": true})", "without weights only"},
        {"transformer/config.json", R"({"cross_attention_dim": 1024})", "draws from texts"},
        {"transformer/config.json", R"({"num_layers": 1000000000})",
         "num_layers is 1000000000, expected 1 .. 1024"},
        {"transformer/config.json", R"({"num_layers": 1000})",
         "num_layers is 1000, the weights have 2 blocks"},
        {"transformer/config.json", R"({"num_layers": 1})", "num_layers is 1, the weights have 2 blocks"},
        {"transformer/config.json", R"({"num_layers": 2.5})", "num_layers is 2.5, expected a whole number"},
        {"transformer/config.json", R"({"num_layers": 18446744073709551615})", "expected a whole number"},
        {"transformer/config.json", R"({"num_attention_heads": 0})",
         "num_attention_heads is 0, expected 1 .. 1024"},
        {"transformer/config.json", R"({"num_attention_heads": 3})", "is 48, the weights are 32 wide"},
        {"transformer/config.json", R"({"num_attention_heads": 4})", "is 64, the weights are 32 wide"},
        {"transformer/config.json", R"({"attention_head_dim": 9223372036854775807})", "expected 1 .. 16384"},
        {"transformer/config.json", R"({"attention_head_dim": -16})", "attention_head_dim is -16"},
        {"transformer/config.json", R"({"sample_size": 4096})", "sample_size is 4096, which is absurd"},
        {"transformer/config.json", R"({"sample_size": 9})", "patch_size 2 must divide input_size 9"},
        {"transformer/config.json", R"({"out_channels": 5})", "out_channels is 5, expected in_channels, 4"},
        {"transformer/config.json", R"({"num_embeds_ada_norm": 1000})",
         "it can be 11, or 10 and the null class"},
        {"transformer/config.json", R"({"norm_eps": -1})", "norm_eps must be in (0, 0.1], got -1"},
        {"transformer/config.json", R"({"norm_eps": "small"})", "norm_eps is \"small\", expected a number"},
        {"scheduler/scheduler_config.json", R"({"beta_schedule": "sigmoid"})",
         "known are linear from 0.0001 to 0.02, scaled_linear"},
        {"scheduler/scheduler_config.json", R"({"beta_end": 0.5})", "from 0.0001 to 0.5: known are"},
        {"scheduler/scheduler_config.json", R"({"trained_betas": [0.1]})", "trained_betas are given"},
        {"scheduler/scheduler_config.json", R"({"num_train_timesteps": 1e9})", "expected a whole number"},
        {"scheduler/scheduler_config.json", R"({"num_train_timesteps": 4000})",
         "num_train_timesteps is 4000, expected 1000"},
        {"scheduler/scheduler_config.json", R"({"rescale_betas_zero_snr": true})", "rescale_betas_zero_snr"},
        {"scheduler/scheduler_config.json", R"({"prediction_type": "flow"})", "prediction_type is \"flow\""},
        {"scheduler/scheduler_config.json", R"({"timestep_spacing": "odd"})",
         "timestep_spacing is \"odd\""}}) {
    SCOPED_TRACE(change);
    const auto path = pipeline() / file;
    const auto kept = io::read_json(path);
    edit(path, [&, change = change](json& read) { read.merge_patch(json::parse(change)); });
    const auto said = message(pipeline());
    EXPECT_TRUE(contains(said, says));
    write(path, kept.dump());
  }
}

TEST_F(DiffusersFolder, WhatIsNotThereIsNamed) {
  io::StateDict changed = tensors_;
  changed.erase("transformer_blocks.1.attn1.to_k.weight");
  changed["text_proj.weight"] = at::zeros({2});
  io::write_safetensors(transformer() / kWeights, changed);
  EXPECT_TRUE(contains(message(pipeline()), "transformer_blocks.1.attn1.to_k.weight is missing"));
  EXPECT_TRUE(contains(message(pipeline()), "\"text_proj.weight\" is not part of this model"));
  changed = tensors_;
  changed["transformer_blocks.1.attn1.to_k.weight"] = at::zeros({32, 31});
  io::write_safetensors(transformer() / kWeights, changed);
  EXPECT_TRUE(contains(message(pipeline()), "attn.k.weight has shape [32, 31], expected [32, 32]"));
  fs::remove(transformer() / kWeights);
  EXPECT_TRUE(contains(message(pipeline()), "holds no weights: expected diffusion_pytorch_model"));
  io::write_safetensors(file("lone.safetensors"), tensors_);
  EXPECT_TRUE(contains(message(file("lone.safetensors")), "config.json: expected it beside the file"));
  fs::remove_all(pipeline() / "vae");
  fs::create_directory(pipeline() / "vae");
  io::write_safetensors(transformer() / kWeights, tensors_);
  EXPECT_TRUE(contains(open_model(pipeline()).metadata["vae"], "holds no weights"));
  EXPECT_EQ(open_model(pipeline()).decoder, "");
}

struct IndexCase {
  const char* name;
  std::function<void(json&)> change;
  const char* says;
};

TEST_F(DiffusersFolder, AnIndexNamesItsOwnFilesAlone) {
  const std::string tensor = "proj_out_2.bias";
  const auto named = [&](json value) { return [=](json& index) { index["weight_map"][tensor] = value; }; };
  const IndexCase cases[] = {
      {"absent", named("part-00003-of-00002.safetensors"),
       "\"part-00003-of-00002.safetensors\", is not there"},
      {"above", named("../transformer/part-00001-of-00002.safetensors"),
       "expected the name of a file in the same folder"},
      {"absolute", named("/etc/passwd"), "expected the name of a file in the same folder"},
      {"here", named("."), "expected the name"},
      {"parent", named(".."), "expected the name"},
      {"empty", named(""), "expected the name"},
      {"nul", named(std::string("a\0b", 3)), "expected the name"},
      {"drive", named("C:\\part"), "expected the name"},
      {"long", named(std::string(5000, 'a')), "expected the name"},
      {"number", named(5), "is number, expected a name"},
      {"foreign", named("config.json"), "config.json"},
      {"other shard",
       [&](json& index) {
         auto& file = index["weight_map"][tensor];
         file = file == "part-00001-of-00002.safetensors" ? "part-00002-of-00002.safetensors"
                                                          : "part-00001-of-00002.safetensors";
       },
       "says that \"proj_out_2.bias\" is in"},
      {"not named", [&](json& index) { index["weight_map"].erase(tensor); },
       "does not name \"proj_out_2.bias\""},
      {"not held", [](json& index) { index["weight_map"]["more"] = "part-00001-of-00002.safetensors"; },
       "does not hold it"},
      {"no map", [](json& index) { index.erase("weight_map"); }, "expected {\"weight_map\""},
      {"empty map", [](json& index) { index["weight_map"] = json::object(); }, "expected {\"weight_map\""},
      {"list", [](json& index) { index = json::array(); }, "expected {\"weight_map\""},
      {"many",
       [](json& index) {
         for (int i = 0; i < 3000; ++i)
           index["weight_map"][c10::str("t", i)] = c10::str("f", i);
       },
       "is not there"},
  };
  for (const auto& [name, change, says] : cases) {
    SCOPED_TRACE(name);
    shard(change);
    EXPECT_TRUE(contains(message(pipeline()), says));
  }
  shard([](json&) {}, {{"proj_out_1.bias", at::zeros({64})}, {"proj_out_1.weight", at::zeros({64, 32})}});
  EXPECT_TRUE(contains(message(pipeline()), "is in two files"));
}

// Bytes of the JSON changed, taken out and put in; tokens of JSON put in the places of numbers.
std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](size_t n) { return random() % std::max<size_t>(n, 1); };
  static const std::string kTokens[] = {"-1",         "0",    "1e308", "4096",     "99999999999999999999",
                                        "null",       "true", "[]",    "{}",       "\"x\"",
                                        "2147483647", "1024", "0.5",   "\"../x\"", "[[[[[[[[",
                                        "\"\\u0000\""};
  for (size_t changes = 1 + below(3); changes > 0; --changes) {
    const auto at = below(text.size());
    switch (below(4)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, 1 + below(20));
        break;
      case 2:
        text.insert(at, kTokens[below(std::size(kTokens))]);
        break;
      default: {
        const auto colon = text.find(':', at);
        const auto end = text.find_first_of(",}", colon);
        if (end != std::string::npos)
          text.replace(colon + 1, end - colon - 1, kTokens[below(std::size(kTokens))]);
      }
    }
  }
  return text;
}

TEST_F(DiffusersFolder, MutationsAreRefusedOrOpenWithinTheFilesSize) {
  shard();
  std::mt19937 random(7);
  int opened = 0, refused = 0;
  for (const auto& path : {transformer() / "config.json", transformer() / (kWeights + ".index.json"),
                           pipeline() / "model_index.json", pipeline() / "scheduler/scheduler_config.json"}) {
    std::ifstream stream(path, std::ios::binary);
    const std::string kept{std::istreambuf_iterator<char>(stream), {}};
    for (int i = 0; i < 300; ++i) {
      const auto text = mutated(kept, random);
      write(path, text);
      size_t bytes = 0;
      for (const auto& entry : fs::recursive_directory_iterator(transformer()))
        if (entry.is_regular_file()) bytes += entry.file_size();
      const io::AllocationCounter counter;
      try {
        const auto file = open_model(pipeline());
        require_fitting_tensors(file);
        ++opened;
      } catch (const io::InputError& error) {
        EXPECT_STRNE(error.what(), "");
        ++refused;
      }
      EXPECT_LE(counter.peak(), 2 * bytes) << path << ": " << text;
    }
    write(path, kept);
  }
  EXPECT_GT(opened, 50);
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace switchyard::dit
