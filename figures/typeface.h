// The typeface of everything that this program writes on a screen or into a picture: Inter (SIL Open Font License), part
// of the program.
#pragma once

#include <cstddef>
#include <span>

namespace switchyard::figures {

enum class Weight { regular, semibold };

/// The bytes of its OpenType file.
std::span<const std::byte> typeface(Weight weight);

}  // namespace switchyard::figures
