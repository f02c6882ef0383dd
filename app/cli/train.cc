// switchyard train: trains a model by a recipe, or goes on with a run.
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "app/cli/interrupt.h"
#include "app/cli/progress.h"
#include "app/cli/usage.h"
#include "app/program/device.h"
#include "io/error.h"
#include "train/recipe.h"
#include "train/trainer.h"

namespace switchyard::app {
namespace {

struct Options {
  std::string preset;  // empty: pictures, where there is data
  train::RunOptions run;
  std::string device = "auto";
  std::map<std::string, const CLI::Option*> fields;  // of the recipe, by name
  bool quiet = false;
};

train::Recipe recipe_of(const Options& options) {
  auto recipe = train::recipe(options.preset);
  train::Recipe::for_each_field(recipe, [&](const char* name, auto& value, const char*) {
    const auto* option = options.fields.at(name);
    // The library would wrap it around.
    if (std::is_unsigned_v<std::decay_t<decltype(value)>> &&
        !std::is_same_v<std::decay_t<decltype(value)>, bool> && option->count() > 0 &&
        option->results().front().starts_with("-"))
      throw std::invalid_argument(option->get_name() + ": expected 0 or more, got " +
                                  option->results().front());
    if (option->count() > 0) value = option->as<std::decay_t<decltype(value)>>();
  });
  recipe.validate();
  return recipe;
}

void train_model(Options options) {
  if (options.preset.empty()) {
    if (options.run.data.empty())
      throw std::invalid_argument("--preset is required, or --data with images to learn from");
    options.preset = "pictures";
  }
  options.run.device = device_of(options.device);
  const auto recipe = recipe_of(options);
  if (!(options.run.checkpoint_seconds >= 0))
    throw std::invalid_argument("--checkpoint-seconds: expected 0 or more");
  require_range("--images-per-sheet", options.run.images_per_sheet, 0, INT64_MAX);
  if (options.run.directory.empty()) throw std::invalid_argument("--out: expected a folder, got nothing");
  if (const auto& start = options.run.start_from; !start.empty() && !std::filesystem::exists(start))
    throw io::InputError(start.string() + ": No such file, expected the model to start from");

  Progress progress(options.quiet);
  options.run.say = [&](const std::string& line) { progress.warn("warning: " + line); };
  auto said = train::to_json(recipe);
  said["data"] = options.run.data.empty() ? "solids" : options.run.data.string();
  progress.say("recipe " + options.preset + ": " + said.dump());
  const auto checkpoint = options.run.directory / "checkpoint.safetensors";
  if (std::filesystem::exists(checkpoint)) progress.say("resuming from " + checkpoint.string());
  take_time_to_stop();
  int64_t steps = 0;
  const bool finished = train::train(recipe, options.run, [&](const train::Progress& p) {
    char text[160];
    const int length = std::snprintf(
        text, sizeof text, "step %lld/%lld  %lld images  loss %.4f  balance %.3f  %.0f images/s",
        static_cast<long long>(p.step), static_cast<long long>(p.steps), static_cast<long long>(p.images),
        p.loss, p.balance, p.images_per_second);
    if (p.waiting >= 0.02)
      std::snprintf(text + length, sizeof text - static_cast<size_t>(length), "  %.0f %% waiting for images",
                    100 * p.waiting);
    progress.show(static_cast<double>(p.step) / static_cast<double>(p.steps), text, p.seconds_left);
    steps = p.step;
    return !interrupted();
  });
  if (!finished) {
    progress.say("stopped after step " + std::to_string(steps) + "; " + checkpoint.string() +
                 " is written: the same command goes on from there");
    throw Cancelled();
  }
  progress.result((options.run.directory / "model.safetensors").string());
}

std::string option_name(std::string field) {
  for (char& c : field) c = c == '_' ? '-' : c;
  return "--" + field;
}

// "images to train on; solids: 3719680, tiny: 320", or one value where the presets agree.
std::string field_help(const char* help, const std::string& field) {
  std::vector<std::string> values;
  std::string each;
  for (const auto name : train::recipe_names()) {
    const auto json = train::to_json(train::recipe(name)).at(field);
    values.push_back(json.is_string() ? json.get<std::string>() : json.dump());
    each += (each.empty() ? "" : ", ") + std::string(name) + ": " + values.back();
  }
  const bool agree = std::ranges::all_of(values, [&](const auto& value) { return value == values.front(); });
  std::string text = help;
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + "; " + (agree ? "default: " + values.front() : each);
}

}  // namespace

void add_train_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command = *program.add_subcommand("train", "Train a model, or go on with a run that was stopped");
  command
      .add_option("--preset", options->preset,
                  "Recipe: solids (the embedded model's: minutes on a GPU, thirty hours on two\ncores), "
                  "solids-switch (timesteps pick experts; hours), pictures (yours; the default with\n--data) "
                  "or tiny (seconds)")
      ->type_name("NAME");
  command
      .add_option(
          "--data", options->run.data,
          "Images to learn from, in place of the solids: a folder or .zip of PNG and JPEG\nfiles, an .npz "
          "(arr_0), .npy or IDX file (.gz too). Sub-folders are classes")
      ->type_name("PATH");
  command
      .add_option(
          "--out", options->run.directory,
          "Folder of the run: checkpoint, model, log and sample sheets; a run that\nis already there goes on")
      ->type_name("DIR")
      ->required();
  command
      .add_option("--start-from", options->run.start_from,
                  "Begin a new run with the weights of this model and the images it has seen;\na run that is "
                  "already there goes on from its checkpoint instead")
      ->type_name("FILE");
  command
      .add_option("--checkpoint-seconds", options->run.checkpoint_seconds,
                  "Time between checkpoints; default: 120")
      ->type_name("S");
  command
      .add_option("--images-per-sheet", options->run.images_per_sheet,
                  "Images between sample sheets, 0 for none; default: 100000")
      ->type_name("N");
  add_device_option(command, options->device);
  command.add_flag("--quiet", options->quiet, "No progress on stderr");
  train::Recipe defaults;
  train::Recipe::for_each_field(defaults, [&](const char* name, const auto& value, const char* help) {
    using Value = std::decay_t<decltype(value)>;
    const char* type = std::is_same_v<Value, std::string> ? "NAME"
                       : std::is_same_v<Value, bool>      ? "true|false"
                       : std::is_integral_v<Value>        ? "N"
                                                          : "X";
    options->fields[name] = command.add_option(option_name(name))
                                ->description(field_help(help, name))
                                ->type_name(type)
                                ->group("Recipe, instead of the preset's");
  });
  command.footer(
      "Ctrl-C writes a checkpoint and stops; the same command goes on from it.\n\n"
      "Example: a model of your own in a minute, and what it draws\n"
      "  switchyard train --preset tiny --images 20000 --out run\n"
      "  switchyard sample --model run/model.safetensors --grid grid.png --no-images --zoom 4\n"
      "and one of your own pictures\n"
      "  switchyard train --data photos --out run");
  command.callback([options] { train_model(*options); });
}

}  // namespace switchyard::app
