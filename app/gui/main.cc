// The `switchyard-gui` program.
#include <imgui.h>

#include <CLI/CLI.hpp>
#include <cfloat>
#include <cstdio>
#include <optional>
#include <string>

#include "app/gui/app.h"
#include "io/error.h"
#include "io/png.h"
#include "pipeline/classes.h"

namespace {

using namespace switchyard;

struct Options {
  std::filesystem::path model, decoder, screenshot;
  std::string draw, size = "1440x900", theme, show;
  std::optional<uint64_t> seed;
  std::optional<int64_t> layer, step, mute;
  int64_t count = 1;
  double scale = 0;
};

void add_options(CLI::App& program, Options& options) {
  program.add_option("model", options.model, "Model file or folder; default: the one inside the program")
      ->type_name("FILE");
  program.add_option("--vae", options.decoder, "Decoder of a model that draws latents")->type_name("FILE");
  program.add_option("--draw", options.draw, "Draw this class at once")->type_name("CLASS");
  program.add_option("--seed", options.seed, "Its seed")->type_name("N");
  program.add_option("--count", options.count, "How many images of it")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  program.add_option("--size", options.size, "Of the window, in pixels")->type_name("WxH");
  program.add_option("--scale", options.scale, "Of everything on the screen; default: the monitor's")
      ->type_name("S")
      ->check(CLI::Range(0.5, 4.0));
  program.add_option("--theme", options.theme, "dark or light")->check(CLI::IsMember({"dark", "light"}));
  auto* picture = program
                      .add_option("--screenshot", options.screenshot,
                                  "Write a picture of the window when all is drawn, and end")
                      ->type_name("FILE");
  program.add_option("--show", options.show, "The panel to bring to the front: \"Atlas\", \"Flow\", ...")
      ->type_name("PANEL")
      ->needs(picture);
  program.add_option("--layer", options.layer, "The layer to look at")->type_name("N")->needs(picture);
  program.add_option("--step", options.step, "The step to look at")->type_name("N")->needs(picture);
  program
      .add_option("--mute", options.mute, "Mute this expert of the layer, and draw again beside the first")
      ->type_name("N")
      ->needs(picture);
}

// Lets the app run until `done`; false: somebody closed it.
template <class Condition>
bool run_until(gui::App& app, Condition done) {
  while (!app.window.closing()) {
    app.turn();
    if (done()) return true;
  }
  return false;
}

int end_with(int code, const std::string& message) {
  std::fprintf(stderr, "switchyard-gui: %s\n", message.c_str());
  return code;
}

// Everything that is asked for on the command line, drawn and written.
int take_picture(gui::App& app, const Options& options) {
  auto& studio = app.studio;
  const auto rest = [&] { return !studio.opening() && !studio.drawing() && studio.waiting() == 0; };
  const auto failed = [&] { return studio.status().kind == studio::Status::Kind::error; };
  if (!run_until(app, rest)) return 130;
  if (failed()) return end_with(3, studio.status().text);
  auto& selection = studio.selection;
  if (options.layer) selection.layer = *options.layer;
  if (options.step) selection.step = *options.step, selection.follow = false;
  if (options.mute) {
    studio.mute(selection.layer, *options.mute);
    if (!run_until(app, rest)) return 130;
    if (failed()) return end_with(3, studio.status().text);
    app.ui.canvas = gui::CanvasMode::side_by_side;
  }
  const auto settle = [&] {
    for (int i = 0; i < 8; ++i) {
      ImGui::GetIO().AddMousePosEvent(-FLT_MAX, -FLT_MAX);  // no tooltips
      app.draw();
    }
  };
  settle();
  if (!options.show.empty()) {
    ImGui::SetWindowFocus(options.show.c_str());
    settle();
  }
  io::write_png(options.screenshot, app.window.pixels());
  std::printf("%s\n", options.screenshot.c_str());
  return 0;
}

int run(const Options& options) {
  gui::AppOptions app_options;
  if (std::sscanf(options.size.c_str(), "%dx%d", &app_options.window.width, &app_options.window.height) !=
          2 ||
      app_options.window.width < 320 || app_options.window.height < 240) {
    return end_with(2, "--size: expected such as 1280x800, got " + options.size);
  }
  const bool picture = !options.screenshot.empty();
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
  if (!options.draw.empty()) {
    if (!run_until(app, [&] { return !studio.opening(); })) return 0;
    if (!studio.model()) return end_with(3, studio.status().text);
    studio.form.label = pipeline::find_classes(studio.model()->config, {options.draw}).at(0);
    if (options.seed) studio.form.seed = *options.seed, studio.form.fresh_seed = false;
    studio.form.count = options.count;
    studio.draw();
  }
  if (picture) return take_picture(app, options);
  run_until(app, [] { return false; });
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
