// Options of `sample` that were given and change nothing: somebody expects of them what they do not do.
#pragma once

#include <string>
#include <vector>

#include "app/cli/sample_options.h"

namespace switchyard::app {

/// One sentence per option, for those that `settings`, which were made of them, have no use for.
std::vector<std::string> idle_options(const SampleOptions& options, const pipeline::Settings& settings);

}  // namespace switchyard::app
