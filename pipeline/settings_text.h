// Settings as text: JSON in PNGs and model files, options of a command line, lines for people.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dit/config.h"
#include "pipeline/settings.h"

namespace switchyard::pipeline {

/// The fields with meaning, by their names; an infinite number is null. Throws as validate() does: what is
/// written can be read.
nlohmann::ordered_json settings_json(const dit::ModelConfig& config, const Settings& settings);

/// Takes the fields that `json` has into `settings`; the others stay. Throws std::invalid_argument naming the
/// field, as `path` and its name, that is unknown, of a wrong type, out of range, or `required` and missing.
void read_settings(const nlohmann::ordered_json& json, Settings& settings, const std::string& path = "",
                   const std::function<bool(const Field&)>& required = nullptr);

/// Settings as a command line gives them: by option, each with its one or two values.
using GivenSettings = std::map<std::string, std::vector<std::string>>;

/// Takes what is given into `settings`. Throws std::invalid_argument naming the option, as in
/// "--steps: expected 1 .. 10000, got 0", or with near misses for names.
void apply(const GivenSettings& given, const dit::ModelConfig& config, Settings& settings);

/// The shortest text that reads back as the same value.
std::string text_of(double value);
std::string text_of(int64_t value);
std::string text_of(int value);
std::string text_of(sampler::Solver value);
std::string text_of(sampler::GuidanceKind value);
std::string text_of(sampler::DiffusionForm value);
std::string text_of(sampler::LastStep value);
std::string text_of(Quantization value);
inline const std::string& text_of(const std::string& value) { return value; }

/// A field with meaning as people read it; the two of one option are one, named by the first: "0.1 to 0.9".
struct FieldText {
  Field field;
  std::string value;
  bool usual;  // at its default
};
std::vector<FieldText> texts_of(const dit::ModelConfig& config, const Settings& settings);

/// "--guidance-interval" in words: "guidance interval".
std::string words_of(const char* option);

/// "heun, 40 steps (79 evaluations), shift 3, guidance 1.5": solver, the number of steps that there will be, and of
/// the others guidance and what is not at its default. Throws std::invalid_argument where there are no such
/// steps.
std::string sentence_of(const dit::ModelConfig& config, const Settings& settings);

}  // namespace switchyard::pipeline
