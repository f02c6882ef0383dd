// Why something failed, in plain words.
#pragma once

#include <string>

namespace switchyard::studio {

/// Of the exception that is being handled; to be called in a catch block alone.
std::string reason();

}  // namespace switchyard::studio
