#include "io/near_misses.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "io/text.h"

namespace switchyard::io {
namespace {

constexpr std::size_t kMaxSuggestions = 3;
constexpr std::size_t kMaxListed = 20;

char lower(char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool begins_with(std::string_view name, std::string_view prefix) {
  return !prefix.empty() && name.size() >= prefix.size() &&
         edit_distance(name.substr(0, prefix.size()), prefix) == 0;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);  // rows i-2, i-1, i
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      const bool swapped =
          i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string near_misses(std::string_view given, std::span<const std::string_view> known) {
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const std::string_view name : known) {
    const std::size_t distance = edit_distance(given, name);
    if (distance <= std::max<std::size_t>(1, name.size() / 3)) {
      near.emplace_back(distance, name);
    } else if (begins_with(name, given)) {
      near.emplace_back(1, name);
    }
  }
  std::ranges::stable_sort(near, {}, [](const auto& candidate) { return candidate.first; });
  near.resize(std::min(near.size(), kMaxSuggestions));

  std::string text;
  for (const auto& [distance, name] : near) {
    text += text.empty() ? "did you mean \"" : " or \"";
    text.append(name).append("\"");
  }
  if (!near.empty()) text += "? ";
  if (known.size() > kMaxListed) return text + std::to_string(known.size()) + " names are known";
  text += "known:";
  for (std::size_t i = 0; i < known.size(); ++i) text.append(i == 0 ? " " : ", ").append(known[i]);
  return text;
}

std::size_t place_of_name(std::string_view what, std::string_view name,
                          std::span<const std::string_view> known) {
  const auto found = std::ranges::find(known, name);
  if (found != known.end()) return static_cast<std::size_t>(found - known.begin());
  throw std::invalid_argument("unknown " + std::string(what) + " " + quote(name) + "; " +
                              near_misses(name, known));
}

}  // namespace switchyard::io
