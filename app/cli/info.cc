// switchyard info: what a model file holds.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "app/cli/commands.h"
#include "app/cli/info_tensors.h"
#include "app/cli/interrupt.h"
#include "app/cli/model_argument.h"
#include "app/cli/names.h"
#include "io/text.h"
#include "pipeline/settings_text.h"

namespace switchyard::app {
namespace {

struct Options {
  ModelOptions model;
  bool json = false, routing = false, tensors = false;
};

nlohmann::json describe(const pipeline::ModelSource& source) {
  const auto file = source.open();
  dit::require_fitting_tensors(file);
  std::set<std::string> dtypes;
  for (const auto& [name, tensor] : file.tensors) dtypes.insert(dtype_name(tensor.scalar_type()));
  const auto parameters = dit::count_parameters(file.config);
  const auto settings = pipeline::settings_for(file.config, file.settings, file.source);
  const auto fast =
      pipeline::settings_for(file.config, file.fast_settings, file.source, sampler::Quality::fast);
  nlohmann::json origin = nlohmann::json::object();
  for (const auto& [field, from] : file.origin) origin[field] = to_string(from);
  return {{"name", source.name()},
          {"file", source.where()},
          {"format", file.format},
          {"weights", file.weights},
          {"file_bytes", source.size()},
          {"hash", source.hash()},
          {"dtypes", dtypes},
          {"parameters", {{"total", parameters.total}, {"activated", parameters.activated}}},
          {"config", dit::to_json(file.config)},
          {"origin", origin},
          {"settings", pipeline::settings_json(file.config, settings)},
          {"settings_of", file.settings.is_null() ? "balanced" : "model"},
          {"fast_settings", pipeline::settings_json(file.config, fast)},
          {"fast_settings_of", file.fast_settings.is_null() ? "fast" : "model"},
          {"fast_settings_text", pipeline::sentence_of(file.config, fast)},
          {"training", file.training},
          {"metadata", file.metadata}};
}

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(value.size(), kShown); ++i)
    text += (i == 0 ? "" : ", ") + text_of(value[i]);
  return text + (value.size() > kShown ? ", and " + std::to_string(value.size() - kShown) + " more" : "");
}

std::string in_millions(const nlohmann::json& value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f million", value.get<double>() / 1e6);
  return text;
}

// "name   value   # help"
void print_line(const std::string& raw_name, const std::string& raw_value, const std::string& help = "") {
  const auto name = io::printable(raw_name, true), value = io::printable(raw_value, true);
  std::cout << "  " << name << std::string(name.size() < 26 ? 26 - name.size() : 1, ' ') << value;
  if (!help.empty())
    std::cout << std::string(value.size() < 16 ? 16 - value.size() : 2, ' ') << io::printable(help, true);
  std::cout << '\n';
}

// An object as lines, objects inside it as "outer.inner".
void print_object(const nlohmann::json& object, const std::string& prefix = "") {
  for (const auto& [key, value] : object.items()) {
    value.is_object() ? print_object(value, prefix + key + ".") : print_line(prefix + key, text_of(value));
  }
}

// What a routing recipe can say of a model; null where nothing is routed.
nlohmann::ordered_json routing_of(const dit::ModelConfig& config) {
  const auto edit = [](const char* router, int64_t expert) {
    return nlohmann::ordered_json{
        {"layers", {0}}, {"t", {0.5, 1}}, {"experts", {expert}}, {"action", "mute"}, {"half", "both"}, {"router", router}};
  };
  nlohmann::ordered_json routing;
  if (config.routes_tokens()) {
    const int64_t side = config.input_size / config.patch_size;
    auto& tokens = routing["tokens"];
    tokens = {{"router", config.token_router}, {"layers", config.depth}, {"experts", {}},
              {"experts_per_token", config.experts_per_token}, {"patches", {side, side}}};
    for (int64_t block = 0; block < config.depth; ++block) tokens["experts"].push_back(config.experts_of(block));
    routing["example"].push_back(edit("tokens", config.experts_of(0) - 1));
    routing["example"].back()["region"] = {{"rectangle", {0, 0, (side + 1) / 2, side}}};
  }
  if (config.routes_timesteps()) {
    routing["timesteps"] = {{"layers", config.depth},
                            {"experts", std::vector<int64_t>(config.depth, config.timestep_experts)},
                            {"experts_per_timestep", config.experts_per_timestep}};
    routing["example"].push_back(edit("timesteps", config.timestep_experts - 1));
  }
  return routing;
}

