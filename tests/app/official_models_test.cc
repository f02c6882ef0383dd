// The program on files as people download them: the fixtures' official checkpoints and autoencoders, end to
// end.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../io/scratch.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "program.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

const std::string kFixtures = SWITCHYARD_FIXTURE_DIR;
const std::string kMoe = kFixtures + "/checkpoints/train_zip.pt";  // {"model", "ema", "args", ...}
const std::string kSwitch = kFixtures + "/switch_dit/dmoe_3e2a.weights.safetensors";  // a bare state dict
const std::string kVae = kFixtures + "/vae/legacy";

class OfficialModels : public io::Scratch {
 protected:
  OfficialModels() { fs::create_directories(work()); }
  fs::path work() const { return file("work"); }
  Outcome start(const Arguments& arguments) const { return run(arguments, {.folder = work()}); }
  // `sample` of one image in three steps, with more options.
  Outcome sample(const std::string& model, const Arguments& more) const {
    Arguments all = {"sample", "--model", model, "--heads", "4", "--class", "3", "--steps", "3"};
    all.insert(all.end(), more.begin(), more.end());
    return start(all);
  }
  at::Tensor pixels(const std::string& name) const { return io::read_png(work() / name).pixels; }
};

TEST_F(OfficialModels, ImageComesOutOfLatentsThroughTheVae) {
  const auto outcome = sample(kMoe, {"--vae", kVae});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "./class-3-0000.png\n");
  EXPECT_EQ(pixels("class-3-0000.png").sizes(), (std::vector<int64_t>{64, 64, 3}));
  ASSERT_EQ(sample(kMoe, {"--vae", kVae, "--from", "class-3-0000.png", "--out", "again"}).code, 0);
  EXPECT_TRUE(at::equal(pixels("class-3-0000.png"), pixels("again/class-3-0000.png")));
}

// Each of these changes the pixels though the model file is the same.
TEST_F(OfficialModels, FromWarnsOfWhatTheFileDoesNotSay) {
  const Arguments usual = {"--vae", kVae, "--experts-per-token", "2"};
  ASSERT_EQ(sample(kMoe, usual).code, 0);
  const std::pair<const char*, Arguments> others[] = {
      {"weights ema, this is model", {"--vae", kVae, "--weights", "model"}},
      {"experts per token 2, this is 1", {"--vae", kVae, "--experts-per-token", "1"}},
      {"objective linear:noise_and_variance, this is cosine", {"--vae", kVae, "--objective", "cosine"}},
      {"decoder legacy, this is current", {"--vae", kFixtures + "/vae/current"}},
  };
  for (const auto& [warning, options] : others) {
    auto again = options;
    again.insert(again.end(), {"--from", "class-3-0000.png", "--out", "again"});
    const auto outcome = sample(kMoe, again);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(io::contains(outcome.err, warning)) << outcome.err;
  }
}

TEST_F(OfficialModels, BothVaeFilesGiveTheSameImage) {
  ASSERT_EQ(sample(kMoe, {"--vae", kVae, "--out", "safetensors"}).code, 0);
  ASSERT_EQ(sample(kMoe, {"--vae", kVae + "/diffusion_pytorch_model.bin", "--out", "bin"}).code, 0);
  EXPECT_TRUE(at::equal(pixels("safetensors/class-3-0000.png"), pixels("bin/class-3-0000.png")));
}

TEST_F(OfficialModels, EveryObjectiveAndQualityDraws) {
  for (const char* objective : {"rectified_flow", "sit", "sit_gvp", "linear", "cosine", "scaled_linear:v"}) {
    for (const char* quality : {"fast", "balanced"}) {
      const auto outcome = sample(kMoe, {"--vae", kVae, "--objective", objective, "--quality", quality});
      EXPECT_EQ(outcome.code, 0) << objective << " " << quality << ": " << outcome.err;
      EXPECT_TRUE(io::contains(outcome.err, std::string(quality) + ": "))
          << "the choice is printed: " << outcome.err;
    }
  }
}

