// Routing recipes from JSON and back.
#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/json.h"
#include "io/png.h"
#include "pipeline/recipe.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 3> kActions = {"mute", "scale", "force"};
constexpr std::array<const char*, 3> kHalves = {"conditional", "unconditional", "both"};
constexpr std::array<const char*, 2> kRouters = {"tokens", "timesteps"};

int64_t grid_side(const dit::ModelConfig& config) { return config.input_size / config.patch_size; }

// Reads the fields of one edit and says which one is wrong.
class EditReader {
 public:
  EditReader(const Json& json, size_t index, const dit::ModelConfig& config, const std::string& source,
             const std::filesystem::path& folder)
      : json_(json), index_(index), config_(config), source_(source), folder_(folder) {}

  RoutingEdit read() {
    if (!json_.is_object()) fail("", "expected an object, got " + shown(json_));
    for (const auto& [key, value] : json_.items()) {
      static constexpr std::array kKnown = {"layers", "t",      "experts", "action", "factor",
                                            "half",   "region", "images",  "router"};
      if (std::ranges::find(kKnown, key) == kKnown.end()) fail(key, "is not a field of an edit");
    }
    RoutingEdit edit;
    edit.router = config_.routes_tokens() ? Router::tokens : Router::timesteps;
    choose("router", kRouters, edit.router);
    const bool of_tokens = edit.router == Router::tokens;
    if (!(of_tokens ? config_.routes_tokens() : config_.routes_timesteps())) {
      fail("router", std::string("the model routes no ") + (of_tokens ? "tokens" : "timesteps"));
    }
    edit.layers = integers("layers", config_.depth - 1);
    if (!json_.contains("action")) fail("action", "is missing: \"mute\", \"scale\" or \"force\"");
    choose("action", kActions, edit.action);
    choose("half", kHalves, edit.half);
    read_experts(edit);
    read_times(edit);
    const bool scales = edit.action == RoutingEdit::Action::scale;
    if (json_.contains("factor") != scales) {
      fail("factor", scales ? "is missing: what the gate weight is multiplied by" : "is for the action \"scale\"");
    }
    if (scales) edit.factor = number(json_["factor"], "factor", 0, 1e6);
    edit.images = integers("images", INT64_MAX);
    if (json_.contains("region")) {
      if (!of_tokens) fail("region", "is for routers that take tokens");
      edit.region = region(json_["region"]);
    }
    return edit;
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& what) const {
    throw io::InputError(c10::str(source_, ": recipe edit ", index_, ": ",
                                  field.empty() ? "" : "field \"" + field + "\" ", what));
  }
  static std::string shown(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80);
  }

  template <size_t kCount, class Enum>
  void choose(const char* field, const std::array<const char*, kCount>& names, Enum& value) const {
    if (!json_.contains(field)) return;
    for (size_t i = 0; i < kCount; ++i) {
      if (json_[field] == names[i]) {
        value = static_cast<Enum>(i);
        return;
      }
    }
    std::string known;
    for (const char* name : names) known += (known.empty() ? "\"" : "\", \"") + std::string(name);
    fail(field, "must be one of " + known + "\", got " + shown(json_[field]));
  }

  int64_t integer(const Json& value, const std::string& field, int64_t most) const {
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                                 : value.is_number_integer();
    if (!fits || value.get<int64_t>() < 0 || value.get<int64_t>() > most) {
      fail(field, most == INT64_MAX ? "must hold whole numbers from 0, got " + shown(value)
                                    : c10::str("must hold whole numbers in 0 .. ", most, ", got ", shown(value)));
    }
    return value.get<int64_t>();
  }

  double number(const Json& value, const std::string& field, double least, double most) const {
    if (!value.is_number() || !(value.get<double>() >= least && value.get<double>() <= most))
      fail(field, c10::str("must be a number in ", least, " .. ", most, ", got ", shown(value)));
    return value.get<double>();
  }

  // Sorted, each once; empty where the field is left out.
  std::vector<int64_t> integers(const char* field, int64_t most) const {
    std::vector<int64_t> values;
    if (!json_.contains(field)) return values;
    const auto& list = json_[field];
    if (!list.is_array() || list.empty()) fail(field, "must be a list of whole numbers, got " + shown(list));
    for (const auto& value : list) values.push_back(integer(value, field, most));
    std::ranges::sort(values);
    values.erase(std::ranges::unique(values).begin(), values.end());
    return values;
  }

  // Every layer that the edit speaks of has to have them.
  void read_experts(RoutingEdit& edit) const {
    if (!json_.contains("experts")) fail("experts", "is missing: a list of experts");
    edit.experts = integers("experts", INT64_MAX);
    for (int64_t layer = 0; layer < config_.depth; ++layer) {
      if (!edit.layers.empty() && !std::ranges::binary_search(edit.layers, layer)) continue;
      const int64_t there = edit.router == Router::tokens ? config_.experts_of(layer) : config_.timestep_experts;
      if (edit.experts.back() >= there) {
        fail("experts", c10::str("must be in 0 .. ", there - 1, ", layer ", layer, " has ", there, ", got ",
                                 edit.experts.back()));
      }
    }
  }

  void read_times(RoutingEdit& edit) const {
    if (!json_.contains("t")) return;
    const auto& range = json_["t"];
    if (!range.is_array() || range.size() != 2) fail("t", "must be [low, high], got " + shown(range));
    edit.t_low = number(range[0], "t", 0, 1);
    edit.t_high = number(range[1], "t", 0, 1);
    if (edit.t_low > edit.t_high) fail("t", "must be [low, high], got " + shown(range));
  }

  std::vector<bool> region(const Json& json) const {
    if (!json.is_object() || json.size() != 1)
      fail("region", "must hold one of \"rectangle\", \"mask\" or \"patches\", got " + shown(json));
    if (json.contains("rectangle")) return rectangle(json["rectangle"]);
    if (json.contains("patches")) return patches(json["patches"]);
    if (json.contains("mask")) return mask(json["mask"]);
    fail("region", "must hold one of \"rectangle\", \"mask\" or \"patches\", got " + shown(json));
  }

  std::vector<bool> rectangle(const Json& json) const {
    const int64_t side = grid_side(config_);
    if (!json.is_array() || json.size() != 4) fail("region", "rectangle must be [x, y, width, height], got " + shown(json));
    int64_t numbers[4];
    for (size_t i = 0; i < 4; ++i) numbers[i] = integer(json[i], "region", side);
    const auto [x, y, width, height] = numbers;
    if (width < 1 || height < 1 || x + width > side || y + height > side) {
      fail("region", c10::str("rectangle ", shown(json), " does not lie within the ", side, " x ", side, " patches"));
    }
    std::vector<bool> inside(static_cast<size_t>(side * side));
    for (int64_t row = y; row < y + height; ++row)
      std::fill_n(inside.begin() + row * side + x, width, true);
    return inside;
  }

  std::vector<bool> patches(const Json& json) const {
    const auto side = static_cast<size_t>(grid_side(config_));
    const auto wrong = [&] { fail("region", c10::str("patches must be ", side, " texts of ", side, " 0 or 1")); };
    if (!json.is_array() || json.size() != side) wrong();
    std::vector<bool> inside;
    for (const auto& row : json) {
      if (!row.is_string() || row.get_ref<const std::string&>().size() != side) wrong();
      for (const char c : row.get_ref<const std::string&>()) {
        if (c != '0' && c != '1') wrong();
        inside.push_back(c == '1');
      }
    }
    return not_empty(inside);
  }

  std::vector<bool> mask(const Json& json) const {
    if (!json.is_string()) fail("region", "mask must be the name of a PNG file, got " + shown(json));
    const auto file = folder_ / json.get<std::string>();
    const auto pixels = io::read_png(file).pixels;  // [H, W, C]
    const int64_t side = grid_side(config_), height = pixels.size(0), width = pixels.size(1);
    if (height != width || height % side != 0) {
      fail("region", c10::str("mask ", file.string(), " has ", width, " x ", height,
                              " pixels, expected a square of a multiple of ", side));
    }
    const auto share = pixels.narrow(2, 0, std::min<int64_t>(3, pixels.size(2)))
                           .to(at::kFloat)
                           .mean(2)
                           .view({side, height / side, side, width / side})
                           .mean(at::IntArrayRef{1, 3})
                           .flatten();
    std::vector<bool> inside;
    for (int64_t t = 0; t < share.numel(); ++t) inside.push_back(share[t].item<float>() >= 127.5f);
    return not_empty(inside);
  }

  std::vector<bool> not_empty(std::vector<bool> inside) const {
    if (std::ranges::find(inside, true) == inside.end()) fail("region", "holds no patch");
    return inside;
  }

  const Json& json_;
  size_t index_;
  const dit::ModelConfig& config_;
  const std::string& source_;
  const std::filesystem::path& folder_;
};

}  // namespace