void print_router(const nlohmann::ordered_json& routing, const std::string& router, const std::string& picks,
                  const std::string& who) {
  if (!routing.contains(router)) return;
  const auto& of = routing[router];
  const auto& experts = of["experts"];
  const bool equal = std::ranges::all_of(experts, [&](const auto& count) { return count == experts[0]; });
  const int64_t most = std::ranges::max(experts.get<std::vector<int64_t>>());
  std::cout << "router \"" << router << "\": each " << who << " picks " << of[picks] << " experts per layer\n";
  print_line("layers", "0 .. " + std::to_string(of["layers"].get<int64_t>() - 1));
  print_line("experts", equal ? "0 .. " + std::to_string(most - 1) : "from 0; per layer " + text_of(experts));
  if (of.contains("router")) print_line("chosen by", text_of(of["router"]));
  if (of.contains("patches"))
    print_line("region", text_of(of["patches"][0]) + " x " + text_of(of["patches"][1]) + " patches", "x, y, width, height");
}

void print_routing(const nlohmann::ordered_json& routing) {
  if (routing.is_null()) {
    std::cout << "this model routes nothing: there is nothing to edit\n";
    return;
  }
  print_router(routing, "tokens", "experts_per_token", "patch");
  print_router(routing, "timesteps", "experts_per_timestep", "timestep");
  std::cout << "every edit\n";
  print_line("t", "0 .. 1", "from LOW to HIGH; 1 is noise, 0 the image");
  print_line("action", "mute, force or scale", "scale multiplies the gate weight by \"factor\"");
  print_line("half", "conditional, unconditional or both", "of guidance");
  print_line("images", "from 0", "of the request; left out: all");
  std::cout << "an example, for sample --edit\n" << routing["example"].dump() << '\n';
}

void print_for_people(const nlohmann::json& model) {
  std::cout << io::printable(text_of(model["name"]) + ": " + text_of(model["file"]), true) << '\n';
  const auto weights = text_of(model["weights"]);
  print_line("format",
             text_of(model["format"]) + (weights.empty() ? "" : ", its weights \"" + weights + "\""));
  print_line("file", in_millions(model["file_bytes"]) + " bytes, " + text_of(model["dtypes"]) + ", hash " +
                         text_of(model["hash"]));
  print_line("parameters", in_millions(model["parameters"]["total"]) + ", of which a token passes through " +
                               in_millions(model["parameters"]["activated"]));
  std::cout << "configuration\n";
  const dit::ModelConfig names;
  dit::ModelConfig::for_each_field(names, [&](const char* name, const auto&, const char* help) {
    const auto& value = model["config"][name];
    if (value == 0 || (value.is_array() && value.empty())) return;  // a field of another kind of model
    const auto& origin = model["origin"];
    const auto from = origin.contains(name) ? " [" + text_of(origin[name]) + "]" : "";
    print_line(name, text_of(value), help + from);
  });
  const bool own = model["settings_of"] == "model";
  std::cout << "settings unless told otherwise, "
            << (own ? "the model's own" : "balanced, for want of its own") << '\n';
  const auto settings = model["settings"].flatten();
  const auto print_setting = [&](const pipeline::Field& field, const auto&) {
    auto place = "/" + std::string(field.name);
    std::ranges::replace(place, '.', '/');
    if (settings.contains(place)) print_line(field.name, text_of(settings[place]), field.help);
  };
  const pipeline::Settings fields;
  pipeline::for_each_field(print_setting, fields);
  if (model["fast_settings_of"] == "model")
    print_line("--quality fast", text_of(model["fast_settings_text"]));
  std::cout << "training\n";
  if (model["training"].empty()) print_line("unknown", "the file does not say");
  print_object(model["training"]);
  if (model["metadata"].empty()) return;
  std::cout << "the file's own metadata\n";
  print_object(model["metadata"]);
}

}  // namespace

void add_info_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command =
      *program.add_subcommand("info", "Say what a model is: sizes, experts, classes, how it was trained");
  add_model_options(command, options->model, /*positional=*/true);
  command.add_flag("--json", options->json, "As JSON, for programs");
  command.add_flag("--routing", options->routing, "What a routing recipe (sample --edit) can change, with an example");
  command.add_flag("--tensors", options->tensors,
                   "Every tensor of a safetensors or PyTorch file, of whatever program: name, dtype, shape, mean,\n"
                   "deviation, and how many numbers are not finite. Nothing in the file is run");
  command.footer(
      "Examples\n"
      "  switchyard info dit-moe-s.pt                          what an official checkpoint is\n"
      "  switchyard info --json | jq .parameters.activated     how many parameters a token passes through");
  command.callback([options] {
    if (options->tensors) {
      if (options->model.file.empty()) throw std::invalid_argument("--tensors: expected the name of a file");
      if (options->routing) throw std::invalid_argument("--tensors and --routing exclude each other");
      print_tensors(options->model.file, options->json);
      return;
    }
    if (options->routing) {
      const auto routing = routing_of(source_of(options->model).open().config);
      options->json ? void(std::cout << routing.dump(2) << '\n') : print_routing(routing);
      return;
    }
    const auto model = describe(source_of(options->model));
    stop_if_interrupted();
    if (options->json) {
      std::cout << model.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else {
      print_for_people(model);
    }
  });
}

}  // namespace switchyard::app
