// switchyard convert: an official checkpoint, or a model of ours, as one safetensors file of ours.
#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "app/cli/interrupt.h"
#include "app/cli/model_argument.h"
#include "app/cli/names.h"
#include "app/cli/progress.h"
#include "app/cli/settings_options.h"
#include "app/cli/usage.h"
#include "dit/checkpoint.h"
#include "pipeline/objective_probe.h"

namespace switchyard::app {
namespace {

struct Options {
  ModelOptions model;
  std::filesystem::path out;
  std::string dtype = "bf16";
  pipeline::GivenSettings settings;
  bool fast = false;  // the settings given are for little time
};

// The settings of a kind that the file carries, where it has any, with those `given`; null where neither says anything.
nlohmann::json settings_of(const dit::ModelFile& file, sampler::Quality kind,
                           const pipeline::GivenSettings& given) {
  const auto& own = kind == sampler::Quality::fast ? file.fast_settings : file.settings;
  if (own.is_null() && given.empty()) return nullptr;
  auto settings = pipeline::settings_for(file.config, own, file.source, kind);
  pipeline::apply(given, file.config, settings);
  for (const auto& [field, why] : pipeline::drop_idle(file.config, settings))
    if (given.contains(field.option))
      throw std::invalid_argument(std::string(field.option) + " changes nothing: " + why);
  return pipeline::settings_json(file.config, settings);
}

void convert(const Options& options) {
  const auto dtype = stored_dtype("--dtype", options.dtype);
  require_writable("OUT", options.out, ".safetensors");
  std::error_code missing;
  if (std::filesystem::equivalent(options.model.file, options.out, missing))
    throw std::invalid_argument("IN and OUT are the same file, " + options.out.string());
  const auto source = source_of(options.model);
  const auto file = source.open_for_use();
  if (options.fast && options.settings.empty())
    throw std::invalid_argument("--fast: expected a setting beside it, such as --steps 10");
  const auto settings = settings_of(file, sampler::Quality::balanced,
                                    options.fast ? pipeline::GivenSettings() : options.settings);
  const auto fast_settings =
      settings_of(file, sampler::Quality::fast, options.fast ? options.settings : pipeline::GivenSettings());
  Progress progress(false);
  progress.say(source.where() + ": " + file.config.family + ", " + file.format);
  for (const auto& [field, origin] : file.origin) {
    if (origin == dit::Origin::published || origin == dit::Origin::guessed)
      progress.say("  " + field + " = " + dit::to_json(file.config)[field].dump().substr(0, 60) + " (" +
                   std::string(to_string(origin)) + ")");
  }
  auto model =
      dit::make_model(file, dtype == at::kHalf ? at::kFloat : dtype);  // half precision is for storage alone
  if (const auto doubt = pipeline::probe_objective(model)) progress.warn("warning: " + *doubt);
  auto training = file.training;
  if (file.format != "Switchyard") {
    training["converted_from"] = {
        {"file", source.name()}, {"hash", source.hash()}, {"format", file.format}, {"weights", file.weights}};
  }
  stop_if_interrupted();
  const auto training_text = training.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  dit::save_model(options.out, model, training_text, dtype, settings, fast_settings);
  progress.result(options.out.string());
}

}  // namespace

void add_convert_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command = *program.add_subcommand("convert", "Turn an official checkpoint into a model file of ours");
  command
      .add_option("in", options->model.file,
                  "An official checkpoint (.pt, .safetensors), a folder of diffusers, or a model of ours")
      ->type_name("IN")
      ->required();
  command.add_option("out", options->out, "The file to write (.safetensors)")->type_name("OUT")->required();
  command
      .add_option("--dtype", options->dtype, "Number type of the tensors: fp32, bf16 or fp16; default: bf16")
      ->type_name("NAME");
  add_reading_options(command, options->model);
  constexpr const char* kSettings =
      "Settings that the model draws best with, stored in OUT as everybody's defaults";
  command
      .add_flag("--fast", options->fast,
                "Those given are for little time instead: what sample --quality fast takes")
      ->group(kSettings);
  add_settings_options(command, options->settings, kSettings);
  command.footer(
      "Examples: the averaged weights of a training checkpoint, at half their size; the same with settings\n"
      "  switchyard convert 0050000.pt dit-moe-s.safetensors --weights ema\n"
      "  switchyard convert 0050000.pt dit-moe-s.safetensors --solver ddim --steps 50 --guidance 1.5");
  command.callback([options] { convert(*options); });
}

}  // namespace switchyard::app
