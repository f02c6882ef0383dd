// `switchyard evaluate` from outside.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "../io/scratch.h"
#include "io/npz.h"
#include "io/safetensors.h"
#include "program.h"
#include "tiny_run.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using io::contains;

class Evaluate : public io::Scratch {
 protected:
  void SetUp() override {
    fs::create_directories(work());
    ASSERT_FALSE(fs::is_empty(SWITCHYARD_NETWORK_DIR))
        << "EfficientNet is missing: run tools/setup.sh evaluate";
  }
  fs::path work() const { return file("work"); }

  Outcome start(std::vector<std::string> arguments, Launch launch = {}) const {
    arguments.insert(arguments.begin(), "evaluate");
    launch.folder = work();
    launch.environment.push_back("SWITCHYARD_NETWORKS=" + networks_);
    return run(arguments, launch);
  }

  // A folder of solids, and files that only look like images.
  void export_solids(const char* count) const {
    ASSERT_EQ(run({"dataset", "--export", "drawn", "--count", count, "--quiet"}, {.folder = work()}).code, 0);
  }

  static nlohmann::json json_in(const fs::path& file) { return nlohmann::json::parse(text_of(file)); }

  std::string networks_ = SWITCHYARD_NETWORK_DIR;
};

double value_of(const nlohmann::json& json, const std::string& metric) {
  for (const auto& number : json.at("numbers"))
    if (number.at("metric") == metric) return number.at("value");
  ADD_FAILURE() << "no " << metric;
  return 0;
}

TEST_F(Evaluate, TableAndJsonNameWhatWasMeasured) {
  const auto outcome = start({"solids-train", "--count", "40", "--reference", "solids", "--reference-count",
                              "60", "--resamples", "5", "--json", "n.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"solids, training, 40", "solids, held out, 60", "FD-EfficientNet-Lite0", "resize",
                           "range", "precision", "sliced Wasserstein", "only 40 images"})
    EXPECT_TRUE(contains(outcome.out, part));
  EXPECT_EQ(outcome.out.find("FID"), std::string::npos);
  const auto json = json_in(work() / "n.json");
  EXPECT_GT(value_of(json, "frechet"), 0);
  EXPECT_EQ(json.at("numbers").at(0).at("real_against_real_count"), 30);
}

// As app/evaluate.sh found, whose folder somebody called "solids".
TEST_F(Evaluate, ANamedDataSetIsItselfWhateverLiesBeside) {
  fs::create_directories(work() / "solids");
  const auto named = start({"solids", "--count", "8", "--save-reference", "s.npz"});
  EXPECT_EQ(named.code, 0) << named.err;
  const auto folder = start({"./solids", "--save-reference", "s.npz"});
  EXPECT_EQ(folder.code, 3);
  EXPECT_TRUE(contains(folder.err, "./solids: expected PNG or JPEG images, found none")) << folder.err;
}

