// Training on anybody's pictures.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "../io/scratch.h"
#include "dit/model_file.h"
#include "io/error.h"
#include "io/png.h"
#include "train/trainer.h"

namespace switchyard::train {
namespace {

class TrainingOnPictures : public io::Scratch {
 protected:
  TrainingOnPictures() {
    recipe_ = recipe("tiny");
    recipe_.images = 96;  // 12 steps
    recipe_.flip = true;
    for (const char* folder : {"cat", "dog"}) {
      std::filesystem::create_directories(file("pictures") / folder);
      for (int i = 0; i < 5; ++i)
        io::write_png(file("pictures") / folder / c10::str(i, ".png"),
                      at::full({20 + i, 31, 3}, folder[0] + 10 * i, at::kByte));
    }
  }

  bool train_in(const char* name, const OnProgress& on_progress = nullptr) {
    RunOptions options;
    options.directory = file(name);
    options.data = file("pictures");
    options.images_per_sheet = 0;
    options.say = [this](const std::string& line) { said_.push_back(line); };
    return train(recipe_, options, on_progress);
  }
  Recipe recipe_;
  std::vector<std::string> said_;
};

TEST_F(TrainingOnPictures, MakesAModelOfTheirClasses) {
  ASSERT_TRUE(train_in("run"));
  const auto model = dit::open_model(file("run/model.safetensors"));
  EXPECT_EQ(model.config.num_classes, 2);
  EXPECT_EQ(model.config.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_TRUE(model.training["recipe"]["data"].get<std::string>().starts_with("10 images of 2 classes, "));
  EXPECT_TRUE(said_.empty());
}

TEST_F(TrainingOnPictures, ThatWasInterruptedEndsInTheUnbrokenRunsBytes) {
  ASSERT_TRUE(train_in("unbroken"));
  ASSERT_FALSE(train_in("run", [](const Progress& progress) { return progress.step < 5; }));
  ASSERT_TRUE(train_in("run"));
  EXPECT_EQ(bytes_of("run/model.safetensors"), bytes_of("unbroken/model.safetensors"));
}

TEST_F(TrainingOnPictures, GoesOnWhereTheyHaveMovedButNotOnOthers) {
  ASSERT_FALSE(train_in("run", [](const Progress& progress) { return progress.step < 2; }));
  std::filesystem::rename(file("pictures"), file("elsewhere"));
  std::filesystem::create_directory_symlink(file("elsewhere"), file("pictures"));
  ASSERT_FALSE(train_in("run", [](const Progress& progress) { return progress.step < 4; }));
  std::filesystem::remove(file("elsewhere/cat/0.png"));
  const auto message = io::message_of<io::InputError>([&] { train_in("run"); });
  EXPECT_TRUE(io::contains(message, "its data is \"10 images of 2 classes, ")) << message;
  EXPECT_TRUE(io::contains(message, "this run's is \"9 images of 2 classes, ")) << message;
}

TEST_F(TrainingOnPictures, SaysWhichCannotBeReadAndGoesOn) {
  put("pictures/cat/2.png", "no picture");
  ASSERT_TRUE(train_in("run"));
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_TRUE(io::contains(said_[0], "cat/2.png")) << said_[0];
}

TEST_F(TrainingOnPictures, HasTheirSizeAsAsked) {
  recipe_.image_size = 24;
  ASSERT_TRUE(train_in("run"));
  EXPECT_EQ(dit::open_model(file("run/model.safetensors")).config.input_size, 24);
  recipe_.image_size = 30;  // patches of 4
  EXPECT_TRUE(io::contains(io::message_of<std::invalid_argument>([&] { train_in("other"); }), "a multiple of 4"));
  EXPECT_FALSE(std::filesystem::exists(file("other")));
}

TEST_F(TrainingOnPictures, NeedsPictures) {
  std::filesystem::remove_all(file("pictures"));
  EXPECT_THROW(train_in("run"), io::InputError);
  std::filesystem::create_directories(file("pictures"));
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { train_in("run"); }), "found none"));
  EXPECT_FALSE(std::filesystem::exists(file("run")));
}

}  // namespace
}  // namespace switchyard::train
