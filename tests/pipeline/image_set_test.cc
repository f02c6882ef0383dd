// Sets of images: whatever ends their drawing, they become the same files.
#include "pipeline/image_set.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <system_error>

#include "../io/scratch.h"
#include "io/error.h"
#include "io/npz.h"
#include "io/png.h"
#include "pipeline/fill_set.h"
#include "pipeline/out_of_memory.h"
#include "pipeline/routing_load.h"
#include "planted_model.h"

namespace switchyard::pipeline {
namespace {

namespace fs = std::filesystem;

class Set : public io::Scratch {
 protected:
  static Variant variant(int steps = 2) {
    return {.settings = {.grid = {.steps = steps}, .guidance = {.scale = 2}}};
  }
  ImagePlan plan(int64_t count, Variant how = variant()) const {
    return balanced_plan(session_.config(), {0, 1, 2}, Balance::equal, count, 40, std::move(how));
  }
  ImageSet begin(const std::string& name, const ImagePlan& plan) {
    return ImageSet::begin(file(name), describe(session_, plan), plan);
  }
  PlanDrawn fill_whole(const std::string& name, const ImagePlan& plan, const FillOptions& options = {},
                       const PlanObserver& observer = {}) {
    return fill(session_, plan, begin(name, plan), options, observer);
  }
  // Every file's bytes, by name.
  std::map<std::string, std::string> contents(const std::string& name) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(file(name)))
      all[entry.path().filename()] = bytes_of(name + "/" + entry.path().filename().string());
    return all;
  }

  Session session_{planted_model()};
};

TEST_F(Set, HoldsDescriptionListAndImages) {
  const auto filled = fill_whole("a", plan(7), {.batch_size = 3});
  EXPECT_FALSE(filled.cancelled);
  EXPECT_EQ(filled.progress.images, 7);
  EXPECT_EQ(filled.progress.drawn, 7);
  const auto set = ImageSet::open(file("a"));
  EXPECT_EQ(set.entries().size(), 7u);
  EXPECT_EQ(set.entries()[4].label, 1);
  EXPECT_EQ(set.entries()[4].seed, 44u);
  EXPECT_TRUE(set.missing().empty());
  EXPECT_EQ(contents("a").size(), 9u);
  const auto stored = read_image_text(io::read_png(set.file(4)).text, "");
  EXPECT_EQ(stored.image.seed, 44u);
  EXPECT_EQ(stored.settings.grid.steps, 2);
}

TEST_F(Set, WhatIsMissingOrCutOffIsDrawnAgain) {
  fill_whole("a", plan(7));
  const auto before = contents("a");
  const auto set = ImageSet::open(file("a"));
  fs::remove(set.file(2));
  fs::resize_file(set.file(5), fs::file_size(set.file(5)) - 1);
  fs::resize_file(set.file(6), 0);
  EXPECT_EQ(set.missing(), (std::vector<size_t>{2, 5, 6}));
  const auto filled = fill_whole("a", plan(7));
  EXPECT_EQ(filled.progress.there, 4);
  EXPECT_EQ(filled.progress.drawn, 3);
  EXPECT_EQ(contents("a"), before);
}

TEST_F(Set, GrowsToTheSetThatWasLargerFromTheBeginning) {
  fill_whole("a", plan(5));
  EXPECT_EQ(fill_whole("a", plan(8)).progress.drawn, 3);
  fill_whole("b", plan(8));
  EXPECT_EQ(contents("a"), contents("b"));
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { begin("a", plan(5)); }),
                           "holds a set of 8 images, more than the 5 asked for"));
}

TEST_F(Set, RefusesAnotherDescriptionSayingWhatDiffers) {
  begin("a", plan(3));
  const auto message = io::message_of<io::InputError>([&] { begin("a", plan(3, variant(4))); });
  EXPECT_TRUE(io::contains(message, "settings.steps is 2 there, 4 here"));
  EXPECT_EQ(message.find("guidance"), std::string::npos) << message;
  auto edited = variant();
  edited.recipe = {{.experts = {1}}};
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { begin("a", plan(3, edited)); }), "recipe"));
}

TEST_F(Set, RefusesAFolderOfOtherFiles) {
  fs::create_directories(file("a"));
  put("a/mine.png", "x");
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { begin("a", plan(3)); }), "mine.png"));
  EXPECT_THROW(ImageSet::open(file("a")), io::InputError);
}

TEST_F(Set, ShardsFillItTogether) {
  fill_whole("whole", plan(11));
  for (int64_t shard = 0; shard < 3; ++shard) {
    const auto filled = fill_whole("shared", plan(11), {.shard = {shard, 3}});
    EXPECT_EQ(filled.progress.drawn, shard < 2 ? 4 : 3);
    fill_whole("part" + std::to_string(shard), plan(11), {.shard = {shard, 3}});
  }
  EXPECT_EQ(contents("whole"), contents("shared"));
  EXPECT_THROW(fill_whole("whole", plan(11), {.shard = {3, 3}}), std::invalid_argument);

  std::vector<ImageSet> parts;
  for (const char* part : {"part0", "part1", "part2"}) parts.push_back(ImageSet::open(file(part)));
  const auto files = merged(parts);
  ASSERT_EQ(files.size(), 11u);
  EXPECT_EQ(files[4].parent_path(), file("part1"));
  parts.pop_back();
  EXPECT_TRUE(
      io::contains(io::message_of<io::InputError>([&] { merged(parts); }), "3 of 11 images are missing"));
  parts.push_back(ImageSet::open(file("part1")));
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { merged(parts); }), "is in two folders"));
}

