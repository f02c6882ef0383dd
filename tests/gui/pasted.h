// What another program gets from the clipboard, as X11 has it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace switchyard::gui {

/// The clipboard in the form `target`, "image/png"; nothing where its owner does not offer that. Waits for an owner.
std::optional<std::string> pasted(const char* target);

/// The forms that its owner offers.
std::vector<std::string> pasted_targets();

}  // namespace switchyard::gui