TEST_F(Evaluate, SavedFeaturesGiveTheSameNumbers) {
  export_solids("30");
  ASSERT_EQ(start({"drawn", "--reference", "solids", "--reference-count", "40", "--resamples", "0", "--json",
                   "a.json", "--save-reference", "real.npz"})
                .code,
            0);
  ASSERT_EQ(start({"drawn", "--save-reference", "drawn.npz"}).code, 0);
  const auto again = start({"drawn.npz", "--reference", "real.npz", "--resamples", "0", "--json", "-"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(nlohmann::json::parse(again.out).at("numbers"), json_in(work() / "a.json").at("numbers"));
  // Another network does not take them.
  const auto other = start({"drawn", "--reference", "real.npz", "--network", "efficientnet-lite2"});
  EXPECT_EQ(other.code, 3);
  EXPECT_TRUE(contains(other.err, "was made with the network"));
}

TEST_F(Evaluate, BadImagesAreNamedAndCounted) {
  export_solids("6");
  std::ofstream(work() / "drawn/broken.png") << "no picture";
  std::ofstream(work() / "drawn/cut.png") << text_of(work() / "drawn/000000-sphere.png").substr(0, 200);
  const auto refused = start({"drawn", "--reference", "solids", "--reference-count", "20"});
  EXPECT_EQ(refused.code, 3);
  for (const char* part : {"2 of 8 images cannot be read", "broken.png", "cut.png"})
    EXPECT_TRUE(contains(refused.err, part));
  EXPECT_TRUE(refused.out.empty());
  const auto skipped = start({"drawn", "--reference", "solids", "--reference-count", "20", "--skip-bad"});
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  for (const char* part : {"2 images cannot be read and are left out", "broken.png", "cut.png"})
    EXPECT_TRUE(contains(skipped.err, part));
  EXPECT_TRUE(contains(skipped.out, "2 images could not be read and are left out"));
}

TEST_F(Evaluate, WrongQuestionsAreAnsweredBeforeTheWork) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    const char* message;
  };
  io::write_npz(work() / "statistics.npz",
                {{"mu", at::zeros({7}, at::kDouble)}, {"sigma", at::eye(7, at::kDouble)}});
  for (const auto& [arguments, code, message] : std::vector<Case>{
           {{}, 2, "nothing to compare with: add --reference"},
           {{"solids", "--rank-experts", "--reference", "solids"}, 2, "IMAGES are there already"},
           {{"--rank-experts", "--reference", "solids", "--layers", "99"}, 2, "layer 99: expected 0 .. "},
           {{"solids"}, 2, "nothing to compare with: add --reference"},
           {{"solids", "--reference", "solids", "--metrics", "frechte"}, 2, "did you mean \"frechet\""},
           {{"solids", "--reference", "solids", "--network", "inception"},
            2,
            "unknown feature network \"inception\""},
           {{"solids", "--reference", "solids", "--neighbours", "0"},
            2,
            "--neighbours: expected 1 .. 1000, got 0"},
           {{"solids", "--reference", "solids", "--json", "n.txt"}, 2, "ending in .json"},
           {{"solids", "--reference", "solids", "--json", "missing/n.json"}, 5, "missing/n.json"},
           {{"missing", "--reference", "solids"}, 3, "missing"},
           {{"statistics.npz", "--reference", "solids"}, 3, "expected statistics of 1280 features"},
       }) {
    SCOPED_TRACE(message);
    const auto outcome = start(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_TRUE(contains(outcome.err, message));
    EXPECT_TRUE(outcome.out.empty());
  }
}

TEST_F(Evaluate, MissingWeightsSayWhereTheyGo) {
  networks_ = work().string();
  const auto outcome = start({"solids", "--reference", "solids", "--network", "inception-pytorch-fid"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_TRUE(contains(outcome.err, "pt_inception-2015-12-05-6726825d.pth"));
}

TEST_F(Evaluate, AModelDrawsTheImages) {
  const std::vector<std::string> model = {"--model", TinyRun::model(), "--steps", "2", "--count", "40"},
                                 to = {"--reference", "real.npz", "--resamples", "2"};
  ASSERT_EQ(start({"solids", "--count", "60", "--save-reference", "real.npz"}).code, 0);
  auto straight = model;
  straight.insert(straight.end(), to.begin(), to.end());
  straight.insert(straight.end(), {"--json", "straight.json", "--keep", "kept"});
  const auto outcome = start(straight);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(work() / "kept/set.json"));

  std::vector<std::string> sample = {"sample", "--set", "drawn"};
  sample.insert(sample.end(), model.begin(), model.end());
  ASSERT_EQ(run(sample, {.folder = work()}).code, 0);
  auto from_files = to;
  from_files.insert(from_files.begin(), "drawn");
  from_files.insert(from_files.end(), {"--json", "files.json"});
  ASSERT_EQ(start(from_files).code, 0);
  for (const char* metric : {"kernel", "precision"}) {  // which do not depend on the order of the images
    EXPECT_NEAR(value_of(json_in(work() / "straight.json"), metric),
                value_of(json_in(work() / "files.json"), metric), std::string(metric) == "kernel" ? 3 : 1e-9)
        << metric;
  }
  EXPECT_NEAR(value_of(json_in(work() / "straight.json"), "frechet"),
              value_of(json_in(work() / "files.json"), "frechet"), 1e-3);
}

// A table of one class and no null class, as Switch-DiT's models of faces have.
TEST_F(Evaluate, AModelWithoutClassesDrawsTheImages) {
  const std::string fixtures = SWITCHYARD_FIXTURE_DIR;
  auto tensors = io::read_safetensors(fixtures + "/switch_dit/dmoe_3e2a.weights.safetensors").tensors;
  auto& table = tensors.at("y_embedder.embedding_table.weight");
  table = table.slice(0, 0, 1).clone();
  io::write_safetensors(work() / "faces.safetensors", tensors, {});
  const auto outcome = start({"--model", "faces.safetensors", "--heads", "4", "--vae",
                              fixtures + "/vae/legacy", "--steps", "2", "--count", "20", "--reference",
                              "solids", "--reference-count", "30", "--resamples", "2", "--json", "n.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GT(value_of(json_in(work() / "n.json"), "frechet"), 0);
}

TEST_F(Evaluate, ATableSaysWhatEachExpertIsWorth) {
  const auto outcome = start({"--model", TinyRun::model(), "--steps", "2", "--count", "20", "--reference",
                              "solids", "--reference-count", "40", "--metrics", "frechet", "--resamples", "0",
                              "--rank-experts", "--layers", "1", "--json", "rank.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "| as it is |"));
  for (const char* row : {"expert 0 muted", "expert 1 muted", "expert 2 muted", "expert 3 muted"})
    EXPECT_TRUE(contains(outcome.out, row));
}

TEST_F(Evaluate, CtrlCEndsIt) {
  Launch launch;
  launch.interrupt_when = [&] {
    return fs::exists(work().string() + ".err") && !text_of(work().string() + ".err").empty();
  };
  const auto outcome = start({"solids-train", "--reference", "solids"}, launch);
  EXPECT_EQ(outcome.code, 130);
  EXPECT_TRUE(outcome.out.empty());
}

}  // namespace
}  // namespace switchyard::app