TEST_F(OfficialModels, AutoguidanceDrawsAnotherImage) {
  ASSERT_EQ(sample(kMoe, {"--vae", kVae, "--guidance", "2", "--out", "plain"}).code, 0);
  const auto outcome = sample(
      kMoe, {"--vae", kVae, "--guidance", "2", "--weak-experts", "1", "--out", "auto", "--routing", "r.npz"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(at::equal(pixels("plain/class-3-0000.png"), pixels("auto/class-3-0000.png")));
}

TEST_F(OfficialModels, TimestepRoutingIsRecordedAndDrawn) {
  const auto outcome = sample(kSwitch, {"--vae", kVae, "--map", "map.png", "--routing", "routing.npz"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto arrays = io::read_npz(work() / "routing.npz");
  EXPECT_EQ(arrays.at("experts").size(4), 1) << "one choice for all tokens of an image";
  EXPECT_LT(arrays.at("experts").max().item<int64_t>(), arrays.at("num_experts").item<int64_t>());
  EXPECT_EQ(pixels("map.png").size(1), 1000);
}

TEST_F(OfficialModels, ConvertedModelDrawsTheSameImage) {
  const auto converted = start({"convert", kMoe, "converted.safetensors", "--heads", "4", "--dtype", "fp32"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_EQ(converted.out, "converted.safetensors\n");
  ASSERT_EQ(sample(kMoe, {"--vae", kVae, "--out", "pt"}).code, 0);
  ASSERT_EQ(sample("converted.safetensors", {"--vae", kVae, "--out", "ours"}).code, 0);
  EXPECT_TRUE(at::equal(pixels("pt/class-3-0000.png"), pixels("ours/class-3-0000.png")));
  const auto info = nlohmann::json::parse(start({"info", "converted.safetensors", "--json"}).out);
  EXPECT_EQ(info["format"], "Switchyard");
  EXPECT_EQ(info["training"]["converted_from"]["weights"], "ema");
  EXPECT_EQ(info["config"]["num_heads"], 4);
}

TEST_F(OfficialModels, InfoSaysWhereEachFieldComesFrom) {
  const auto info = nlohmann::json::parse(start({"info", kMoe, "--json"}).out);
  EXPECT_EQ(info["format"], "PyTorch");
  EXPECT_EQ(info["weights"], "ema");
  EXPECT_EQ(info["origin"]["hidden_size"], "from the tensors");
  EXPECT_EQ(info["origin"]["experts_per_token"], "from the stored arguments");
  EXPECT_EQ(info["origin"]["num_heads"], "guessed: the file does not say");
}

// As Switch-DiT's models of faces are: a table of one row, which is no class to guide away from.
TEST_F(OfficialModels, SwitchDitWithoutClassesDraws) {
  auto tensors = io::read_safetensors(kSwitch).tensors;
  auto& table = tensors.at("y_embedder.embedding_table.weight");
  table = table.slice(0, 0, 1).clone();
  io::write_safetensors(work() / "faces.safetensors", tensors, {});
  const Arguments drawn = {"faces.safetensors", "--heads", "4", "--steps", "3", "--vae", kVae,
                           "--count",           "2"};
  const auto with = [&](std::string command, Arguments more) {
    more.insert(more.begin(), drawn.begin(), drawn.end());
    more.insert(more.begin(), std::move(command));
    if (more[0] == "sample") more.insert(more.begin() + 1, "--model");
    return start(more);
  };
  const auto outcome = with("sample", {"--map", "map.png", "--routing", "routing.npz"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(at::equal(pixels("class-0-0000.png"), pixels("class-0-0001.png")));
  const auto guided = with("sample", {"--guidance", "4"});
  EXPECT_EQ(guided.code, 2) << guided.err;
  EXPECT_TRUE(io::contains(guided.err, "no null class to guide away from")) << guided.err;
  const auto wrong = with("sample", {"--num-classes", "3"});
  EXPECT_EQ(wrong.code, 3) << wrong.err;
  EXPECT_TRUE(io::contains(wrong.err, "has 1 row: it can be 1")) << wrong.err;
  const auto info = nlohmann::json::parse(start({"info", "faces.safetensors", "--json"}).out);
  EXPECT_EQ(info["config"]["num_classes"], 1);
  EXPECT_EQ(info["config"]["has_null_class"], false);
  EXPECT_EQ(info["origin"]["has_null_class"], "from the tensors");
}

// A folder of diffusers says everything, and brings its decoder.
TEST_F(OfficialModels, AFolderOfDiffusersDrawsWithoutMoreOptions) {
  const auto folder = kFixtures + "/diffusers_dit/pipeline";
  const auto outcome = start({"sample", "--model", folder, "--class", "3", "--seed", "5"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(pixels("class-3-0005.png").sizes(), (std::vector<int64_t>{16, 16, 3}));
  ASSERT_EQ(start({"sample", "--from", "class-3-0005.png", "--model", folder, "--out", "again"}).code, 0);
  EXPECT_TRUE(at::equal(pixels("class-3-0005.png"), pixels("again/class-3-0005.png")));
  const auto converted = start({"convert", folder, "ours.safetensors", "--dtype", "fp32"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  ASSERT_EQ(start({"sample", "--model", "ours.safetensors", "--vae", folder + "/vae", "--class", "3",
                   "--seed", "5", "--out", "ours"})
                .code,
            0);
  EXPECT_TRUE(at::equal(pixels("class-3-0005.png"), pixels("ours/class-3-0005.png")));

  const auto info = nlohmann::json::parse(start({"info", folder, "--json"}).out);
  EXPECT_EQ(info["name"], "pipeline");
  EXPECT_EQ(info["format"], "diffusers");
  EXPECT_EQ(info["settings"]["solver"], "ddim");
  EXPECT_EQ(info["settings_of"], "model");
  EXPECT_EQ(info["hash"],
            nlohmann::json::parse(start({"info", folder + "/transformer", "--json"}).out)["hash"]);
  EXPECT_TRUE(
      io::contains(start({"sample", "--model", folder + "/transformer", "--class", "3"}).err, "--vae"));
  EXPECT_EQ(start({"sample", "--model", folder + "/transformer", "--class", "3", "--vae", folder + "/vae",
                   "--out", "lone"})
                .code,
            0);
}

struct Refusal {
  const char* name;
  Arguments arguments;
  int code;
  std::string reason;
};

TEST_F(OfficialModels, RefusesWithExitCodeAndReason) {
  const Refusal refusals[] = {
      {"latents_without_a_decoder", {"sample", "--model", kMoe, "--heads", "4", "--class", "3"}, 2, "--vae"},
      {"heads_unknown", {"sample", "--model", kMoe, "--class", "3", "--vae", kVae}, 3, "give --heads"},
      {"no_such_weights", {"info", kMoe, "--weights", "optimiser"}, 3, "it holds: \"model\", \"ema\""},
      {"unknown_objective", {"info", kMoe, "--objective", "cosin"}, 2, "did you mean \"cosine\""},
      {"solver_of_another_schedule",
       {"sample", "--model", kMoe, "--heads", "4", "--class", "3", "--vae", kVae, "--objective",
        "rectified_flow", "--solver", "ddpm"},
       2,
       "ddpm"},
      {"unknown_quality", {"sample", "--quality", "bset"}, 2, "did you mean \"best\""},
      {"unknown_guidance", {"sample", "--guidance-kind", "rescald"}, 2, "did you mean \"rescaled\""},
      {"vae_missing",
       {"sample", "--model", kMoe, "--heads", "4", "--class", "3", "--vae", "none"},
       3,
       "none"},
      {"convert_onto_itself", {"convert", kSwitch, kSwitch}, 2, "the same file"},
      {"convert_to_another_kind", {"convert", kMoe, "model.pt"}, 2, ".safetensors"},
      {"convert_dtype", {"convert", kMoe, "m.safetensors", "--dtype", "fp8"}, 2, "--dtype"},
  };
  for (const auto& refusal : refusals) {
    SCOPED_TRACE(refusal.name);
    const auto outcome = start(refusal.arguments);
    EXPECT_EQ(outcome.code, refusal.code) << outcome.err;
    EXPECT_TRUE(io::contains(outcome.err, refusal.reason)) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(fs::is_empty(work()));
  }
}

}  // namespace
}  // namespace switchyard::app
