// Options of `sample` that were given and change nothing: somebody expects of them what they do not do.
#pragma once

#include <string>
#include <vector>

#include "app/cli/sample_options.h"

namespace switchyard::app {

/// One sentence per option, for those that `chosen`, which was made of them, has no use for.
std::vector<std::string> idle_options(const SampleOptions& options, const ChosenSettings& chosen);

}  // namespace switchyard::app
