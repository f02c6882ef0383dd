// The `switchyard-gui` program.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

#include "app/gui/pictures.h"
#include "app/program/device.h"
#include "io/error.h"
#include "pipeline/classes.h"

namespace {

using namespace switchyard;

struct Options {
  std::filesystem::path model, decoder, screenshot, demo;
  std::string draw, size = "1440x900", theme, device = "auto";
  std::optional<uint64_t> seed;
  std::optional<int> steps;
  gui::View view;
  int64_t count = 1;
  double scale = 0;
};

void add_options(CLI::App& program, Options& options) {
  program.add_option("model", options.model, "Model file or folder; default: the one inside the program")
      ->type_name("FILE");
  program.add_option("--vae", options.decoder, "Decoder of a model that draws latents")->type_name("FILE");
  app::add_device_option(program, options.device);
  program.add_option("--draw", options.draw, "Draw this class at once")->type_name("CLASS");
  program.add_option("--seed", options.seed, "Its seed")->type_name("N");
  program.add_option("--count", options.count, "How many images of it")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  program.add_option("--steps", options.steps, "In how many steps; default: the model's own")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  program.add_option("--size", options.size, "Of the window, in pixels")->type_name("WxH");
  program.add_option("--scale", options.scale, "Of everything on the screen; default: the monitor's")
      ->type_name("S")
      ->check(CLI::Range(0.5, 4.0));
  program.add_option("--theme", options.theme, "dark or light")->check(CLI::IsMember({"dark", "light"}));
  auto* picture = program
                      .add_option("--screenshot", options.screenshot,
                                  "Write a picture of the window when all is drawn, and end")
                      ->type_name("FILE");
  program
      .add_option(
          "--demo", options.demo,
          "Write a moving picture (APNG) of an image that is drawn, with and without an expert, and end")
      ->type_name("FILE")
      ->excludes(picture);
  program
      .add_option("--show", options.view.panel, "The panel to bring to the front: \"Atlas\", \"Flow\", ...")
      ->type_name("PANEL")
      ->needs(picture);
  program.add_option("--layer", options.view.layer, "The layer to look at")->type_name("N")->needs(picture);
  program.add_option("--step", options.view.step, "The step to look at")->type_name("N")->needs(picture);
  program
      .add_option("--mute", options.view.mute,
                  "Mute this expert of the layer, and draw again beside the first")
      ->type_name("N")
      ->needs(picture);
}

int end_with(int code, const std::string& message) {
  std::fprintf(stderr, "switchyard-gui: %s\n", message.c_str());
  return code;
}

int run(const Options& options) {
  gui::AppOptions app_options;
  if (std::sscanf(options.size.c_str(), "%dx%d", &app_options.window.width, &app_options.window.height) !=
          2 ||
      app_options.window.width < 320 || app_options.window.height < 240) {
    return end_with(2, "--size: expected such as 1280x800, got " + options.size);
  }
  app_options.studio.device = app::device_of(options.device);
  const bool picture = !options.screenshot.empty() || !options.demo.empty();
  if (!picture) {
    app_options.studio.remembered = studio::remembered_file();
    if (!app_options.studio.remembered.empty())
      app_options.layout = app_options.studio.remembered.parent_path() / "layout.ini";
  }
  gui::App app(app_options);
  auto& studio = app.studio;
  if (picture) studio.remembered.hint_seen = true;
  if (options.scale > 0) studio.remembered.scale = options.scale;
  if (!options.theme.empty()) studio.remembered.theme = options.theme;
  if (options.model.empty()) {
    studio.open_embedded();
  } else {
    studio.open(options.model, options.decoder);
  }
  const std::string drawn = options.draw.empty() && !options.demo.empty() ? "cube" : options.draw;
  if (!drawn.empty()) {
    if (!gui::run_until(app, [&] { return !studio.opening(); })) return 0;
    if (!studio.model()) return end_with(3, studio.status().text);
    studio.form.label = pipeline::find_classes(studio.model()->config, {drawn}).at(0);
    if (options.seed) studio.form.seed = *options.seed, studio.form.fresh_seed = false;
    if (options.steps) studio.form.settings.grid.steps = *options.steps;
    studio.form.count = options.count;
    studio.draw();
  }
  if (!picture) {
    gui::run_until(app, [] { return false; });
    return 0;
  }
  const auto& file = options.demo.empty() ? options.screenshot : options.demo;
  const bool taken =
      options.demo.empty() ? gui::take_picture(app, options.view, file) : gui::take_animation(app, file);
  if (!taken) return app.window.closing() ? 130 : end_with(3, studio.status().text);
  std::printf("%s\n", file.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Watch the experts of a diffusion transformer draw, and act on them.", "switchyard-gui");
  Options options;
  add_options(program, options);
  CLI11_PARSE(program, argc, argv);
  try {
    return run(options);
  } catch (const gui::NoWindow& error) {
    return end_with(2, error.what());
  } catch (const std::invalid_argument& error) {
    return end_with(2, error.what());
  } catch (const io::InputError& error) {
    return end_with(3, error.what());
  } catch (const io::OutputError& error) {
    return end_with(5, error.what());
  }
}
