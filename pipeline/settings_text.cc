#include "pipeline/settings_text.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <type_traits>

#include "io/text.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
constexpr bool is_number = std::is_arithmetic_v<std::remove_cvref_t<Value>>;
template <class Value>
constexpr bool is_whole = std::is_integral_v<std::remove_cvref_t<Value>>;

template <class Value>
Json json_of(const Value& value) {
  if constexpr (is_number<Value>) {
    return std::isinf(static_cast<double>(value)) ? Json(nullptr) : Json(value);
  } else {
    return text_of(value);
  }
}

void assign(std::string& value, const std::string& text) { value = text; }
void assign(sampler::Solver& value, const std::string& name) { value = sampler::solver_from_name(name); }
void assign(sampler::GuidanceKind& value, const std::string& name) {
  value = sampler::guidance_kind_from_name(name);
}
void assign(sampler::DiffusionForm& value, const std::string& name) {
  value = sampler::diffusion_form_from_name(name);
}
void assign(sampler::LastStep& value, const std::string& name) { value = sampler::last_step_from_name(name); }
void assign(Quantization& value, const std::string& name) { value = quantization_from_name(name); }

// Takes `json` into the value, or else says what was expected. Unknown names throw, with the near misses.
template <class Value>
std::string take(const Json& json, const Range& range, Value& value) {
  if constexpr (!is_number<Value>) {
    if (!json.is_string()) return "a text";
    assign(value, json.get<std::string>());
  } else {
    const bool infinity = json.is_null() && range.infinite;
    const bool fits = is_whole<Value> ? json.is_number_integer() : json.is_number() || infinity;
    const double number = infinity ? std::numeric_limits<double>::infinity() : fits ? json.get<double>() : 0;
    if (!fits || !range.holds(number)) return range.text();
    value = static_cast<Value>(number);  // whole ones are far below 2^53
  }
  return "";
}

// What a command line says, as JSON would: a number where it is one.
Json parsed(const std::string& text) {
  const auto as = [&](auto value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? json_of(value) : Json(text);
  };
  const auto whole = as(int64_t{});
  return whole.is_string() ? as(double{}) : whole;
}

Json::json_pointer place_of(const Field& field) {
  auto path = c10::str('/', field.name);
  std::ranges::replace(path, '.', '/');
  return Json::json_pointer(path);
}

}  // namespace

nlohmann::ordered_json settings_json(const dit::ModelConfig& config, const Settings& settings) {
  auto kept = settings;
  drop_idle(config, kept);
  validate(config, kept);
  Json json = Json::object();
  const auto write = [&](const Field& field, const auto& value) {
    if (has_meaning(field, config, kept)) json[place_of(field)] = json_of(value);
  };
  for_each_field(write, kept);
  return json;
}

void read_settings(const nlohmann::ordered_json& json, Settings& settings, const std::string& path,
                   const std::function<bool(const Field&)>& required) {
  if (!json.is_object()) throw std::invalid_argument("settings must be an object");
  std::set<std::string> known;
  const auto read = [&](const Field& field, auto& value) {
    const auto place = place_of(field);
    const auto name = "field \"" + path + field.name + "\"";
    known.insert(place.to_string());
    if (!json.contains(place)) {
      if (required && required(field)) throw std::invalid_argument(name + " is missing");
      return;
    }
    auto expected = take(json.at(place), field.range, value);
    if (expected.empty()) return;
    if (expected.find("..") != std::string::npos)
      expected.insert(0, is_whole<decltype(value)> ? "an integer in " : "a number in ");
    throw std::invalid_argument(name + " must be " + expected + ", got " +
                                json.at(place).dump().substr(0, 80));
  };
  for_each_field(read, settings);
  const auto flat = json.flatten();
  for (const auto& [place, value] : flat.items()) {
    if (known.contains(place)) continue;
    auto name = place.substr(1);
    std::ranges::replace(name, '/', '.');
    throw std::invalid_argument("unknown field " + io::quote(path + name));
  }
}

void apply(const GivenSettings& given, const dit::ModelConfig& config, Settings& settings) {
  const auto for_each_given = [&](const auto& visit) {
    std::string before;
    const auto find = [&](const Field& field, auto& value) {
      const size_t index = before == field.option ? 1 : 0;
      before = field.option;
      const auto texts = given.find(field.option);
      if (texts != given.end() && texts->second.size() > index) visit(field, value, texts->second[index]);
    };
    for_each_field(find, settings);
  };
  const auto refuse = [](const Field& field, const std::string& expected, const std::string& got) {
    throw std::invalid_argument(c10::str(field.option, ": expected ", expected, ", got ", got));
  };
  const auto solver_before = settings.solver.solver;
  for_each_given([&](const Field& field, auto& value, const std::string& text) {
    const auto expected = take(is_number<decltype(value)> ? parsed(text) : Json(text), field.range, value);
    if (!expected.empty()) refuse(field, expected, text);
  });
  // It was the other solver's.
  if (settings.solver.solver != solver_before && !given.contains("--spacing")) settings.grid.spacing.clear();
  for_each_given([&](const Field& field, const auto& value, const std::string& text) {  // the model's ranges
    if constexpr (is_whole<decltype(value)>) {
      const auto range = range_of(field, config);
      if (!range.holds(static_cast<double>(value)) && has_meaning(field, config, settings))
        refuse(field, range.text(), text);
    }
  });
}

std::string text_of(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, std::end(digits), value).ptr};
}
std::string text_of(int64_t value) { return std::to_string(value); }
std::string text_of(int value) { return std::to_string(value); }
std::string text_of(sampler::Solver value) { return std::string(to_string(value)); }
std::string text_of(sampler::GuidanceKind value) { return std::string(to_string(value)); }
std::string text_of(sampler::DiffusionForm value) { return std::string(to_string(value)); }
std::string text_of(sampler::LastStep value) { return std::string(to_string(value)); }
std::string text_of(Quantization value) { return std::string(to_string(value)); }

std::vector<FieldText> texts_of(const dit::ModelConfig& config, const Settings& settings) {
  const Settings usual;
  std::vector<FieldText> texts;
  const auto add = [&](const Field& field, const auto& value, const auto& as_usual) {
    if (!has_meaning(field, config, settings)) return;
    if (texts.empty() || std::string_view(texts.back().field.option) != field.option) {
      texts.push_back({field, text_of(value), value == as_usual});
    } else {
      texts.back().value += " to " + text_of(value);
      texts.back().usual &= value == as_usual;
    }
  };
  for_each_field(add, settings, usual);
  return texts;
}

std::string words_of(const char* option) {
  std::string words(std::string_view(option).substr(2));
  std::ranges::replace(words, '-', ' ');
  return words;
}

std::string sentence_of(const dit::ModelConfig& config, const Settings& settings) {
  const auto problem = problem_of(config, settings);
  const auto steps = problem.steps.size(), evaluations = sampler::evaluation_times(settings.solver, problem).size();
  auto sentence = c10::str(to_string(settings.solver.solver), ", ", steps, steps == 1 ? " step" : " steps");
  if (evaluations != steps) sentence += c10::str(" (", evaluations, " evaluations)");
  for (const auto& [field, value, usual] : texts_of(config, settings)) {
    const std::string_view name = field.name;
    if (name == "solver" || name == "steps" || (usual && name != "guidance.scale")) continue;
    sentence += ", " + words_of(field.option) + " " + value;
  }
  return sentence;
}

}  // namespace switchyard::pipeline
