// Options of `sample` that were given and change nothing: somebody expects of them what they do not do.
#pragma once

#include <string>
#include <vector>

#include "app/cli/sample_options.h"

namespace switchyard::app {

/// Of the settings' options, a sentence for each that is in `given` and that `chosen` has no use for.
std::vector<std::string> idle_settings(const pipeline::GivenSettings& given, const ChosenSettings& chosen);

/// One sentence per option, for those that `chosen`, which was made of them, has no use for.
std::vector<std::string> idle_options(const SampleOptions& options, const ChosenSettings& chosen);

}  // namespace switchyard::app
