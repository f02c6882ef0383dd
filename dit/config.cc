#include "dit/config.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

#include "dit/parts.h"
#include "dit/token_router.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

bool one_of(std::string_view value, std::initializer_list<std::string_view> known) {
  return std::ranges::find(known, value) != known.end();
}

// "a", "b" or "c"
std::string quoted(std::initializer_list<std::string_view> names) {
  std::string text;
  for (const auto name : names) {
    if (!text.empty()) text += name == *(names.end() - 1) ? " or " : ", ";
    text += '"' + std::string(name) + '"';
  }
  return text;
}

void require_one_of(const char* field, const std::string& value,
                    std::initializer_list<std::string_view> known) {
  require(one_of(value, known), std::string(field) + " must be " + quoted(known) + ", got \"" + value + "\"");
}

template <class Kind>
const Kind& known_part(const char* field, std::span<const Kind> kinds, const std::string& name) {
  const auto* kind = find_part(kinds, name);
  if (kind != nullptr) return *kind;
  std::string known;
  for (const auto& each : kinds) known += (known.empty() ? "\"" : ", \"") + std::string(each.name) + '"';
  throw std::invalid_argument("model configuration: " + std::string(field) + " must be one of " + known +
                              ", got \"" + name + "\"");
}

void validate_objective(const ModelConfig& c) {
  require_one_of("schedule", c.schedule, {"rectified_flow", "gvp", "linear", "scaled_linear", "cosine"});
  const bool flow = c.schedule == "rectified_flow", circle = c.schedule == "gvp";
  require_one_of("prediction", c.prediction, {"velocity", "clean_image", "noise", "noise_and_variance", "v"});
  if (flow) {
    require(one_of(c.prediction, {"velocity", "clean_image"}),
            "prediction must be " + quoted({"velocity", "clean_image"}) +
                " with schedule \"rectified_flow\", got \"" + c.prediction + "\"");
  } else if (circle) {
    require(one_of(c.prediction, {"v", "clean_image"}), "prediction must be " + quoted({"v", "clean_image"}) +
                                                            " with schedule \"gvp\", got \"" + c.prediction +
                                                            "\"");
  } else {
    require(c.prediction != "velocity", "prediction must not be \"velocity\" with schedule \"" + c.schedule +
                                            "\" (\"v\" is the velocity of such schedules)");
  }
  require(c.prediction != "noise_and_variance" || c.learn_sigma,
          "prediction \"noise_and_variance\" needs learn_sigma");
  require(c.time_scale > 0 && c.time_scale <= 1e6,
          "time_scale must be in (0, 1e6], got " + std::to_string(c.time_scale));
  require(!c.toward_image || flow || circle, "toward_image is for the schedules " +
                                                 quoted({"rectified_flow", "gvp"}) + ", got \"" + c.schedule +
                                                 "\"");
  if (!c.integer_timesteps()) return;
  require(!flow && !circle, "schedule must not be \"" + c.schedule + "\" with block_router \"" +
                                c.block_router + "\", which knows integer timesteps only");
  require(!c.block_embedders, "block_embedders must be false with block_router \"" + c.block_router +
                                  "\", whose timesteps have one embedding");
  require(c.time_scale == 1, "time_scale must be 1 with block_router \"" + c.block_router + "\", got " +
                                 std::to_string(c.time_scale));
}

}  // namespace

bool ModelConfig::routes_tokens() const {
  const auto* part = find_part(feed_forwards(), feed_forward);
  return part != nullptr && part->routes_tokens;
}

bool ModelConfig::routes_timesteps() const {
  const auto* part = find_part(block_routers(), block_router);
  return part != nullptr && part->routes_timesteps;
}

bool ModelConfig::integer_timesteps() const {
  const auto* part = find_part(block_routers(), block_router);
  return part != nullptr && part->integer_timesteps;
}

std::string ModelConfig::objective() const {
  if (!toward_image) return schedule + ":" + prediction;
  return (schedule == "gvp" ? "sit_gvp:" : "sit:") + prediction;
}

std::string family_name(std::string_view block_router, std::string_view feed_forward) {
  const auto* router = find_part(block_routers(), block_router);
  const auto* body = find_part(feed_forwards(), feed_forward);
  if (router == nullptr || body == nullptr) return {};
  return std::string(router->family) + (body->family.empty() ? "" : "-" + std::string(body->family));
}

