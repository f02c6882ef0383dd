// `sample --set` and `--npz` from outside: kills, full disks, launchers.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "../io/scratch.h"
#include "program.h"
#include "tiny_run.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class SetFromOutside : public io::Scratch {
 protected:
  SetFromOutside() { fs::create_directories(file("work")); }
  Outcome sample(const Arguments& more, Launch launch = {}) const {
    Arguments arguments = {"sample", "--model", TinyRun::model(), "--steps", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    launch.folder = file("work");
    return run(arguments, launch);
  }
  fs::path at(const std::string& name) const { return file("work") / name; }
  std::map<std::string, std::string> contents(const std::string& folder) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(at(folder)))
      all[entry.path().filename()] = text_of(entry.path());
    return all;
  }
  int64_t images_in(const std::string& folder) const {
    std::error_code none;
    int64_t count = 0;
    for (const auto& entry : fs::directory_iterator(at(folder), none))
      count += entry.path().extension() == ".png";
    return count;
  }
};

// In 100 processes: half are killed at any moment of the start, half after they wrote some images.
TEST_F(SetFromOutside, AHundredKillsLeaveTheSetOfAnUnbrokenRun) {
  constexpr int kKills = 100;
  const Arguments drawn = {"--count", "1500", "--batch", "2", "--seed", "11", "--balance", "random", "--set"};
  const auto set = [&](const std::string& name) {
    auto arguments = drawn;
    arguments.push_back(name);
    return arguments;
  };
  std::mt19937 random(1);
  int killed = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const auto begin = std::chrono::steady_clock::now();
    const auto there = images_in("broken");
    const auto enough = std::uniform_int_distribution<int64_t>(1, 12)(random);
    const double seconds = std::uniform_real_distribution<double>(0, 0.6)(random);
    const auto outcome = sample(set("broken"), {.interrupt_when =
                                                    [&] {
                                                      const std::chrono::duration<double> passed =
                                                          std::chrono::steady_clock::now() - begin;
                                                      if (kill % 2 == 0 && passed.count() > seconds)
                                                        return true;
                                                      return images_in("broken") >= there + enough;
                                                    },
                                                .interrupt_signal = SIGKILL});
    ASSERT_TRUE(outcome.code == -SIGKILL || outcome.code == 0) << outcome.err;
    killed += outcome.code == -SIGKILL;
  }
  EXPECT_EQ(killed, kKills) << "the set was complete too early to be broken";
  ASSERT_EQ(sample(set("broken")).code, 0);
  ASSERT_EQ(sample(set("unbroken")).code, 0);
  EXPECT_EQ(images_in("unbroken"), 1500);
  EXPECT_EQ(contents("broken"), contents("unbroken"));
}

TEST_F(SetFromOutside, AnArchiveIsTheSameAfterKills) {
  const Arguments npz = {"--count", "300", "--batch", "16", "--npz", "a.npz"};
  for (int kill = 0; kill < 6; ++kill) {
    const auto enough = 50 * (kill + 1);
    sample(npz, {.interrupt_when = [&] { return images_in("a.npz.images") >= enough; },
                 .interrupt_signal = SIGKILL});
  }
  const auto last = sample(npz);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(last.out, "a.npz\n");
  EXPECT_FALSE(fs::exists(at("a.npz.images")));
  ASSERT_EQ(sample({"--count", "300", "--set", "images"}).code, 0);
  ASSERT_EQ(run({"merge", "images", "--npz", "b.npz"}, {.folder = file("work")}).code, 0);
  EXPECT_EQ(text_of(at("a.npz")), text_of(at("b.npz")));
  for (const auto& entry : fs::directory_iterator(file("work")))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
}

TEST_F(SetFromOutside, AnInterruptEndsItWithWholeImages) {
  const Arguments set = {"--count", "2000", "--batch", "4", "--set", "a", "--quiet"};
  const auto outcome = sample(set, {.interrupt_when = [&] { return images_in("a") > 8; }});
  EXPECT_EQ(outcome.code, 130);
  EXPECT_GT(images_in("a"), 8);
  EXPECT_LT(images_in("a"), 2000);
}

