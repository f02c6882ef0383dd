// Whose settings are used, and what is said of it.
#include "app/cli/sample_options.h"

#include <gtest/gtest.h>

#include "../io/scratch.h"
#include "io/error.h"

namespace switchyard::app {
namespace {

const nlohmann::json kOwn = {
    {"solver", "euler_stochastic"}, {"steps", 40}, {"shift", 3.0}, {"guidance", {{"scale", 1.5}}}};

class SettingsOf : public ::testing::Test {
 protected:
  SettingsOf() {
    file_.config = dit::preset("tiny");
    file_.settings = kOwn;
  }
  std::string sentence() const { return settings_of(options_, stored_, file_).sentence; }

  dit::ModelFile file_;
  SampleOptions options_;
  Stored stored_;
};

TEST_F(SettingsOf, TheModelAreTheDefault) {
  EXPECT_EQ(sentence(), "settings of the model: euler_stochastic, 40 steps, shift 3, guidance 1.5");
}

TEST_F(SettingsOf, ModelsWithoutAnyAreBalanced) {
  file_.settings = nullptr;
  EXPECT_EQ(sentence(), "balanced: adams_bashforth, 25 steps, guidance 2");
}

TEST_F(SettingsOf, QualityGoesBeforeTheModels) {
  options_.quality = "best";
  EXPECT_EQ(sentence(), "best: heun, 50 steps (99 evaluations), guidance 2");
}

TEST_F(SettingsOf, FastAreTheModelsWhereItHasAny) {
  options_.quality = "fast";
  EXPECT_EQ(sentence(), "fast: adams_bashforth, 12 steps, guidance 2, guidance interval 0.1 to 0.9");
  file_.fast_settings = {{"solver", "euler_stochastic"}, {"steps", 15}, {"guidance", {{"scale", 1.0}}}};
  EXPECT_EQ(sentence(), "fast settings of the model: euler_stochastic, 15 steps, guidance 1");
}

TEST_F(SettingsOf, TheImageOfFromGoBeforeQuality) {
  options_.quality = "best";
  options_.from = "a.png";
  stored_.emplace();
  stored_->settings.grid.steps = 7;
  EXPECT_EQ(sentence(), "settings of a.png: euler, 7 steps, guidance 2");
}

TEST_F(SettingsOf, OptionsGoBeforeAll) {
  options_.settings = {{"--steps", {"3"}}, {"--shift", {"2"}}};
  EXPECT_EQ(sentence(), "settings of the model: euler_stochastic, 3 steps, shift 2, guidance 1.5");
  stored_.emplace();
  options_.from = "a.png";
  EXPECT_EQ(sentence(), "settings of a.png: euler, 3 steps, shift 2, guidance 2");
}

TEST_F(SettingsOf, ThatAreOutOfRangeInAnImageAreTheImagesFault) {
  options_.from = "a.png";
  stored_.emplace();
  stored_->settings.grid.steps = 0;
  EXPECT_EQ(io::message_of<io::InputError>([&] { sentence(); }),
            "a.png: its settings: steps is 0, expected 1 .. 10000");
}

TEST_F(SettingsOf, ImageMayHaveMoreThanTheModelHasMeaningFor) {
  stored_.emplace();
  stored_->settings.solver.eta = 0.5;
  stored_->settings.grid.spacing = "karras";
  EXPECT_EQ(settings_of(options_, stored_, file_).settings, pipeline::Settings{});
}

}  // namespace
}  // namespace switchyard::app