void ModelConfig::validate() const {
  // The upper bounds keep every product of sizes far from overflow, whatever a file claims.
  const auto& router = known_part("block_router", block_routers(), block_router);
  const auto& body = known_part("feed_forward", feed_forwards(), feed_forward);
  const auto name = family_name(block_router, feed_forward);
  require(family == name, "family must be \"" + name + "\" with block_router \"" + block_router +
                              "\" and feed_forward \"" + feed_forward + "\", got \"" + family + "\"");
  require_size("input_size", input_size, 1, 4096);
  require_size("patch_size", patch_size, 1, 256);
  require_size("in_channels", in_channels, 1, 256);
  require_size("hidden_size", hidden_size, 1, 16384);
  require_size("depth", depth, 1, 1024);
  require_size("num_heads", num_heads, 1, 1024);
  require_size("num_classes", num_classes, 1, 1048576);
  require_size("num_timesteps", num_timesteps, 1, 10000);
  require_size("frequency_shift", frequency_shift, 0, 1);
  require(norm_eps > 0 && norm_eps <= 0.1,
          "norm_eps must be in (0, 0.1], got " + nlohmann::json(norm_eps).dump());
  known_part("token_router", token_routers(), token_router);
  body.validate(*this);
  router.validate(*this);
  require(input_size % patch_size == 0, "patch_size " + std::to_string(patch_size) +
                                            " must divide input_size " + std::to_string(input_size));
  require(hidden_size % num_heads == 0, "num_heads " + std::to_string(num_heads) +
                                            " must divide hidden_size " + std::to_string(hidden_size));
  require(hidden_size % 4 == 0,
          "hidden_size must be a multiple of 4 (2-d position embedding), got " + std::to_string(hidden_size));
  require(class_names.empty() || static_cast<int64_t>(class_names.size()) == num_classes,
          "class_names must be empty or " + std::to_string(num_classes) + " names, got " +
              std::to_string(class_names.size()));
  for (const auto& label : class_names) {
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    require(label.size() <= 200 && std::ranges::none_of(label, control),
            "class_names must be at most 200 bytes each, without control characters");
  }
  validate_objective(*this);
}

ModelConfig config_from_json(const nlohmann::json& json) {
  require(json.is_object(), "expected a JSON object, got " + std::string(json.type_name()));
  ModelConfig config;
  size_t fields = 0;
  const auto read = [&](const char* name, auto& value, const char*) {
    ++fields;
    const auto& given = json.at(name);
    using Value = std::remove_reference_t<decltype(value)>;
    const auto wrong_type = "field \"" + std::string(name) + "\" has a wrong type (" + given.type_name() +
                            "), expected " +
                            (std::is_same_v<Value, bool>                   ? "true or false"
                             : std::is_same_v<Value, int64_t>              ? "an integer"
                             : std::is_same_v<Value, double>               ? "a number"
                             : std::is_same_v<Value, std::string>          ? "a text"
                             : std::is_same_v<Value, std::vector<int64_t>> ? "a list of integers"
                                                                           : "a list of texts");
    if constexpr (std::is_same_v<decltype(value), int64_t&>) {  // the library would cut 2.5 down to 2
      require(given.is_number_integer(), wrong_type);
    }
    try {
      given.get_to(value);
    } catch (const nlohmann::json::exception&) {
      require(false, wrong_type);
    }
  };
  ModelConfig::for_each_first_field(config, [&](const char* name, auto& value, const char* help) {
    require(json.contains(name), "field \"" + std::string(name) + "\" is missing");
    read(name, value, help);
  });
  ModelConfig::for_each_later_field(config, [&](const char* name, auto& value, const char* help) {
    if (json.contains(name)) read(name, value, help);
  });
  if (json.size() != fields) {
    const auto known = to_json(ModelConfig{});
    for (const auto& [key, value] : json.items())
      require(known.contains(key), "unknown field " + io::quote(key));
  }
  config.validate();
  return config;
}

nlohmann::json to_json(const ModelConfig& config) {
  nlohmann::json json;
  ModelConfig::for_each_field(config,
                              [&](const char* name, const auto& value, const char*) { json[name] = value; });
  return json;
}

ParameterCount count_parameters(const ModelConfig& c) {
  const int64_t d = c.hidden_size;
  const auto* router = find_part(block_routers(), c.block_router);
  const auto* body = find_part(feed_forwards(), c.feed_forward);
  require(router != nullptr && body != nullptr, "unknown block_router or feed_forward");
  ParameterCount parts;
  for (int64_t block = 0; block < c.depth; ++block) {
    for (const auto& part : {router->count(c, block), body->count(c, block)}) {
      parts.total += part.total;
      parts.activated += part.activated;
    }
  }
  const int64_t attention = 3 * d * d + 3 * d + d * d + d + (c.qk_norm ? 4 * c.head_size() : 0);
  const int64_t block = attention + (6 * d * d + 6 * d);
  const int64_t patch = c.patch_size * c.patch_size;
  const int64_t embedders = (256 * d + d + d * d + d) + c.labels() * d;
  const int64_t final_layer = (2 * d * d + 2 * d) + (d * patch * c.out_channels() + patch * c.out_channels());
  const int64_t always = (c.in_channels * patch * d + d) + (c.block_embedders ? c.depth : 1) * embedders +
                         final_layer + c.depth * block;
  return {always + parts.total, always + parts.activated};
}

}  // namespace switchyard::dit