RoutingRecipe recipe_from_json(const Json& json, const dit::ModelConfig& config, const std::string& source,
                               const std::filesystem::path& folder) {
  if (!json.is_array()) throw io::InputError(source + ": a recipe is a list of edits: expected a JSON array");
  if (!json.empty() && !config.routes_tokens() && !config.routes_timesteps())
    throw io::InputError(source + ": a model of the family " + config.family + " routes nothing to experts");
  RoutingRecipe recipe;
  for (size_t i = 0; i < json.size(); ++i) recipe.push_back(EditReader(json[i], i, config, source, folder).read());
  return recipe;
}

RoutingRecipe read_recipe(const std::filesystem::path& file, const dit::ModelConfig& config) {
  return recipe_from_json(Json(io::read_json(file)), config, file.string(), file.parent_path());
}

Json to_json(const RoutingRecipe& recipe, const dit::ModelConfig& config) {
  auto list = Json::array();
  const auto side = static_cast<size_t>(grid_side(config));
  for (const auto& edit : recipe) {
    Json json;
    if (!edit.layers.empty()) json["layers"] = edit.layers;
    json["t"] = {edit.t_low, edit.t_high};
    json["experts"] = edit.experts;
    json["action"] = kActions[static_cast<size_t>(edit.action)];
    if (edit.action == RoutingEdit::Action::scale) json["factor"] = edit.factor;
    json["half"] = kHalves[static_cast<size_t>(edit.half)];
    if (!edit.region.empty()) {
      auto rows = Json::array();
      for (size_t y = 0; y < side; ++y) {
        std::string row;
        for (size_t x = 0; x < side; ++x) row += edit.region[y * side + x] ? '1' : '0';
        rows.push_back(row);
      }
      json["region"] = {{"patches", rows}};
    }
    if (!edit.images.empty()) json["images"] = edit.images;
    json["router"] = kRouters[static_cast<size_t>(edit.router)];
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace switchyard::pipeline
