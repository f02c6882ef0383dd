// The program from outside: exit codes, messages, files.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

#include "../io/scratch.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "kernels/linear/linear.h"
#include "program.h"
#include "tiny_run.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

const auto* const kTinyRun = ::testing::AddGlobalTestEnvironment(new TinyRun);

class Cli : public io::Scratch {
 protected:
  Cli() { fs::create_directories(work()); }
  fs::path work() const { return file("work"); }
  std::vector<std::string> written() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(work())) {
      if (!entry.is_directory()) names.push_back(entry.path().lexically_relative(work()).string());
    }
    std::ranges::sort(names);
    return names;
  }
  Outcome start(const Arguments& arguments) const { return run(arguments, {.folder = work()}); }
};

bool matches(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

struct UsageCase {
  const char* name;
  Arguments arguments;
  int code;
  const char* err;  // regular expression
};

const UsageCase kUsageCases[] = {
    {"no_command", {}, 2, "Usage: switchyard"},
    {"unknown_command", {"smaple"}, 2, "unknown command smaple: did you mean \"sample\""},
    {"unknown_option", {"sample", "--stesp", "3"}, 2, "unknown option --stesp: did you mean \"--steps\""},
    {"unknown_option_with_value", {"info", "--jsn=1"}, 2, "did you mean \"--json\""},
    {"stray_argument", {"sample", "sphere"}, 2, "unexpected argument \"sphere\""},
    {"missing_value", {"sample", "--steps"}, 2, "--steps"},
    {"not_a_number", {"sample", "--steps", "many"}, 2, "--steps.*many"},
    {"no_steps", {"sample", "--steps", "0"}, 2, "--steps: expected 1 .. 10000, got 0"},
    {"many_steps", {"sample", "--steps", "10001"}, 2, "got 10001"},
    {"no_images", {"sample", "--count", "0"}, 2, "--count: expected 1"},
    {"very_many_images", {"sample", "--count", "99999999999"}, 2, "--count: expected 1"},
    {"no_batch", {"sample", "--batch", "0"}, 2, "--batch: expected 1"},
    {"negative_seed", {"sample", "--seed", "-1"}, 2, "--seed: expected 0 .. 4294967295, got -1"},
    {"large_seed", {"sample", "--seed", "4294967296"}, 2, "expected 0 .. 4294967295, got 4294967296"},
    {"seeds_run_over", {"sample", "--seed", "4294967295", "--count", "2"}, 2, "at most 4294967295"},
    {"unknown_class", {"sample", "--class", "sphre"}, 2, "unknown class \"sphre\": did you mean \"sphere\""},
    {"ambiguous_class", {"sample", "--class", "c"}, 2, "ambiguous class \"c\": did you mean"},
    {"class_index_out_of_range", {"sample", "--class", "10"}, 2, "expected an index in 0 .. 9"},
    {"unknown_solver", {"sample", "--solver", "hein"}, 2, "did you mean \"heun\""},
    {"unknown_dtype", {"sample", "--dtype", "fp23"}, 2, "did you mean \"fp32\""},
    {"unknown_products",
     {"sample", "--products", "mkl"},
     2,
     "--products: .*\"mkl\": expected onednn or at_linear"},
    {"guidance_not_a_number", {"sample", "--guidance", "nan"}, 2, "guidance"},
    {"guidance_interval_reversed",
     {"sample", "--guidance", "2", "--guidance-interval", "0.9", "0.1"},
     2,
     "interval|t_low"},
    {"shift_zero", {"sample", "--shift", "0"}, 2, "shift"},
    {"nothing_to_write", {"sample", "--no-images"}, 2, "--grid, --map or --routing"},
    {"grid_of_another_kind",
     {"sample", "--grid", "grid.jpg"},
     2,
     "--grid: expected a file name ending in .png"},
    {"grid_too_large",
     {"sample", "--count", "1000", "--grid", "grid.png"},
     2,
     "--columns, --zoom or --count"},
    {"unknown_preset", {"train", "--preset", "tinny", "--out", "run"}, 2, "did you mean \"tiny\""},
    {"no_preset", {"train", "--out", "run"}, 2, "--preset is required"},
    {"recipe_field_out_of_range",
     {"train", "--preset", "tiny", "--out", "run", "--ema-decay", "2"},
     2,
     "ema_decay must be in"},
    {"recipe_field_not_a_number",
     {"train", "--preset", "tiny", "--out", "run", "--images", "x"},
     2,
     "--images"},
    {"unknown_device",
     {"train", "--preset", "tiny", "--out", "run", "--device", "cdua"},
     2,
     "did you mean \"cuda\""},
    {"start_from_nothing",
     {"train", "--preset", "tiny", "--out", "run", "--start-from", "none.safetensors"},
     3,
     "none.safetensors: No such file"},
    {"dataset_from_a_negative_image",
     {"dataset", "--sheet", "s.png", "--first", "-1"},
     2,
     "--first: expected 0"},
    {"weak_experts_out_of_range",
     {"sample", "--guidance", "2", "--weak-experts", "3"},
     2,
     "--weak-experts: expected 0 .. 2"},
    {"dataset_of_nothing", {"dataset"}, 2, "--sheet or --export"},
    {"unknown_split",
     {"dataset", "--sheet", "s.png", "--split", "vlidation"},
     2,
     "did you mean \"validation\""},
    {"dataset_size", {"dataset", "--sheet", "s.png", "--size", "8"}, 2, "--size: expected 16 .. 512, got 8"},
    {"model_missing", {"sample", "--model", "none.safetensors"}, 3, "none.safetensors: .*No such file"},
    {"model_is_a_folder", {"info", "--model", "."}, 3, "expected a file, found a folder"},
    {"from_missing", {"sample", "--from", "none.png"}, 3, "none.png"},
    {"grid_folder_missing", {"sample", "--grid", "none/grid.png"}, 5, "none/grid.png"},
    {"out_is_a_device", {"sample", "--out", "/dev/full"}, 5, "/dev/full"},
    {"sheet_folder_missing", {"dataset", "--sheet", "none/sheet.png"}, 5, "none/sheet.png"},
    {"export_to_a_device", {"dataset", "--export", "/dev/null"}, 5, "/dev/null"},
    {"empty_model", {"sample", "--model", ""}, 2, "--model: .*expected a value, got \"\""},
    {"empty_file", {"info", ""}, 2, "expected a value, got \"\""},
    {"empty_from", {"sample", "--from", ""}, 2, "--from: .*expected a value"},
    {"hexadecimal", {"sample", "--batch", "0x10"}, 2, "--batch: .*expected a decimal number"},
    {"octal",
     {"train", "--preset", "tiny", "--out", "run", "--seed", "010"},
     2,
     "without leading zeros, got 010"},
    {"empty_seed", {"sample", "--seed", ""}, 2, "--seed: .*expected a value"},
    {"empty_run", {"train", "--preset", "tiny", "--out", ""}, 2, "--out: .*expected a value"},
    {"negative_training_seed",
     {"train", "--preset", "tiny", "--out", "run", "--seed", "-1"},
     2,
     "--seed: expected 0 or more, got -1"},
    {"class_beside_all", {"sample", "--class", "all,nosuch"}, 2, "unknown class \"nosuch\""},
    {"heads_of_the_embedded_model", {"info", "--heads", "5"}, 2, "num_heads 5 must divide"},
    {"weights_of_the_embedded_model", {"sample", "--weights", "ema"}, 2, "there is no \"ema\" to choose"},
    {"channels_beyond_an_int",
     {"sample", "--guidance-channels", "4294967297"},
     2,
     "--guidance-channels: expected .*got 4294967297"},
    {"start_from_no_model",
     {"train", "--preset", "tiny", "--out", "run", "--start-from", SWITCHYARD_PROGRAM},
     3,
     ""},
    {"run_in_a_device", {"train", "--preset", "tiny", "--out", "/dev/null/run"}, 5, "/dev/null/run"},
};

TEST_F(Cli, RefusesWithExitCodeAndReason) {
  for (const auto& refused : kUsageCases) {
    SCOPED_TRACE(refused.name);
    const auto outcome = start(refused.arguments);
    EXPECT_EQ(outcome.code, refused.code) << outcome.err;
    EXPECT_TRUE(matches(outcome.err, refused.err)) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(written(), std::vector<std::string>{});
  }
}

TEST_F(Cli, HelpNamesEveryCommand) {
  const auto outcome = start({"--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* command : {"sample", "train", "dataset", "info"})
    EXPECT_TRUE(io::contains(outcome.out, command));
}

TEST_F(Cli, HelpOfEveryCommandHasAnExample) {
  for (const char* command : {"sample", "train", "dataset", "info"}) {
    const auto outcome = start({command, "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_TRUE(io::contains(outcome.out, "Example")) << command;
  }
}

TEST_F(Cli, VersionIsOnStdout) {
  const auto outcome = start({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(matches(outcome.out, "^switchyard [0-9]+\\.[0-9]+\\.[0-9]+\n$")) << outcome.out;
}

TEST_F(Cli, EmbeddedModelDescribesItself) {
  const auto outcome = start({"info"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(matches(outcome.out, "class_names +sphere, cube")) << outcome.out;
}

TEST_F(Cli, InfoAsJsonCountsTheTensorsThatAreThere) {
  const auto outcome = start({"info", "--json", "--model", TinyRun::model()});
  const auto info = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(info["file_bytes"], fs::file_size(TinyRun::model()));
  EXPECT_EQ(info["dtypes"], nlohmann::json({"bfloat16"}));
  EXPECT_EQ(info["training"]["images_seen"], 320);
  EXPECT_GT(info["parameters"]["total"], info["parameters"]["activated"]);
}

TEST_F(Cli, TrainsATinyModel) {
  EXPECT_EQ(TinyRun::outcome_.code, 0) << TinyRun::outcome_.err;
  EXPECT_EQ(TinyRun::outcome_.out, "run/model.safetensors\n");
}

TEST_F(Cli, FinishedTrainingIsResumedAndStaysAsItIs) {
  const auto before = text_of(TinyRun::model());
  const auto outcome = run({"train", "--preset", "tiny", "--out", "run"}, {.folder = TinyRun::folder_});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(io::contains(outcome.err, "resuming from run/checkpoint.safetensors"));
  EXPECT_EQ(text_of(TinyRun::model()), before);
}

TEST_F(Cli, InterruptedTrainingGoesOnFromItsCheckpoint) {
  const Arguments arguments = {"train",     "--preset",           "tiny", "--out", "run", "--images",
                               "100000000", "--images-per-sheet", "0"};
  const auto log = work() / "run/log.csv";
  const auto rows = [&] {
    const auto text = text_of(log);
    return std::ranges::count(text, '\n');
  };
  const auto first = run(arguments, {.folder = work(), .interrupt_when = [&] { return rows() > 1; }});
  EXPECT_EQ(first.code, 130) << first.err;
  const auto rows_before = rows();
  const auto second =
      run(arguments, {.folder = work(), .interrupt_when = [&] { return rows() > rows_before; }});
  EXPECT_EQ(second.code, 130);
  EXPECT_TRUE(io::contains(second.err, "resuming from run/checkpoint.safetensors"));
  EXPECT_EQ(written(),
            (std::vector<std::string>{"run/checkpoint-before.safetensors", "run/checkpoint.safetensors",
                                      "run/log.csv", "run/model.safetensors"}));
}

TEST_F(Cli, CheckpointOfAnotherRecipeIsRefused) {
  const auto outcome =
      run({"train", "--preset", "tiny", "--out", "run", "--seed", "7"}, {.folder = TinyRun::folder_});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_TRUE(io::contains(outcome.err, "seed"));
}

TEST_F(Cli, SampleNamesFilesByClassAndSeed) {
  const auto outcome = start({"sample", "--model", TinyRun::model(), "--class", "sph,BOX", "--class", "1",
                              "--count", "2", "--seed", "12345", "--steps", "2", "--out", "images"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(written(), (std::vector<std::string>{"images/box-frame-12345.png", "images/box-frame-12346.png",
                                                 "images/cube-12345.png", "images/cube-12346.png",
                                                 "images/sphere-12345.png", "images/sphere-12346.png"}));
  EXPECT_TRUE(outcome.out.starts_with(
      "images/sphere-12345.png\nimages/sphere-12346.png\nimages/box-frame-12345.png\n"));
}

TEST_F(Cli, SampleWithoutImagesWritesOnlyThePictures) {
  const auto outcome =
      start({"sample", "--model", TinyRun::model(), "--steps", "3", "--count", "3", "--no-images", "--grid",
             "grid.png", "--zoom", "2", "--map", "map.png", "--routing", "routing.npz", "--quiet"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, "grid.png\nmap.png\nrouting.npz\n");
  EXPECT_EQ(written(), (std::vector<std::string>{"grid.png", "map.png", "routing.npz"}));
  EXPECT_EQ(io::read_png(work() / "grid.png").pixels.sizes(),
            (at::IntArrayRef{10 * 32 + 9 * 2, 3 * 32 + 2 * 2, 3}));
  EXPECT_EQ(io::read_npz(work() / "routing.npz").at("experts").sizes(),
            (at::IntArrayRef{30, 3, 2, 2, 16, 2}));
}

TEST_F(Cli, ImageOfOursIsDrawnAgainBitForBit) {
  ASSERT_EQ(
      start({"sample", "--model", TinyRun::model(), "--class", "torus,cone", "--seed", "5", "--steps", "7",
             "--solver", "heun", "--guidance", "1.7", "--guidance-interval", "0.1", "0.8", "--shift", "1.3"})
          .code,
      0);
  const auto outcome =
      start({"sample", "--model", TinyRun::model(), "--from", "cone-0005.png", "--out", "again"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(matches(outcome.err, "warning"));
  const auto before = io::read_png(work() / "cone-0005.png"),
             after = io::read_png(work() / "again/cone-0005.png");
  EXPECT_TRUE(at::equal(before.pixels, after.pixels));
  EXPECT_EQ(before.text, after.text);
}

TEST_F(Cli, ImageInFewerBitsIsDrawnAgainBitForBit) {
  if (!kernels::has_int8_products()) GTEST_SKIP() << "no int8 products on this processor";
  for (const char* dtype : {"bf16", "int8"}) {
    ASSERT_EQ(start({"sample", "--model", TinyRun::model(), "--class", "torus", "--steps", "3", "--dtype",
                     dtype, "--out", dtype})
                  .code,
              0);
    const auto drawn = std::string(dtype) + "/torus-0000.png", again = std::string(dtype) + "-again";
    const auto outcome = start({"sample", "--model", TinyRun::model(), "--from", drawn, "--out", again});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const auto before = io::read_png(work() / drawn), after = io::read_png(work() / again / "torus-0000.png");
    EXPECT_TRUE(at::equal(before.pixels, after.pixels)) << dtype;
    EXPECT_EQ(before.text, after.text);
  }
}

TEST_F(Cli, AModelsNameIsKeptWhateverIsInIt) {
  const std::string name = "a, \"b\"\nü\xF0\x9F\x98\x80";
  fs::copy_file(TinyRun::model(), work() / (name + ".safetensors"));
  const auto outcome =
      start({"sample", "--model", name + ".safetensors", "--class", "cube", "--steps", "1", "--quiet"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto text = io::read_png(work() / "cube-0000.png").text;
  EXPECT_EQ(nlohmann::json::parse(text.at(1).second)["model"]["name"], name);
}

// A file's words can neither steer the terminal nor pass for lines of ours.
TEST_F(Cli, WhatAFileSaysIsShownAsText) {
  auto stored = io::read_safetensors(TinyRun::model());
  stored.metadata["note\nconfiguration\n  num_experts"] = "\x1b]0;title\x07\x1b[31m \xc2\x9b \xe2\x80\xae\n1";
  io::write_safetensors(work() / "words.safetensors", stored.tensors, stored.metadata);
  const auto shown = start({"info", "words.safetensors"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  for (const char* byte : {"\x1b", "\x07", "\xc2\x9b", "\xe2\x80\xae"})
    EXPECT_FALSE(io::contains(shown.out, byte));
  EXPECT_TRUE(io::contains(shown.out, "note\\u000aconfiguration\\u000a  num_experts")) << shown.out;

  auto& own = stored.metadata["switchyard"];
  own.insert(own.find("\"depth\""), "\"de\\u001bpth\":1,");
  io::write_safetensors(work() / "field.safetensors", stored.tensors, stored.metadata);
  const auto refused = start({"info", "field.safetensors"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_TRUE(io::contains(refused.err, "de\\u001bpth")) << refused.err;

  const auto option = start({"sample", "--steps", "\x1b[31m"});
  EXPECT_EQ(option.code, 2);
  EXPECT_FALSE(io::contains(option.err, "\x1b")) << option.err;
}

TEST_F(Cli, ImageOfAnotherModelIsDrawnWithAWarning) {
  ASSERT_EQ(start({"sample", "--model", TinyRun::model(), "--class", "cube", "--steps", "2"}).code, 0);
  const auto outcome = start({"sample", "--from", "cube-0000.png", "--out", "again"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(matches(outcome.err, "warning: cube-0000.png was drawn by model model \\("));
}

TEST_F(Cli, TheImageOfFromIsNotOverwritten) {
  ASSERT_EQ(start({"sample", "--model", TinyRun::model(), "--class", "cube", "--steps", "2"}).code, 0);
  const auto outcome =
      start({"sample", "--model", TinyRun::model(), "--from", "cube-0000.png", "--steps", "3"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(io::contains(outcome.err, "cube-0000.png: choose another name"));
}

TEST_F(Cli, GridMayLieInTheFolderThatIsMade) {
  const auto outcome = start({"sample", "--model", TinyRun::model(), "--class", "cube", "--steps", "2",
                              "--out", "new", "--grid", "new/grid.png"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(written(), (std::vector<std::string>{"new/cube-0000.png", "new/grid.png"}));
}

TEST_F(Cli, GridDoesNotReplaceAnImageOfTheRun) {
  const auto outcome =
      start({"sample", "--model", TinyRun::model(), "--class", "cube", "--grid", "cube-0000.png"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(io::contains(outcome.err, "would overwrite an image of this run"));
}

TEST_F(Cli, QualitySaysWhatIsDone) {
  const auto outcome =
      start({"sample", "--model", TinyRun::model(), "--class", "cube", "--quality", "fast", "--steps", "3"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(io::contains(outcome.err, "fast: adams_bashforth, 3 steps")) << outcome.err;
}

TEST_F(Cli, CountsOfTimestepsAreTheNumberOfSteps) {
  const auto outcome = start({"sample", "--model", TinyRun::model(), "--class", "cube", "--objective",
                              "linear", "--solver", "ddim", "--spacing", "ddim10"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(io::contains(outcome.err, "ddim, 10 steps, spacing ddim10"));
  const auto text = io::read_png(work() / "cube-0000.png").text;
  EXPECT_TRUE(io::contains(text.at(0).second, "\nSteps: 10, Sampler: Ddim,"));
}

TEST_F(Cli, EveryFaceOfTheEmbeddedModelHasItsOwnSettings) {
  const auto outcome = start({"sample", "--class", "cube", "--steps", "1", "--no-images", "--grid", "g.png"});
  EXPECT_TRUE(io::contains(outcome.err, "settings of the model: euler_stochastic, 1 step, shift 3"))
      << outcome.err;
  const auto info = nlohmann::json::parse(start({"info", "--json"}).out);
  EXPECT_EQ(info["settings_of"], "model");
  EXPECT_EQ(info["settings"]["steps"], 40);
  EXPECT_TRUE(matches(start({"info"}).out, "the model's own\n(.*\n)* +shift +3.0 +Above 1"));
}

TEST_F(Cli, TheRoutingThatInfoShowsCanBeEdited) {
  const auto routing = nlohmann::json::parse(start({"info", "--routing", "--json"}).out);
  EXPECT_EQ(routing["tokens"]["experts"], std::vector<int>(6, 8));
  EXPECT_EQ(routing["tokens"]["patches"], (std::vector<int>{16, 16}));
  std::ofstream(work() / "recipe.json") << routing["example"];
  const auto draw = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"sample", "--class", "cube", "--steps", "1"};
    all.insert(all.end(), more.begin(), more.end());
    const auto outcome = start(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return io::read_png(work() / "cube-0000.png");
  };
  const auto edited = draw({"--edit", "recipe.json"}), plain = draw({});
  EXPECT_FALSE(at::equal(edited.pixels, plain.pixels));
  EXPECT_TRUE(matches(start({"info", "--routing"}).out,
                      "layers +0 \\.\\. 5\n +experts +0 \\.\\. 7\n(.*\n)* +region +16 x 16 patches"));
}

TEST_F(Cli, WhoMultipliesIsChosenAndStored) {
  for (const std::string products : {"onednn", "at_linear"}) {
    const auto outcome = start({"sample", "--class", "cube", "--steps", "1", "--products", products});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto text = io::read_png(work() / "cube-0000.png").text;
    EXPECT_TRUE(io::contains(text.at(1).second, R"("products":")" + products + '"')) << text.at(1).second;
  }
}

TEST_F(Cli, ConvertSetsAndKeepsSettings) {
  const auto set = start({"convert", TinyRun::model(), "set.safetensors", "--steps", "7", "--clip", "1"});
  ASSERT_EQ(set.code, 0) << set.err;
  ASSERT_EQ(start({"convert", "set.safetensors", "kept.safetensors"}).code, 0);
  EXPECT_EQ(text_of(work() / "set.safetensors"), text_of(work() / "kept.safetensors"));
  const auto outcome = start({"sample", "--model", "kept.safetensors", "--class", "cube"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(
      io::contains(outcome.err, "settings of the model: adams_bashforth, 7 steps, clip 1, guidance 2"))
      << outcome.err;
}

TEST_F(Cli, ConvertSetsFastSettingsBesideTheUsualOnes) {
  ASSERT_EQ(start({"convert", TinyRun::model(), "usual.safetensors", "--steps", "7"}).code, 0);
  ASSERT_EQ(start({"convert", "usual.safetensors", "both.safetensors", "--fast", "--steps", "2"}).code, 0);
  for (const auto& [quality, said] :
       {std::pair{"fast", "fast settings of the model: adams_bashforth, 2 steps"},
        std::pair{"", "settings of the model: adams_bashforth, 7 steps"}}) {
    std::vector<std::string> command = {"sample", "--model", "both.safetensors", "--class", "cube"};
    if (*quality) command.insert(command.end(), {"--quality", quality});
    const auto outcome = start(command);
    EXPECT_TRUE(io::contains(outcome.err, said)) << outcome.err;
  }
  EXPECT_TRUE(matches(start({"info", "both.safetensors"}).out, "--quality fast +adams_bashforth, 2 steps"));
}

TEST_F(Cli, FastSettingsAreAsked) {
  const auto outcome = start({"convert", TinyRun::model(), "set.safetensors", "--fast"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(io::contains(outcome.err, "--fast: expected a setting beside it")) << outcome.err;
}

TEST_F(Cli, ConvertRefusesSettingsThatMeanNothing) {
  const auto outcome = start({"convert", TinyRun::model(), "set.safetensors", "--eta", "0.5"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(io::contains(outcome.err, "--eta changes nothing: it is for ddim"));
  EXPECT_EQ(written(), std::vector<std::string>{});
}

TEST_F(Cli, AnOptionThatChangesNothingIsNamed) {
  const auto outcome = start({"sample", "--model", TinyRun::model(), "--class", "cube", "--solver", "euler",
                              "--steps", "2", "--eta", "0.5", "--quiet"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "warning: --eta changes nothing: it is for ddim, the solver is euler\n");
}

TEST_F(Cli, ObjectiveThatContradictsAFileOfOursIsDoubted) {
  const auto outcome = start(
      {"sample", "--model", TinyRun::model(), "--class", "cube", "--objective", "cosine", "--steps", "3"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(io::contains(outcome.err, "warning: the file states another objective")) << outcome.err;
}

TEST_F(Cli, InfoListsTheTensorsOfAnyFile) {
  io::write_safetensors(work() / "x.safetensors", {{"a", at::tensor({1.0F, 3.0F})}, {"b\x1b", at::full({2, 2}, NAN)}});
  const auto text = start({"info", "--tensors", "x.safetensors"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out,
            "name     dtype    shape   mean  deviation  not finite\n"
            "a        float32  [2]        2          1\n"
            "b\\u001b  float32  [2, 2]     0          0           4\n"
            "2 tensors, 6 numbers, 24 bytes\n");
  const auto json = nlohmann::json::parse(start({"info", "x.safetensors", "--tensors", "--json"}).out);
  EXPECT_EQ(json.at(1).at("nan"), 4);
  EXPECT_EQ(start({"info", "--tensors"}).code, 2);
}

TEST_F(Cli, ForeignPngIsNoSourceForFrom) {
  io::write_png(work() / "foreign.png", at::zeros({8, 8, 3}, at::kByte));
  const auto outcome = start({"sample", "--from", "foreign.png"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_TRUE(io::contains(outcome.err, "foreign.png"));
}

TEST_F(Cli, DamagedModelFilesAreRefused) {
  const auto whole = text_of(TinyRun::model());
  const std::pair<const char*, std::string> files[] = {
      {"empty", ""},
      {"text", "this is not a model, but it is longer than a header\n"},
      {"cut-header", whole.substr(0, 100)},
      {"cut-tensors", whole.substr(0, whole.size() - 1)}};
  for (const auto& [name, bytes] : files) {
    const auto model = put(name, bytes);
    for (const char* command : {"sample", "info"}) {
      const auto outcome = start({command, "--model", model.string()});
      EXPECT_EQ(outcome.code, 3) << name;
      EXPECT_TRUE(io::contains(outcome.err, model.string() + ": ")) << name;
      EXPECT_EQ(written(), std::vector<std::string>{}) << name;
    }
  }
}

TEST_F(Cli, FullTargetLeavesNoPartialFile) {
  const auto outcome = run({"sample", "--model", TinyRun::model(), "--class", "cube", "--steps", "1"},
                           {.folder = work(), .file_size_limit = 300});
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_TRUE(io::contains(outcome.err, "cube-0000.png: cannot be written"));
  EXPECT_EQ(written(), std::vector<std::string>{});
}

TEST_F(Cli, AReaderWhoHasGoneIsAFailureWithoutWords) {
  const auto said = file("said").string();
  const auto command = "bash -c '" SWITCHYARD_PROGRAM " info 2>" + said + " | true; exit ${PIPESTATUS[0]}'";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 5);
  EXPECT_EQ(text_of(said), "");
}

// The whole sheet is one picture, which is packed for seconds without a look at anything.
TEST_F(Cli, AStopEndsWhatLooksAtNothingAndLeavesNothing) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    std::optional<Clock::time_point> begun, sent;  // the work; the signal
    const auto untouched = fs::last_write_time(work());
    const auto is_packing = [&] {
      if (!begun && fs::last_write_time(work()) != untouched)
        begun = Clock::now();  // it has tried whether it can write
      if (!begun || Clock::now() - *begun < std::chrono::milliseconds(800)) return false;
      sent = Clock::now();
      return true;
    };
    const auto outcome =
        run({"dataset", "--sheet", "sheet.png", "--per-class", "400", "--size", "38", "--zoom", "2"},
            {.folder = work(), .interrupt_when = is_packing, .interrupt_signal = signal});
    ASSERT_TRUE(sent);
    EXPECT_EQ(outcome.code, 130) << signal << outcome.err;
    EXPECT_LT(Seconds(Clock::now() - *sent).count(), 4) << "a second, on a machine that is busy";
    EXPECT_EQ(written(), std::vector<std::string>{});
  }
}

TEST_F(Cli, FullStandardOutputIsAFailure) {
  const auto outcome =
      run({"info", "--model", TinyRun::model()}, {.folder = work(), .stdout_to = "/dev/full"});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_TRUE(io::contains(outcome.err, "cannot write to standard output"));
}

TEST_F(Cli, OutOfMemoryHasItsOwnExitCode) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves terabytes of address space";
#endif
  const auto outcome =
      run({"dataset", "--sheet", "sheet.png", "--per-class", "13", "--size", "38", "--zoom", "64"},
          {.folder = work(), .memory_limit = rlim_t{1} << 30});
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_TRUE(io::contains(outcome.err, "out of memory"));
  EXPECT_EQ(written(), std::vector<std::string>{});
}

TEST_F(Cli, WhereABatchDoesNotFitFewerAreDrawnAtATime) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves terabytes of address space";
#endif
  const auto draw = [&](const char* count, const char* out, rlim_t limit) {
    return run(
        {"sample", "--class", "cube", "--count", count, "--batch", "4096", "--steps", "1", "--out", out},
        {.folder = work(), .memory_limit = limit});
  };
  const auto outcome = draw("400", "many", rlim_t{1} << 30);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_EQ(draw("1", "one", RLIM_INFINITY).code, 0);
  const auto pixels = [&](const char* folder) {
    return io::read_png(work() / folder / "cube-0000.png").pixels;
  };
  EXPECT_TRUE(at::equal(pixels("many"), pixels("one")));
}

// Before main(), where nothing can be caught.
TEST_F(Cli, WithoutMemoryToBeginItEndsWithAWord) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves terabytes of address space";
#endif
  // The loader needs about as much as the libraries' files; a step further their constructors begin.
  bool begun = false;
  for (rlim_t limit = rlim_t{300} << 20; limit < rlim_t{8} << 30 && !begun; limit += limit / 32) {
    const auto outcome = run({"--version"}, {.folder = work(), .memory_limit = limit});
    begun = outcome.code == 0;
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 4 || outcome.code == 127)
        << limit << ": " << outcome.code << outcome.err;
  }
  EXPECT_TRUE(begun);
}

TEST_F(Cli, InterruptedSamplingLeavesNoFile) {
  const auto out = work() / "images";
  const auto outcome =
      run({"sample", "--model", TinyRun::model(), "--count", "100", "--steps", "10000", "--out", "images"},
          {.folder = work(), .interrupt_when = [&] { return fs::exists(out); }});
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_TRUE(io::contains(outcome.err, "cancelled"));
  EXPECT_EQ(written(), std::vector<std::string>{});
}

TEST_F(Cli, InterruptedExportLeavesWholeFilesOnly) {
  const auto outcome = run({"dataset", "--export", "solids", "--count", "100000", "--size", "16"},
                           {.folder = work(), .interrupt_when = [&] { return written().size() > 3; }});
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  for (const auto& name : written()) EXPECT_NO_THROW(io::read_png(work() / name)) << name;
}

TEST_F(Cli, DatasetSheetHasOneRowPerClass) {
  const auto outcome =
      start({"dataset", "--sheet", "sheet.png", "--per-class", "3", "--size", "16", "--zoom", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(io::read_png(work() / "sheet.png").pixels.sizes(),
            (at::IntArrayRef{10 * 16 + 9 * 2, 3 * 16 + 2 * 2, 3}));
}

TEST_F(Cli, DatasetExportNamesIndexAndClass) {
  ASSERT_EQ(start({"dataset", "--export", "images", "--first", "7", "--count", "2", "--size", "16"}).code, 0);
  const auto names = written();
  ASSERT_EQ(names.size(), 2U);
  EXPECT_TRUE(matches(names[0], "^images/000007-[a-z-]+\\.png$")) << names[0];
  EXPECT_TRUE(matches(names[1], "^images/000008-[a-z-]+\\.png$")) << names[1];
}

}  // namespace
}  // namespace switchyard::app
