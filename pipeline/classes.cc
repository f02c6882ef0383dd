#include "pipeline/classes.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "io/near_misses.h"
#include "io/text.h"

namespace switchyard::pipeline {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// "golden retriever, goldie" -> "golden retriever", "goldie": names of one class, as ImageNet's synsets have them.
std::vector<std::string> synonyms(const std::string& name) {
  std::vector<std::string> all;
  for (size_t first = 0; first <= name.size();) {
    const auto end = std::min(name.find(',', first), name.size());
    auto part = name.substr(first, end - first);
    part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
    part.erase(part.find_last_not_of(' ') + 1);
    if (!part.empty()) all.push_back(std::move(part));
    first = end + 1;
  }
  return all;
}

int64_t find_class(const dit::ModelConfig& config, const std::string& given) {
  const std::vector<std::string_view> known(config.class_names.begin(), config.class_names.end());
  const std::string wanted = lower(given);
  std::vector<int64_t> exact, beginnings;  // by a synonym
  for (size_t i = 0; i < known.size(); ++i) {
    const std::string name = lower(std::string(known[i]));
    if (name == wanted) return static_cast<int64_t>(i);
    bool equal = false, begins = !wanted.empty() && name.starts_with(wanted);
    for (const auto& synonym : synonyms(name)) {
      equal = equal || synonym == wanted;
      begins = begins || (!wanted.empty() && synonym.starts_with(wanted));
    }
    if (equal) exact.push_back(static_cast<int64_t>(i));
    if (begins) beginnings.push_back(static_cast<int64_t>(i));
  }
  if (exact.size() == 1) return exact.front();
  if (const auto index = io::whole_number(given)) {
    if (*index >= 0 && *index < config.num_classes) return *index;
    throw std::invalid_argument("class " + given + ": expected an index in 0 .. " +
                                std::to_string(config.num_classes - 1));
  }
  if (beginnings.size() == 1) return beginnings.front();
  const std::string hint = known.empty() ? "the model names no classes: expected an index in 0 .. " +
                                               std::to_string(config.num_classes - 1)
                                         : io::near_misses(given, known);
  throw std::invalid_argument((beginnings.empty() ? "unknown class \"" : "ambiguous class \"") + given +
                              "\": " + hint);
}

std::string usable(const std::string& name) {
  const auto names = synonyms(name);
  std::string text = names.empty() ? name : names.front();
  for (char& c : text) {
    const bool keep = ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') || c == '_';
    if (!keep) c = '-';
  }
  return text.size() <= 100 && text.find_first_not_of('-') != std::string::npos ? text : "";
}

}  // namespace

std::vector<int64_t> find_classes(const dit::ModelConfig& config, const std::vector<std::string>& names) {
  std::vector<int64_t> labels;
  const auto add = [&](int64_t label) {
    if (std::ranges::find(labels, label) == labels.end()) labels.push_back(label);
  };
  std::vector<int64_t> all(static_cast<size_t>(config.num_classes));
  std::iota(all.begin(), all.end(), 0);
  bool every = names.empty();
  for (const auto& name : names) {
    if (lower(name) == "all")
      every = true;
    else
      add(find_class(config, name));
  }
  return every ? all : labels;
}

std::string class_file_name(const dit::ModelConfig& config, int64_t label) {
  const auto index = static_cast<size_t>(label);
  const auto& names = config.class_names;
  const std::string text = index < names.size() ? usable(names[index]) : "";
  // Two classes must not share a file.
  const bool unique =
      std::ranges::count_if(names, [&](const auto& other) { return usable(other) == text; }) == 1;
  return !text.empty() && unique ? text : "class-" + std::to_string(label);
}

std::string image_file_name(const dit::ModelConfig& config, int64_t label, uint64_t seed) {
  const auto digits = std::to_string(seed);
  return class_file_name(config, label) + "-" + std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') +
         digits + ".png";
}

}  // namespace switchyard::pipeline
