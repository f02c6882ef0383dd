// The options that say how images are drawn, one or two values of pipeline::Settings each.
#pragma once

#include <CLI/CLI.hpp>

#include "pipeline/settings_text.h"

namespace switchyard::app {

/// Adds all of them, in a group of the help with this title; `given` takes what is given and has to outlive
/// the parsing.
void add_settings_options(CLI::App& command, pipeline::GivenSettings& given, const char* title);

}  // namespace switchyard::app
