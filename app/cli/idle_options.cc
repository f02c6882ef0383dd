#include "app/cli/idle_options.h"

namespace switchyard::app {

std::vector<std::string> idle_options(const SampleOptions& options, const ChosenSettings& chosen) {
  std::vector<std::string> idle;
  const auto note = [&](bool given, const std::string& option, const std::string& why) {
    const auto sentence = option + " changes nothing: " + why;
    if (given && (idle.empty() || idle.back() != sentence)) idle.push_back(sentence);
  };
  for (const auto& [field, why] : chosen.dropped)  // two of them may be one option's
    note(options.settings.contains(field.option), field.option, why);
  note(options.quality && !options.from.empty(), "--quality", "the settings are those of --from");
  if (options.grid.empty()) {
    note(options.columns.has_value(), "--columns", "it is for --grid");
    note(options.zoom != 1, "--zoom", "it is for --grid");
  }
  return idle;
}

}  // namespace switchyard::app
