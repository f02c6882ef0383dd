// The `switchyard-gui` program.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "app/gui/pictures.h"
#include "app/program/device.h"
#include "io/error.h"
#include "io/mapped_file.h"
#include "io/text.h"
#include "pipeline/classes.h"

namespace {

using namespace switchyard;

struct Options {
  std::filesystem::path model, decoder, screenshot, screenshots, demo;
  std::vector<std::string> draw, sizes = {"1440x900"};
  std::vector<double> scales;
  std::string theme, device = "auto";
  std::optional<uint64_t> seed;
  std::optional<int> steps;
  gui::View view;
  int64_t count = 1;
};

void add_drawing(CLI::App& program, Options& options) {
  program.add_option("model", options.model, "Model file or folder; default: the one inside the program")
      ->type_name("FILE");
  program.add_option("--vae", options.decoder, "Decoder of a model that draws latents")->type_name("FILE");
  app::add_device_option(program, options.device);
  program.add_option("--draw", options.draw, "Draw this class at once, or several")
      ->type_name("CLASS,...")
      ->delimiter(',');
  program.add_option("--seed", options.seed, "Its seed")->type_name("N");
  program.add_option("--count", options.count, "How many images of it")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  program.add_option("--steps", options.steps, "In how many steps; default: the model's own")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  program.add_option("--size", options.sizes, "Of the window, in pixels")->type_name("WxH")->delimiter(',');
  program.add_option("--scale", options.scales, "Of everything on the screen; default: the monitor's")
      ->type_name("S")
      ->delimiter(',')
      ->check(CLI::Range(0.5, 4.0));
  program.add_option("--theme", options.theme, "dark or light")->check(CLI::IsMember({"dark", "light"}));
}

void add_pictures(CLI::App& program, Options& options) {
  auto* which = program.add_option_group("Pictures", "Draw, write pictures of the window, and end");
  which->add_option("--screenshot", options.screenshot, "A picture when all is drawn")->type_name("FILE");
  which
      ->add_option("--screenshots", options.screenshots,
                   "A picture of every panel, at each --size and --scale")
      ->type_name("FOLDER");
  which
      ->add_option("--demo", options.demo,
                   "A moving picture (APNG) of an image that is drawn, with and without an expert")
      ->type_name("FILE");
  which->require_option(0, 1);
  auto& view = options.view;
  program
      .add_option("--show", view.panel,
                  "With --screenshot: the panel in front; what it measures is measured before")
      ->type_name("PANEL")
      ->transform(CLI::IsMember(
          std::vector<std::string>(std::begin(gui::kPictured), std::end(gui::kPictured)), CLI::ignore_case));
  const auto number = [&](const char* name, auto& value, const char* help) {
    program.add_option(name, value, help)->type_name("N");
  };
  number("--layer", view.layer, "The layer to look at");
  number("--step", view.step, "The step to look at");
  number("--expert", view.expert, "The expert to look at");
  number("--patch", view.patch, "The patch to pin");
  number("--mute", view.mute, "Mute this expert of the layer, and draw again beside the first");
}

gui::Screen screen_of(const std::string& size, double scale) {
  gui::Screen screen{.scale = scale};
  if (std::sscanf(size.c_str(), "%dx%d", &screen.width, &screen.height) != 2 || screen.width < 320 ||
      screen.height < 240)
    throw std::invalid_argument("--size: expected such as 1280x800, got " + size);
  return screen;
}

int end_with(int code, const std::string& message) {
  std::fprintf(stderr, "switchyard-gui: %s\n", io::printable(message).c_str());
  return code;
}

// Queues what --draw says. Nothing: done; else the exit code.
std::optional<int> draw(gui::App& app, const Options& options, const std::vector<std::string>& classes) {
  auto& studio = app.studio;
  if (!gui::run_until(app, [&] { return !studio.opening(); })) return 0;
  if (!studio.model()) return end_with(3, studio.status().text);
  auto& form = studio.form;
  if (options.seed) form.seed = *options.seed, form.fresh_seed = false;
  if (options.steps) form.settings.grid.steps = *options.steps;
  form.count = options.count;
  for (const auto label : pipeline::find_classes(studio.model()->config, classes)) {
    form.label = label;
    studio.draw();
  }
  return {};
}

int run(const Options& options) {
  std::vector<gui::Screen> screens;
  for (const auto& size : options.sizes)
    for (const double scale : options.scales.empty() ? std::vector<double>{0} : options.scales)
      screens.push_back(screen_of(size, scale));
  if (screens.size() > 1 && options.screenshots.empty())
    throw std::invalid_argument("several sizes or scales are for --screenshots");
  gui::AppOptions app_options;
  app_options.window.width = screens[0].width, app_options.window.height = screens[0].height;
  app_options.studio.device = app::device_of(options.device);
  const bool picture = !options.screenshot.empty() || !options.screenshots.empty() || !options.demo.empty();
  if (!picture) {
    app_options.studio.remembered = studio::remembered_file();
    if (!app_options.studio.remembered.empty())
      app_options.layout = app_options.studio.remembered.parent_path() / "layout.ini";
  }
  gui::App app(app_options);
  auto& studio = app.studio;
  if (picture) studio.remembered.hint_seen = true;
  if (!options.scales.empty()) studio.remembered.scale = screens[0].scale;
  if (!options.theme.empty()) studio.remembered.theme = options.theme;
  if (options.model.empty()) {
    studio.open_embedded();
  } else {
    studio.open(options.model, options.decoder);
  }
  const auto classes =
      options.draw.empty() && !options.demo.empty() ? std::vector<std::string>{"cube"} : options.draw;
  if (!classes.empty()) {
    if (const auto code = draw(app, options, classes)) return *code;
  }
  if (!picture) {
    gui::run_until(app, [] { return false; });
    return 0;
  }
  const auto& file = !options.demo.empty()          ? options.demo
                     : !options.screenshots.empty() ? options.screenshots
                                                    : options.screenshot;
  const bool taken = !options.demo.empty()          ? gui::take_animation(app, file)
                     : !options.screenshots.empty() ? gui::take_pictures(app, options.view, screens, file)
                                                    : gui::take_picture(app, options.view, file);
  if (!taken) return app.window.closing() ? 130 : end_with(3, studio.status().text);
  std::printf("%s\n", file.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  io::end_when_a_mapped_file_shrinks("switchyard-gui");
  CLI::App program("Watch the experts of a diffusion transformer draw, and act on them.", "switchyard-gui");
  Options options;
  add_drawing(program, options);
  add_pictures(program, options);
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
