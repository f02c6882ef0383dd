#include "vae/config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

namespace switchyard::vae {
namespace {

using Json = nlohmann::json;

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("vae config: " + message);
}

// What a file says must not flood the terminal.
std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}

bool is_given(const Json& json, const char* name) { return json.contains(name) && !json.at(name).is_null(); }

template <class Value>
void read_field(const Json& given, const std::string& name, Value& value) {
  const auto expect = [&](bool fits, const char* what) {
    require(fits, name + ": expected " + what + ", got " + shown(given));
  };
  if constexpr (std::is_same_v<Value, bool>) {
    expect(given.is_boolean(), "true or false");
  } else if constexpr (std::is_same_v<Value, double>) {
    expect(given.is_number(), "a number");
  } else if constexpr (std::is_same_v<Value, int64_t>) {
    expect(given.is_number_integer(), "an integer");
  } else {
    const auto is_integer = [](const Json& item) { return item.is_number_integer(); };
    expect(given.is_array() && std::ranges::all_of(given, is_integer), "a list of integers");
  }
  given.get_to(value);
}

void refuse_what_is_not_supported(const Json& json) {
  const auto only = [&](const char* name, std::initializer_list<const char*> supported) {
    if (!is_given(json, name)) return;
    for (const Json& item : json.at(name).is_array() ? json.at(name) : Json::array({json.at(name)})) {
      require(std::ranges::any_of(supported, [&](const char* value) { return item == value; }),
              std::string(name) + ": expected " + *supported.begin() + ", got " + shown(item));
    }
  };
  only("_class_name", {"AutoencoderKL"});
  only("act_fn", {"silu", "swish"});
  only("down_block_types", {"DownEncoderBlock2D"});
  only("up_block_types", {"UpDecoderBlock2D"});
  for (const char* name : {"latents_mean", "latents_std"})
    if (is_given(json, name))
      require(false, std::string(name) + ": expected null, got " + shown(json.at(name)));
}

}  // namespace

void VaeConfig::validate() const {
  constexpr int64_t kWidest = 1 << 16;
  const auto in_range = [](const char* name, int64_t value, int64_t least, int64_t most) {
    require(least <= value && value <= most, std::string(name) + ": expected " + std::to_string(least) +
                                                 " to " + std::to_string(most) + ", got " +
                                                 std::to_string(value));
  };
  in_range("in_channels", in_channels, 1, kWidest);
  in_range("out_channels", out_channels, 1, kWidest);
  in_range("latent_channels", latent_channels, 1, kWidest);
  in_range("layers_per_block", layers_per_block, 1, 64);
  in_range("number of block_out_channels", levels(), 1, 12);
  in_range("norm_num_groups", norm_num_groups, 1, kWidest);
  for (const int64_t channels : block_out_channels) {
    in_range("block_out_channels", channels, 1, kWidest);
    require(channels % norm_num_groups == 0, "norm_num_groups: expected a divisor of every width, got " +
                                                 std::to_string(norm_num_groups) + " for a width of " +
                                                 std::to_string(channels));
  }
  require(std::isfinite(scaling_factor) && scaling_factor > 0,
          "scaling_factor: expected a positive number, got " + std::to_string(scaling_factor));
  require(std::isfinite(shift_factor),
          "shift_factor: expected a finite number, got " + std::to_string(shift_factor));
}

VaeConfig config_from_json(const Json& json) {
  require(json.is_object(), "expected a JSON object, got " + shown(json));
  refuse_what_is_not_supported(json);
  for (const char* name : {"block_out_channels", "layers_per_block"})
    require(is_given(json, name), std::string(name) + " is missing");
  VaeConfig config;
  VaeConfig::for_each_field(config, [&](const char* name, auto& value, const char*) {
    if (is_given(json, name)) read_field(json.at(name), name, value);
  });
  config.validate();
  return config;
}

VaeConfig infer_config(const std::map<std::string, at::Tensor>& tensors) {
  const auto weight = [&](const std::string& name) -> const at::Tensor& {
    const auto found = tensors.find(name);
    require(found != tensors.end(), "cannot tell the sizes without config.json: no tensor " + name);
    require(found->second.dim() == 4, "cannot tell the sizes without config.json: " + name + " has " +
                                          std::to_string(found->second.dim()) + " dimensions, expected 4");
    return found->second;
  };
  const auto first_convolution = [](int64_t level, int64_t layer) {
    return "encoder.down_blocks." + std::to_string(level) + ".resnets." + std::to_string(layer) +
           ".conv1.weight";
  };
  VaeConfig config;
  config.in_channels = weight("encoder.conv_in.weight").size(1);
  config.out_channels = weight("decoder.conv_out.weight").size(0);
  config.latent_channels = weight("decoder.conv_in.weight").size(1);
  config.block_out_channels = {weight(first_convolution(0, 0)).size(0)};
  while (tensors.contains(first_convolution(config.levels(), 0)))
    config.block_out_channels.push_back(weight(first_convolution(config.levels(), 0)).size(0));
  config.layers_per_block = 1;
  while (tensors.contains(first_convolution(0, config.layers_per_block))) ++config.layers_per_block;
  config.use_quant_conv = tensors.contains("quant_conv.weight");
  config.use_post_quant_conv = tensors.contains("post_quant_conv.weight");
  config.mid_block_add_attention = tensors.contains("decoder.mid_block.attentions.0.group_norm.weight");
  config.validate();
  return config;
}

}  // namespace switchyard::vae
