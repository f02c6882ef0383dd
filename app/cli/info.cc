// switchyard info: what a model file holds.
#include <ATen/ATen.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "app/commands.h"
#include "app/model_argument.h"

namespace switchyard::app {
namespace {

struct Options {
  std::filesystem::path model;
  bool json = false;
};

std::string name_of(at::ScalarType dtype) {
  std::string name = at::toString(dtype);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name == "float" ? "float32" : name == "half" ? "float16" : name;
}

nlohmann::json describe(const ModelArgument& argument) {
  std::set<std::string> dtypes;
  for (const auto& [name, tensor] : argument.tensors().tensors) dtypes.insert(name_of(tensor.scalar_type()));
  const auto loaded = argument.load(at::kFloat);
  const auto& config = loaded.model.config();
  const auto parameters = dit::count_parameters(config);
  return {{"name", argument.name()},
          {"file", argument.where()},
          {"file_bytes", argument.bytes()},
          {"hash", argument.hash()},
          {"dtypes", dtypes},
          {"parameters", {{"total", parameters.total}, {"activated", parameters.activated}}},
          {"config", dit::to_json(config)},
          {"training", nlohmann::json::parse(loaded.training)}};
}

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  constexpr size_t kShown = 20;
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
void print_line(const std::string& name, const std::string& value, const std::string& help = "") {
  std::cout << "  " << name << std::string(name.size() < 26 ? 26 - name.size() : 1, ' ') << value;
  if (!help.empty()) std::cout << std::string(value.size() < 16 ? 16 - value.size() : 2, ' ') << help;
  std::cout << '\n';
}

void print_for_people(const nlohmann::json& model) {
  std::cout << text_of(model["name"]) << ": " << text_of(model["file"]) << '\n';
  print_line("file", in_millions(model["file_bytes"]) + " bytes, " + text_of(model["dtypes"]) + ", hash " +
                         text_of(model["hash"]));
  print_line("parameters", in_millions(model["parameters"]["total"]) + ", of which a token passes through " +
                               in_millions(model["parameters"]["activated"]));
  std::cout << "configuration\n";
  const dit::ModelConfig names;
  dit::ModelConfig::for_each_field(names, [&](const char* name, const auto&, const char* help) {
    print_line(name, text_of(model["config"][name]), help);
  });
  std::cout << "training\n";
  if (model["training"].empty()) print_line("unknown", "the file does not say");
  for (const auto& [key, value] : model["training"].items()) {
    if (!value.is_object()) {
      print_line(key, text_of(value));
      continue;
    }
    for (const auto& [inner_key, inner] : value.items()) print_line(key + "." + inner_key, text_of(inner));
  }
}

}  // namespace

void add_info_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command =
      *program.add_subcommand("info", "Say what a model is: sizes, experts, classes, how it was trained");
  add_model_option(command, options->model);
  command.add_flag("--json", options->json, "As JSON, for programs");
  command.footer(
      "Example: how many parameters a token passes through\n"
      "  switchyard info --json | jq .parameters.activated");
  command.callback([options] {
    const auto model = describe(ModelArgument(options->model));
    if (options->json) {
      std::cout << model.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else {
      print_for_people(model);
    }
  });
}

}  // namespace switchyard::app