TEST_F(SetFromOutside, SaysWhatItDid) {
  const auto first =
      sample({"--count", "6", "--set", "a", "--shard", "2/3", "--json", "--routing-stats", "--quiet"});
  ASSERT_EQ(first.code, 0) << first.err;
  const auto json = nlohmann::json::parse(first.out);
  EXPECT_EQ(json["images"], 6);
  EXPECT_EQ(json["drawn"], 2);
  EXPECT_EQ(json["missing"], 4);
  EXPECT_EQ(json["shard"], "2/3");
  for (const auto& layer : json["routing"]["tokens"]) {
    double sum = 0;
    for (const double share : layer) sum += share;
    EXPECT_NEAR(sum, 1, 1e-9);
  }
  const auto second = sample({"--count", "6", "--set", "a"}, {.environment = {"RANK=0", "WORLD_SIZE=3"}});
  EXPECT_TRUE(io::contains(second.err, "shard 1 of 3, as torchrun says"));
  EXPECT_TRUE(io::contains(second.err, "2 images of the set are for other shards to draw"));
  EXPECT_TRUE(io::contains(run({"merge", "a"}, {.folder = file("work")}).err, "2 of 6 images are missing"));
}

TEST_F(SetFromOutside, AFullDiskIsAnErrorAndTheRestIsDrawnLater) {
  const Arguments set = {"--count", "6", "--set", "a"};
  const auto outcome = sample(set, {.file_size_limit = 1024});
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_EQ(sample(set).code, 0);
  ASSERT_EQ(sample({"--count", "6", "--set", "b"}).code, 0);
  EXPECT_EQ(contents("a"), contents("b"));
}

TEST_F(SetFromOutside, APlaceThatCannotBeWrittenIsAnError) {
  put("work/file", "");
  EXPECT_EQ(sample({"--count", "2", "--set", "file/a"}).code, 5);
  EXPECT_EQ(sample({"--count", "2", "--set", "/proc/a"}).code, 5);
  EXPECT_EQ(sample({"--count", "2", "--npz", "/proc/a.npz"}).code, 5);
}

struct Refusal {
  const char* name;
  Arguments arguments;
  int code;
  const char* message;
};

const Refusal kRefusals[] = {
    {"nowhere", {"--balance", "random"}, 2, "--balance is for a set: say where, by --set or --npz"},
    {"list_nowhere", {"--list", "a.csv"}, 2, "--list is for a set"},
    {"grid", {"--set", "a", "--grid", "g.png"}, 2, "--grid is not for a set"},
    {"balance", {"--set", "a", "--balance", "equel"}, 2, "did you mean \"equal\""},
    {"shard", {"--set", "a", "--shard", "4/3"}, 2, "expected I/N with I from 1 to N"},
    {"npz_of_a_shard", {"--npz", "a.npz", "--shard", "1/3"}, 2, "switchyard merge"},
    {"npz_name", {"--npz", "a.zip"}, 2, ".npz"},
    {"list_and_count", {"--set", "a", "--list", "a.csv", "--count", "3"}, 2, "--list says what to draw"},
    {"list_missing", {"--set", "a", "--list", "none.csv"}, 3, "none.csv: cannot be read"},
};

class SetRefusals : public SetFromOutside, public ::testing::WithParamInterface<Refusal> {};

TEST_P(SetRefusals, AreSaidBeforeAnythingIsDrawn) {
  const auto& [name, arguments, code, message] = GetParam();
  const auto outcome = sample(arguments);
  EXPECT_EQ(outcome.code, code);
  EXPECT_TRUE(io::contains(outcome.err, message));
  EXPECT_TRUE(fs::is_empty(file("work")));
}

INSTANTIATE_TEST_SUITE_P(All, SetRefusals, ::testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

TEST_F(SetFromOutside, AListIsDrawnLineByLine) {
  put("work/list.csv", "class,seed,guidance\ncube,3,1\nsphere,4,2.5\ncube,5,\n");
  const auto outcome = sample({"--list", "list.csv", "--set", "a"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(images_in("a"), 3);
  const auto alone = sample({"--class", "sphere", "--seed", "4", "--guidance", "2.5", "--out", "alone"});
  ASSERT_EQ(alone.code, 0) << alone.err;
  EXPECT_EQ(text_of(at("a/sphere-0004.png")), text_of(at("alone/sphere-0004.png")));

  put("work/list.csv", "class,seed,guidance\ncube,3,1\nsphere,4,2.6\ncube,5,\n");
  EXPECT_TRUE(io::contains(sample({"--list", "list.csv", "--set", "a"}).err, "images.sha256"));
}

}  // namespace
}  // namespace switchyard::app
