#include "app/cli/idle_options.h"

#include <gtest/gtest.h>

namespace switchyard::app {
namespace {

// What is left idle of options given together, by their names; the settings are made of them as `sample` does.
struct Case {
  const char* name;
  SampleOptions options;
  std::vector<std::string> idle;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

SampleOptions with(void (*change)(SampleOptions&)) {
  SampleOptions options;
  change(options);
  return options;
}

const std::vector<Case> kCases = {
    {"nothing", {}, {}},
    {"eta_of_adams_bashforth", with([](auto& o) { o.settings["--eta"] = {"0.5"}; }), {"--eta"}},
    {"no_eta_of_adams_bashforth", with([](auto& o) { o.settings["--eta"] = {"0"}; }), {}},
    {"eta_of_ddim",
     with([](auto& o) {
       o.settings = {{"--eta", {"0.5"}}, {"--solver", {"ddim"}}};
     }),
     {}},
    {"churn_of_ddim",
     with([](auto& o) {
       o.settings = {{"--churn", {"1"}}, {"--solver", {"ddim"}}};
     }),
     {"--churn"}},
    {"churn_of_edm_heun",
     with([](auto& o) {
       o.settings = {{"--churn", {"1"}}, {"--solver", {"edm_heun"}}};
     }),
     {}},
    {"interval_of_default",
     with([](auto& o) {
       o.settings["--guidance-interval"] = {"0.1", "0.5"};
     }),
     {}},
    {"everything_of_no_guidance",
     with([](auto& o) {
       o.settings = {{"--guidance", {"1"}},
                     {"--guidance-interval", {"0.1", "0.5"}},
                     {"--guidance-kind", {"rescaled"}},
                     {"--guidance-channels", {"3"}},
                     {"--guidance-rescale", {"0.5"}},
                     {"--weak-experts", {"1"}}};
     }),
     {"--guidance-interval", "--guidance-kind", "--guidance-channels", "--guidance-rescale",
      "--weak-experts"}},
    {"rescale_of_another_kind",
     with([](auto& o) { o.settings["--guidance-rescale"] = {"0.5"}; }),
     {"--guidance-rescale"}},
    {"rescale_of_rescaled",
     with([](auto& o) {
       o.settings = {{"--guidance-rescale", {"0.5"}}, {"--guidance-kind", {"rescaled"}}};
     }),
     {}},
    {"shift_of_ddpm",
     with([](auto& o) {
       o.settings = {{"--shift", {"2"}}, {"--solver", {"ddim"}}};
     }),
     {"--shift"}},
    {"quality_beside_an_image", with([](auto& o) { o.quality = "best", o.from = "a.png"; }), {"--quality"}},
    {"grid_without_file", with([](auto& o) { o.columns = 3, o.zoom = 2; }), {"--columns", "--zoom"}},
    {"grid_with_file", with([](auto& o) { o.columns = 3, o.zoom = 2, o.grid = "grid.png"; }), {}},
};

class IdleOptions : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Cases, IdleOptions, ::testing::ValuesIn(kCases),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(IdleOptions, AreNamed) {
  const auto& [name, options, expected] = GetParam();
  // A DDPM model knows ddim and edm_heun, a rectified flow does not.
  dit::ModelFile model;
  model.config = dit::preset(options.settings.contains("--solver") ? "tiny-switch-dit-moe" : "tiny");
  std::vector<std::string> idle;
  for (const auto& sentence : idle_options(options, settings_of(options, {}, model)))
    idle.push_back(sentence.substr(0, sentence.find(' ')));
  EXPECT_EQ(idle, expected);
}

}  // namespace
}  // namespace switchyard::app
