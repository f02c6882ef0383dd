// Comparisons as text, JSON and Markdown.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "metrics/comparison.h"

namespace switchyard::metrics {

/// A head that says what was compared, by which network and with which resize and value range, then a line per number with
/// its 95 % interval, floor, ratio, both counts and settings. No newline at the end.
std::string text_of(const Comparison& comparison);

/// The same for programs: network, resize, range and counts are repeated in every number. Numbers that are not finite are
/// null.
nlohmann::json json_of(const Comparison& comparison);

/// One of several comparisons by the same network that belong together: what each expert is worth, what each setting gives.
struct Row {
  std::string label;  // "expert 3 muted"
  Comparison comparison;
};

/// A Markdown table with a line per row and a column per metric, each as "value ± 1.96 error"; below it network, resize,
/// range, counts and floors, as the first row has them. `corner` is the head of the labels' column.
std::string markdown_of(std::span<const Row> rows, const std::string& corner);

nlohmann::json json_of(std::span<const Row> rows);

/// "12,345".
std::string thousands(int64_t n);

/// A number with about four significant digits, without an exponent where it can be had.
std::string digits(double value);

}  // namespace switchyard::metrics
