// What to tell someone who mistyped a name: the known names nearest to it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace switchyard::io {

/// Edit distance that counts an insertion, a deletion, a substitution or a swap of two neighbours as one
/// (optimal string alignment), ASCII letters compared without case. O(|a| |b|) time.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The tail of an error message, such as `did you mean "heun"? known: euler, heun, midpoint`.
/// At most three suggestions, nearest first: names within a third of their length (at least one edit), and
/// names that begin with what was given. The known names are listed while there are at most twenty, else
/// counted.
std::string near_misses(std::string_view given, std::span<const std::string_view> known);

/// Where `name` stands among `known`. Throws std::invalid_argument: `unknown WHAT "NAME"; ` and the near misses.
std::size_t place_of_name(std::string_view what, std::string_view name,
                          std::span<const std::string_view> known);

}  // namespace switchyard::io
