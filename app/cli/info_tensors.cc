#include "app/cli/info_tensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/cli/interrupt.h"
#include "app/cli/names.h"
#include "io/tensor_list.h"
#include "io/tensor_problems.h"
#include "io/text.h"

namespace switchyard::app {
namespace {

using Row = std::array<std::string, 6>;

std::string number_text(double value) {
  if (!std::isfinite(value)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// Names and dtypes begin where their column does, numbers end there.
void print_row(const Row& row, const std::array<size_t, 6>& widths) {
  std::string line;
  for (size_t column = 0; column < row.size(); ++column) {
    const std::string space(widths[column] - row[column].size(), ' ');
    line += (column < 3 ? row[column] + space : space + row[column]) + "  ";
  }
  line.erase(line.find_last_not_of(' ') + 1);
  std::cout << line << '\n';
}

}  // namespace

void print_tensors(const std::filesystem::path& file, bool json) {
  const auto tensors = io::all_tensors(file);
  auto list = nlohmann::json::array();
  std::vector<Row> rows = {{"name", "dtype", "shape", "mean", "deviation", "not finite"}};
  int64_t numbers = 0, bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    stop_if_interrupted();
    const auto facts = io::facts_of(tensor);
    numbers += tensor.numel();
    bytes += static_cast<int64_t>(tensor.nbytes());
    const auto dtype = dtype_name(tensor.scalar_type());
    if (json) {
      list.push_back({{"name", name}, {"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"mean", facts.mean},
                      {"deviation", facts.deviation}, {"nan", facts.nan}, {"infinite", facts.infinite}});
    } else {
      const auto bad = facts.nan + facts.infinite;
      rows.push_back({io::printable(name, true), dtype, io::shape_text(tensor.sizes()), number_text(facts.mean),
                      number_text(facts.deviation), bad > 0 ? std::to_string(bad) : ""});
    }
  }
  if (json) {
    std::cout << list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return;
  }
  std::array<size_t, 6> widths{};
  for (const auto& row : rows)
    for (size_t column = 0; column < row.size(); ++column) widths[column] = std::max(widths[column], row[column].size());
  for (const auto& row : rows) print_row(row, widths);
  std::cout << tensors.size() << " tensors, " << numbers << " numbers, " << bytes << " bytes\n";
}

}  // namespace switchyard::app
