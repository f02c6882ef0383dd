// What bench_gpu writes: one JSON file, and the same as Markdown tables.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>

namespace switchyard::bench {

/// Sections of rows; every row of a section has the same keys, which are its columns. Written anew after each
/// row: what was measured before a crash or a time limit is kept.
class Report {
 public:
  explicit Report(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }

  void add(const std::string& section, const nlohmann::ordered_json& row) {
    data_[section].push_back(row);
    write("gpu.json", data_.dump(2) + "\n");
    write("gpu.md", markdown());
  }

  std::string markdown() const {
    std::ostringstream text;
    for (const auto& [section, rows] : data_.items()) {
      text << "### " << section << "\n\n|";
      for (const auto& [column, value] : rows.front().items()) text << " " << column << " |";
      text << "\n|";
      for (size_t i = 0; i < rows.front().size(); ++i) text << "---|";
      text << "\n";
      for (const auto& row : rows) {
        text << "|";
        for (const auto& [column, value] : row.items()) text << " " << cell(value) << " |";
        text << "\n";
      }
      text << "\n";
    }
    return text.str();
  }

 private:
  static std::string cell(const nlohmann::ordered_json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_number_float()) return value.is_null() ? "-" : value.dump();
    std::ostringstream text;
    text.precision(4);
    text << value.get<double>();
    return text.str();
  }

  void write(const char* name, const std::string& text) const {
    std::ofstream file(folder_ / name);
    file << text;
    if (!file.flush()) throw std::runtime_error((folder_ / name).string() + ": cannot be written");
  }

  std::filesystem::path folder_;
  nlohmann::ordered_json data_;
};

}  // namespace switchyard::bench