TEST_F(Set, MergeRefusesPartsOfOtherSets) {
  fill_whole("a", plan(3));
  fill_whole("b", plan(3, variant(3)));
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] {
                             merged({ImageSet::open(file("a")), ImageSet::open(file("b"))});
                           }),
                           "settings.steps is 2 there, 3 here"));
}

TEST_F(Set, CancellingDropsTheBatchAndKeepsWhatWasDrawn) {
  int steps = 0;
  const auto filled = fill_whole("a", plan(9), {.batch_size = 4}, {.progress = [&](const PlanProgress& now) {
                                   EXPECT_GE(now.drawn, 0);
                                   return ++steps < 3;  // two steps a batch
                                 }});
  EXPECT_TRUE(filled.cancelled);
  EXPECT_EQ(filled.progress.drawn, 4);
  EXPECT_EQ(ImageSet::open(file("a")).missing().size(), 5u);
  fill_whole("a", plan(9));
  fill_whole("b", plan(9));
  EXPECT_EQ(contents("a"), contents("b"));
}

TEST_F(Set, OutOfMemoryHalvesTheBatchWithTheSamePixels) {
  std::vector<int64_t> batches;
  PlanObserver observer;
  observer.routing = [](const StepRouting& routing) {
    if (routing.images > 2) throw std::bad_alloc();
    return true;
  };
  observer.smaller_batches = [&](int64_t batch) { batches.push_back(batch); };
  const auto filled = fill_whole("a", plan(9), {.batch_size = 7}, observer);
  EXPECT_EQ(batches, (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(filled.batch_size, 2);
  fill_whole("b", plan(9));
  EXPECT_EQ(contents("a"), contents("b"));

  observer.routing = [](const StepRouting&) -> bool { throw std::bad_alloc(); };
  EXPECT_THROW(fill_whole("c", plan(9), {.batch_size = 7}, observer), std::bad_alloc);
}

TEST_F(Set, ListsDrawEachImageInItsOwnWay) {
  auto mixed = plan(4);
  mixed.variants.push_back(variant(3));
  mixed.variant_of = {0, 1, 1, 0};
  fill_whole("a", mixed);
  const auto set = ImageSet::open(file("a"));
  const std::vector<int> steps = {2, 3, 3, 2};
  for (size_t i = 0; i < steps.size(); ++i)
    EXPECT_EQ(read_image_text(io::read_png(set.file(i)).text, "").settings.grid.steps, steps[i]);
}

TEST_F(Set, PacksAsAdmDoes) {
  fill_whole("a", plan(5));
  const auto set = ImageSet::open(file("a"));
  std::vector<int64_t> told;
  EXPECT_TRUE(
      pack(merged({set}), set.entries(), file("a.npz"), [&](int64_t n) { return told.push_back(n), true; }));
  EXPECT_EQ(told, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 5, 5, 5, 5}));
  const auto arrays = io::read_npz(file("a.npz"));
  EXPECT_EQ(arrays.size(), 2u);
  EXPECT_TRUE(at::equal(arrays.at("arr_1"), at::tensor({0, 1, 2, 0, 1}, at::kLong)));
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_TRUE(at::equal(arrays.at("arr_0")[i], io::read_png(set.file(static_cast<size_t>(i))).pixels));

  EXPECT_FALSE(pack(merged({set}), set.entries(), file("b.npz"), [](int64_t n) { return n < 2; }));
  EXPECT_FALSE(fs::exists(file("b.npz")));
  fs::remove(set.file(3));
  EXPECT_THROW(merged({set}), io::InputError);
  EXPECT_EQ(names().size(), 2u) << "no temporary file is left";
}

TEST_F(Set, RoutingLoadSumsToOnePerLayer) {
  RoutingLoad load;
  fill_whole("a", plan(5), {.batch_size = 2}, {.routing = [&](const StepRouting& routing) {
               load.add(routing);
               return true;
             }});
  const auto shares = load.shares(Router::tokens);
  // Planted: patch t goes to experts t and t + 1 modulo 4, so each takes a quarter.
  EXPECT_TRUE(at::equal(shares, at::full({3, kExperts}, 0.25, at::kDouble)));
  EXPECT_EQ(load.json().dump(),
            R"({"tokens":[[0.25,0.25,0.25,0.25],[0.25,0.25,0.25,0.25],[0.25,0.25,0.25,0.25]]})");
}

TEST(OutOfMemory, IsToldFromOtherFailures) {
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  EXPECT_TRUE(
      is_out_of_memory(std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again))));
  EXPECT_FALSE(is_out_of_memory(std::system_error(std::make_error_code(std::errc::permission_denied))));
  EXPECT_TRUE(is_out_of_memory(std::runtime_error("could not create a primitive")));
  EXPECT_TRUE(is_out_of_memory(std::runtime_error("could not create a memory object")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("could not create a primitive descriptor")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("x")));
  const auto is = [](const auto& call) {
    try {
      call();
    } catch (const std::exception& error) {
      return is_out_of_memory(error);
    }
    return false;
  };
  EXPECT_TRUE(is([] { at::empty({int64_t{1} << 60}, at::kByte); }));
  EXPECT_FALSE(is([] { at::empty({2}).view({3}); }));
}

}  // namespace
}  // namespace switchyard::pipeline
