#include "app/cli/model_argument.h"

#include <stdexcept>

#include "app/cli/usage.h"
#include "assets/embedded_model.h"
#include "io/error.h"
#include "sampler/denoiser.h"
#include "sampler/schedule.h"

namespace switchyard::app {

pipeline::ModelSource source_of(const ModelOptions& options) {
  pipeline::ModelSource source{.file = options.file, .bytes = {}, .bytes_name = {}, .reading = {}};
  if (options.file.empty()) {
    source.bytes = assets::embedded_model();
    source.bytes_name = assets::kEmbeddedModelName;
  }
  auto& reading = source.reading;
  if (!options.weights.empty()) reading.weights = options.weights;
  if (!options.objective.empty()) {
    const auto colon = options.objective.find(':');
    const auto schedule = options.objective.substr(0, colon);
    const bool sit = schedule == "sit" || schedule == "sit_gvp";
    reading.hints.toward_image = sit;
    reading.hints.schedule = sit ? (schedule == "sit" ? "rectified_flow" : "gvp")
                                 : sampler::Schedule(schedule).name();  // throws where it is unknown
    if (colon != std::string::npos)
      reading.hints.prediction =
          to_string(sampler::prediction_from_name(options.objective.substr(colon + 1)));
  }
  require_range("--experts-per-token", options.experts_per_token, 0, 1024);
  require_range("--heads", options.num_heads, 0, 1024);
  require_range("--num-classes", options.num_classes, 0, 1 << 20);
  if (options.num_classes > 0) reading.hints.num_classes = options.num_classes;
  if (options.experts_per_token > 0) reading.hints.experts_per_token = options.experts_per_token;
  if (options.num_heads > 0) reading.hints.num_heads = options.num_heads;
  // Where the embedded model cannot be opened, the options are to blame.
  if (options.file.empty() && (reading.weights || reading.hints.num_heads || reading.hints.num_classes ||
                               reading.hints.experts_per_token || !options.objective.empty())) {
    try {
      dit::require_fitting_tensors(source.open());
    } catch (const io::InputError& error) {
      throw std::invalid_argument(error.what());
    }
  }
  return source;
}

void add_model_options(CLI::App& command, ModelOptions& options, bool positional) {
  command
      .add_option(positional ? "--model,file" : "--model", options.file,
                  "Model file: ours, an official checkpoint as it is (.pt, .safetensors), or a folder of\ndiffusers; "
                  "default: the model embedded in the program")
      ->type_name("FILE")
      ->group("Model");
  add_reading_options(command, options);
}

void add_reading_options(CLI::App& command, ModelOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    command.add_option(name, value, help)->type_name(type)->group("Model");
  };
  add("--weights", options.weights, "Which weights of a training checkpoint: ema or model; default: ema",
      "NAME");
  add("--objective", options.objective,
      "What the model was trained for, where the file does not say it or is wrong:\nrectified_flow, sit or "
      "sit_gvp (SiT), linear, cosine or scaled_linear (DDPM), with\nanother prediction as in linear:v "
      "(noise, "
      "noise_and_variance, clean_image, v, velocity)",
      "NAME");
  add("--experts-per-token", options.experts_per_token,
      "Experts that each token picks, where the file does not say it; default: 2, as published", "K");
  add("--heads", options.num_heads,
      "Attention heads, for widths that nobody published: the file does not say it", "N");
  add("--num-classes", options.num_classes,
      "Classes, where the file does not say it: as many as the table of classes has rows, or one\nless where "
      "its last "
      "row stands for no class, which guidance needs",
      "N");
}

}  // namespace switchyard::app
