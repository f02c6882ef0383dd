#include "pipeline/image_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>

#include "../io/scratch.h"
#include "io/error.h"

namespace switchyard::pipeline {
namespace {

dit::ModelConfig config() {
  auto config = dit::preset("tiny");
  config.class_names = {"sphere", "cube", "cone"};
  for (auto i = config.class_names.size(); i < static_cast<size_t>(config.num_classes); ++i)
    config.class_names.push_back("solid " + std::to_string(i));
  return config;
}

std::map<int64_t, int> counts_of(const ImagePlan& plan) {
  std::map<int64_t, int> counts;
  for (const auto& image : plan.images) ++counts[image.label];
  return counts;
}

TEST(BalancedPlan, EqualTakesClassesInTurn) {
  const auto plan = balanced_plan(config(), {4, 1, 7}, Balance::equal, 32, 100, {});
  EXPECT_EQ(counts_of(plan), (std::map<int64_t, int>{{4, 11}, {1, 11}, {7, 10}}));
  for (size_t i = 0; i < plan.size(); ++i) EXPECT_EQ(plan.images[i].seed, 100 + i);
  EXPECT_EQ(std::set(plan.names.begin(), plan.names.end()).size(), 32u);
}

TEST(BalancedPlan, RandomIsUniform) {
  constexpr int kClasses = 5, kImages = 10'000;
  const auto counts = counts_of(balanced_plan(config(), {0, 1, 2, 3, 4}, Balance::random, kImages, 0, {}));
  ASSERT_EQ(counts.size(), 5u);
  // 4.5 standard deviations of a binomial count.
  const double mean = kImages / kClasses, most = 4.5 * std::sqrt(mean * (1 - 1.0 / kClasses));
  for (const auto& [label, count] : counts) EXPECT_NEAR(count, mean, most) << label;
}

TEST(BalancedPlan, ASmallerOneIsTheBeginning) {
  for (const auto balance : {Balance::equal, Balance::random}) {
    const auto few = balanced_plan(config(), {0, 1, 2}, balance, 7, 3, {});
    const auto many = balanced_plan(config(), {0, 1, 2}, balance, 31, 3, {});
    for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few.names[i], many.names[i]);
  }
}

TEST(BalancedPlan, RefusesSeedsThatThereAreNot) {
  EXPECT_NO_THROW(balanced_plan(config(), {0}, Balance::equal, 1, 0xffff'ffff, {}));
  EXPECT_THROW(balanced_plan(config(), {0}, Balance::equal, 2, 0xffff'ffff, {}), std::invalid_argument);
  EXPECT_THROW(balanced_plan(config(), {0}, Balance::equal, 0, 0, {}), std::invalid_argument);
}

class ImageList : public io::Scratch {
 protected:
  ImagePlan read(const std::string& name, const std::string& text) const {
    return read_image_list(put(name, text), config(), {.settings = {.grid = {.steps = 9}}});
  }
};

TEST_F(ImageList, CsvAndJsonLinesSayTheSame) {
  put("recipe.json", R"([{"layers": [0], "experts": [1], "action": "mute"}])");
  const auto csv = read("a.csv",
                        "class,seed,guidance,guidance-interval,recipe,name\n"
                        "cube,7,,,,\r\n"
                        "\n"
                        "3,8,1.5,0.1 0.9,recipe.json,\n"
                        "cube,7,1.5,0.1 0.9,recipe.json,\"other, cube\"\n");
  const auto json =
      read("a.jsonl", R"({"class": "cube", "seed": 7, "guidance": null})"
                      "\n"
                      R"({"class": 3, "seed": 8, "guidance": 1.5, "guidance-interval": [0.1, 0.9], )"
                      R"("recipe": [{"layers": [0], "experts": [1], "action": "mute"}]})"
                      "\n"
                      R"({"class": "cube", "seed": 7, "guidance": 1.5, "guidance-interval": [0.1, 0.9], )"
                      R"("recipe": "recipe.json", "name": "other, cube"})");
  for (const auto* plan : {&csv, &json}) {
    ASSERT_EQ(plan->size(), 3u);
    EXPECT_EQ(plan->names[0], "cube-0007.png");
    EXPECT_EQ(plan->names[2], "other, cube.png");
    EXPECT_EQ(plan->images[1].label, 3);
    EXPECT_EQ(plan->images[1].seed, 8u);
    EXPECT_EQ(plan->variant_of, (std::vector<uint32_t>{0, 1, 1}));
    ASSERT_EQ(plan->variants.size(), 2u);
    EXPECT_EQ(plan->variants[0].settings.guidance.scale, 2);
    EXPECT_TRUE(plan->variants[0].recipe.empty());
    const auto& edited = plan->variants[1];
    EXPECT_EQ(edited.settings.grid.steps, 9);
    EXPECT_EQ(edited.settings.guidance.scale, 1.5);
    EXPECT_EQ(edited.settings.guidance.t_low, 0.1);
    EXPECT_EQ(edited.settings.guidance.t_high, 0.9);
    EXPECT_EQ(edited.recipe, (RoutingRecipe{{.layers = {0}, .experts = {1}}}));
  }
}

struct Fault {
  const char *name, *file, *text, *message;
};

const Fault kFaults[] = {
    {"empty", "a.csv", "class,seed\n", "a.csv: lists no image"},
    {"no_seed", "a.csv", "class\ncube\n", "a.csv, line 2: has no seed"},
    {"no_class", "a.jsonl", R"({"seed": 1})", "a.jsonl, line 1: has no class"},
    {"unknown_column", "a.csv", "class,seed,guidence\ncube,1,2\n", "did you mean \"guidance\""},
    {"unknown_class", "a.csv", "class,seed\ncubbe,1\n",
     "line 2: unknown class \"cubbe\": did you mean \"cube\""},
    {"all_classes", "a.csv", "class,seed\nall,1\n", "line 2: class: expected one class"},
    {"negative_seed", "a.csv", "class,seed\ncube,-1\n", "seed: expected 0 .. 4294967295, got -1"},
    {"large_seed", "a.csv", "class,seed\ncube,4294967296\n", "got 4294967296"},
    {"cells", "a.csv", "class,seed\ncube\n", "line 2: expected 2 cells, got 1"},
    {"open_quote", "a.csv", "class,seed\n\"cube,1\n", "line 2: a quote is not closed"},
    {"twice", "a.csv", "class,seed\ncube,1\ncone,1\ncube,1\n",
     "line 4: line 2 has an image of that name too"},
    {"out_of_range", "a.csv", "class,seed,steps\ncube,1,0\n", "line 2: --steps: expected 1 .. 10000, got 0"},
    {"path", "a.csv", "class,seed,name\ncube,1,../x\n", "expected that of a file, got \"../x.png\""},
    {"no_json", "a.jsonl", "{\"class\": cube}", "a.jsonl, line 1"},
    {"images", "a.jsonl",
     R"({"class": 1, "seed": 1, "recipe": [{"experts": [1], "action": "mute", "images": [0]}]})",
     "is one image"},
};

class ImageListFaults : public ImageList, public ::testing::WithParamInterface<Fault> {};

TEST_P(ImageListFaults, IsRefusedWithItsPlace) {
  const auto& fault = GetParam();
  EXPECT_TRUE(
      io::contains(io::message_of<io::InputError>([&] { read(fault.file, fault.text); }), fault.message));
}

INSTANTIATE_TEST_SUITE_P(All, ImageListFaults, ::testing::ValuesIn(kFaults),
                         [](const auto& test) { return test.param.name; });

TEST_F(ImageList, RefusesAFileThatIsNotThere) {
  EXPECT_THROW(read_image_list(file("none.csv"), config(), {}), io::InputError);
}

}  // namespace
}  // namespace switchyard::pipeline
