// Lists of images to draw, as people write them in a table.
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

#include "io/error.h"
#include "io/json.h"
#include "io/near_misses.h"
#include "io/text.h"
#include "pipeline/classes.h"
#include "pipeline/image_plan.h"
#include "pipeline/settings_text.h"
#include "sampler/noise.h"

namespace switchyard::pipeline {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Row = std::vector<std::pair<std::string, std::string>>;  // column and value, both as text

// The cells of a line of CSV (RFC 4180, a line per record): quotes keep commas, doubled ones stand for themselves.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  if (quoted) throw std::invalid_argument("a quote is not closed");
  for (auto& cell : cells) {
    cell.erase(0, cell.find_first_not_of(" \t"));
    cell.erase(cell.find_last_not_of(" \t\r") + 1);
  }
  return cells;
}

std::string text_of_json(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array() || (!value.empty() && value.front().is_object())) return value.dump();
  std::string text;  // the two ends of an interval
  for (const auto& part : value) text.append(text.empty() ? "" : " ").append(part.dump());
  return text;
}

Row row_of_json(const std::string& line, const std::string& where) {
  const auto json = io::parse_json(line, where);
  if (!json.is_object()) throw std::invalid_argument("expected a JSON object");
  Row row;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_null()) row.emplace_back(name, text_of_json(value));
  }
  return row;
}

class List {
 public:
  List(const fs::path& file, const dit::ModelConfig& config, const Variant& usual)
      : file_(file), config_(config), usual_(usual) {
    plan_.variants.push_back(usual);
    for_each_field([&](const Field& field, const auto&) { options_.insert(field.option + 2); },
                   usual.settings);
  }

  ImagePlan read() {
    std::ifstream stream(file_);
    if (!stream) throw io::InputError(file_.string() + ": cannot be read");
    const bool json = file_.extension() == ".jsonl" || file_.extension() == ".ndjson";
    std::vector<std::string> columns;
    std::string text;
    for (line_ = 1; std::getline(stream, text); ++line_) {
      if (text.find_first_not_of(" \t\r,") == std::string::npos) continue;
      try {
        if (json) {
          add(row_of_json(text, where()));
        } else if (columns.empty()) {
          columns = cells_of(text);
        } else {
          add(row_of_cells(columns, cells_of(text)));
        }
      } catch (const std::invalid_argument& error) {
        throw io::InputError(where() + ": " + error.what());
      }
    }
    if (stream.bad()) throw io::InputError(file_.string() + ": cannot be read to its end");
    if (plan_.images.empty()) throw io::InputError(file_.string() + ": lists no image");
    plan_.choice = {{"list", file_.filename().string()}};
    return std::move(plan_);
  }

 private:
  std::string where() const { return c10::str(file_.string(), ", line ", line_); }

  static Row row_of_cells(const std::vector<std::string>& columns, const std::vector<std::string>& cells) {
    if (cells.size() != columns.size())
      throw std::invalid_argument(c10::str("expected ", columns.size(), " cells, got ", cells.size()));
    Row row;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (!cells[i].empty()) row.emplace_back(columns[i], cells[i]);
    }
    return row;
  }

  void add(const Row& row) {
    std::optional<int64_t> label;
    std::optional<uint64_t> seed;
    std::string name;
    GivenSettings given;
    Variant variant = usual_;
    for (const auto& [column, value] : row) {
      if (column == "class") {
        const auto labels = find_classes(config_, {value});
        if (labels.size() != 1)
          throw std::invalid_argument("class: expected one class, got \"" + value + "\"");
        label = labels.front();
      } else if (column == "seed") {
        seed = seed_of(value);
      } else if (column == "name") {
        name = value;
      } else if (column == "recipe") {
        variant.recipe = recipe_of(value);
      } else if (options_.contains(column)) {
        std::istringstream values(value);
        auto& texts = given["--" + column];
        for (std::string part; values >> part;) texts.push_back(part);
      } else {
        const std::vector<std::string> own = {"class", "seed", "name", "recipe"};
        std::vector<std::string_view> known(own.begin(), own.end());
        known.insert(known.end(), options_.begin(), options_.end());
        io::place_of_name("column", column, known);  // throws: it is none of them
      }
    }
    if (!label || !seed) throw std::invalid_argument(std::string("has no ") + (label ? "seed" : "class"));
    apply(given, config_, variant.settings);
    drop_idle(config_, variant.settings);
    validate(config_, variant.settings);
    take({*label, *seed}, name.empty() ? image_file_name(config_, *label, *seed) : name + ".png", variant);
  }

  void take(const Image& image, const std::string& name, const Variant& variant) {
    if (name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos || name.starts_with("."))
      throw std::invalid_argument("name: expected that of a file, got \"" + name + "\"");
    const auto [before, is_new] = line_of_.emplace(name, line_);
    if (!is_new) {
      throw std::invalid_argument(c10::str("line ", before->second, " has an image of that name too, ", name,
                                           ": give one of them another by a column \"name\""));
    }
    const auto same = std::ranges::find_if(plan_.variants, [&](const Variant& known) {
      return known.settings == variant.settings && known.recipe == variant.recipe;
    });
    plan_.variant_of.push_back(static_cast<uint32_t>(same - plan_.variants.begin()));
    if (same == plan_.variants.end()) plan_.variants.push_back(variant);
    plan_.images.push_back(image);
    plan_.names.push_back(name);
  }

  static uint64_t seed_of(const std::string& text) {
    const auto seed = io::whole_number(text).value_or(-1);
    if (seed < 0 || seed > static_cast<int64_t>(sampler::kMaxSeed))
      throw std::invalid_argument(c10::str("seed: expected 0 .. ", sampler::kMaxSeed, ", got ", text));
    return static_cast<uint64_t>(seed);
  }

  RoutingRecipe recipe_of(const std::string& text) const {
    const auto folder = file_.parent_path();
    const auto recipe = text.starts_with("[")
                            ? recipe_from_json(io::parse_json(text, where()), config_, where(), folder)
                            : read_recipe(folder / text, config_);
    for (const auto& edit : recipe) {
      if (!edit.images.empty())
        throw std::invalid_argument("recipe: a line of a list is one image; leave out \"images\"");
    }
    return recipe;
  }

  fs::path file_;
  const dit::ModelConfig& config_;
  const Variant& usual_;
  std::set<std::string, std::less<>> options_;  // "guidance", ...
  std::unordered_map<std::string, int64_t> line_of_;
  int64_t line_ = 0;
  ImagePlan plan_;
};

}  // namespace

ImagePlan read_image_list(const fs::path& file, const dit::ModelConfig& config, const Variant& usual) {
  return List(file, config, usual).read();
}

}  // namespace switchyard::pipeline
