#include "app/cli/idle_options.h"

namespace switchyard::app {
namespace {

std::string sentence(const std::string& option, const std::string& why) {
  return option + " changes nothing: " + why;
}

}  // namespace

std::vector<std::string> idle_settings(const pipeline::GivenSettings& given, const ChosenSettings& chosen) {
  std::vector<std::string> idle;
  for (const auto& [field, why] : chosen.dropped) {  // two of them may be one option's
    auto said = sentence(field.option, why);
    if (given.contains(field.option) && (idle.empty() || idle.back() != said))
      idle.push_back(std::move(said));
  }
  return idle;
}

std::vector<std::string> idle_options(const SampleOptions& options, const ChosenSettings& chosen) {
  auto idle = idle_settings(options.settings, chosen);
  const auto note = [&](bool given, const char* option, const char* why) {
    if (given) idle.push_back(sentence(option, why));
  };
  note(options.quality && !options.from.empty(), "--quality", "the settings are those of --from");
  if (options.grid.empty()) {
    note(options.columns.has_value(), "--columns", "it is for --grid");
    note(options.zoom != 1, "--zoom", "it is for --grid");
  }
  return idle;
}

}  // namespace switchyard::app
