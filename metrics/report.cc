#include "metrics/report.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace switchyard::metrics {
namespace {

constexpr double kInterval = 1.96;  // standard errors to either side: 95 %

std::string number(int64_t n) { return n > 0 ? thousands(n) : "?"; }

std::string interval(const Measurement& measured) {
  if (!measured.error) return "";
  return digits(measured.value - kInterval * *measured.error) + " .. " +
         digits(measured.value + kInterval * *measured.error);
}

std::string optional(const std::optional<double>& value) { return value ? digits(*value) : ""; }

size_t width_of(const std::string& text) {  // characters, not bytes
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

template <size_t Columns>
std::string aligned(const std::vector<std::array<std::string, Columns>>& lines) {
  std::array<size_t, Columns> widths{};
  for (const auto& line : lines)
    for (size_t i = 0; i < Columns; ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < Columns; ++i) {
      const std::string padding(widths[i] - width_of(line[i]), ' ');
      const bool left = i == 0 || i + 1 == Columns;
      if (i > 0) row += "  ";
      row += left ? line[i] + padding : padding + line[i];
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

std::string network_of(const NetworkFacts& network) {
  return c10::str(network.name, " (", network.file, ", SHA-256 ", network.hash.substr(0, 12), "), ",
                  network.dimension, " features");
}

nlohmann::json finite(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

nlohmann::json finite(const std::optional<double>& value) {
  return value ? finite(*value) : nlohmann::json();
}

}  // namespace

std::string thousands(int64_t n) {
  std::string text = std::to_string(n);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

std::string digits(double value) {
  const double size = std::abs(value);
  const int places = size >= 1000 ? 1 : size >= 100 ? 2 : size >= 10 ? 2 : size >= 1e-3 || size == 0 ? 4 : 7;
  char text[64];
  std::snprintf(text, sizeof text, size < 1e7 ? "%.*f" : "%.*g", places, value);
  return text;
}

std::string text_of(const Comparison& comparison) {
  const auto& network = comparison.network;
  std::string text =
      c10::str("images     ", comparison.images, ", ", number(comparison.count),                 //
               "\nreference  ", comparison.reference, ", ", number(comparison.reference_count),  //
               "\nnetwork    ", network_of(network),                                             //
               "\nresize     to ", network.side, ", ", network.resize,                           //
               "\nrange      ", network.range, "\n\n");
  std::vector<std::array<std::string, 9>> lines = {{"metric", "value", "95 % interval", "real/real", "ratio",
                                                    "images", "reference", "halves of", "settings"}};
  for (const auto& m : comparison.measurements) {
    lines.push_back({m.name, digits(m.value), interval(m), optional(m.floor), optional(m.ratio),
                     number(m.count), m.key == "inception-score" ? "" : number(m.reference_count),
                     m.floor ? thousands(m.floor_count) : "", m.settings});
  }
  text += aligned(lines);
  for (const auto& warning : comparison.warnings) text += c10::str("\nwarning: ", warning);
  if (!comparison.bad.empty())
    text += c10::str("\n", comparison.bad.size(), " images could not be read and are left out");
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

nlohmann::json json_of(const Comparison& comparison) {
  const auto& network = comparison.network;
  auto numbers = nlohmann::json::array();
  for (const auto& m : comparison.measurements) {
    numbers.push_back({{"metric", m.key},
                       {"name", m.name},
                       {"value", finite(m.value)},
                       {"standard_error", finite(m.error)},
                       {"error_from", m.error_of},
                       {"real_against_real", finite(m.floor)},
                       {"real_against_real_count", m.floor_count},
                       {"ratio", finite(m.ratio)},
                       {"images", m.count},
                       {"reference_images", m.reference_count},
                       {"settings", m.settings},
                       {"network", network.name},
                       {"resize", network.resize},
                       {"range", network.range}});
  }
  return {{"images", {{"name", comparison.images}, {"count", comparison.count}}},
          {"reference", {{"name", comparison.reference}, {"count", comparison.reference_count}}},
          {"network",
           {{"name", network.name},
            {"file", network.file},
            {"sha256", network.hash},
            {"features", network.dimension},
            {"side", network.side},
            {"resize", network.resize},
            {"range", network.range}}},
          {"numbers", std::move(numbers)},
          {"bad_images", comparison.bad},
          {"warnings", comparison.warnings}};
}

std::string markdown_of(std::span<const Row> rows, const std::string& corner) {
  if (rows.empty()) return "";
  const auto& first = rows.front().comparison;
  std::string head = c10::str("| ", corner, " |"), rule = "|---|", floors = "| real against real |", lines;
  bool floor = false;
  for (const auto& m : first.measurements) {
    head += c10::str(" ", m.name, " |");
    rule += "---|";
    floors += c10::str(" ", optional(m.floor), " |");
    floor = floor || m.floor.has_value();
  }
  for (const auto& row : rows) {
    lines += c10::str("| ", row.label, " |");
    for (const auto& column : first.measurements) {
      const auto m = std::ranges::find(row.comparison.measurements, column.key, &Measurement::key);
      if (m == row.comparison.measurements.end())
        lines += " |";
      else
        lines += c10::str(" ", digits(m->value),
                          m->error ? c10::str(" ± ", digits(kInterval * *m->error)) : "", " |");
    }
    lines += "\n";
  }
  if (floor) lines += floors + "\n";
  return c10::str(head, "\n", rule, "\n", lines, "\n", number(first.count), " images each against ",
                  number(first.reference_count), " of ", first.reference, "; ", network_of(first.network),
                  "; resized to ", first.network.side, ", ", first.network.resize, "; ", first.network.range,
                  ". ± is 1.96 standard errors.\n");
}

nlohmann::json json_of(std::span<const Row> rows) {
  auto all = nlohmann::json::array();
  for (const auto& row : rows) {
    auto entry = json_of(row.comparison);
    entry["label"] = row.label;
    all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace switchyard::metrics
