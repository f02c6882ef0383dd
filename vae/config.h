// What a KL autoencoder is: its sizes, and how its latents are scaled for the denoiser.
//
// The fields and their names are those of the config.json beside a diffusers AutoencoderKL.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace switchyard::vae {

struct VaeConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> block_out_channels = {128, 256, 512, 512};  // one per level, finest first
  int64_t layers_per_block = 2;  // residual blocks per level of the encoder; the decoder has one more
  int64_t norm_num_groups = 32;
  double scaling_factor = 0.18215;  // the denoiser's latent is (z - shift_factor) * scaling_factor
  double shift_factor = 0;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  int64_t levels() const { return static_cast<int64_t>(block_out_channels.size()); }
  int64_t downsampling() const { return int64_t{1} << (levels() - 1); }  // image side / latent side

  /// Throws std::invalid_argument naming the field, what was expected and what came.
  void validate() const;
  bool operator==(const VaeConfig&) const = default;

  template <class Config, class Visitor>
  static void for_each_field(Config& c, Visitor visit) {
    visit("in_channels", c.in_channels, "channels of the image that is encoded");
    visit("out_channels", c.out_channels, "channels of the image that is decoded");
    visit("latent_channels", c.latent_channels, "channels of the latent");
    visit("block_out_channels", c.block_out_channels, "width of each level, finest first");
    visit("layers_per_block", c.layers_per_block, "residual blocks per level of the encoder");
    visit("norm_num_groups", c.norm_num_groups, "groups of every group normalisation");
    visit("scaling_factor", c.scaling_factor, "factor on the latent before the denoiser");
    visit("shift_factor", c.shift_factor, "subtracted from the latent before the factor");
    visit("use_quant_conv", c.use_quant_conv, "a 1x1 convolution after the encoder");
    visit("use_post_quant_conv", c.use_post_quant_conv, "a 1x1 convolution before the decoder");
    visit("mid_block_add_attention", c.mid_block_add_attention, "attention in the middle blocks");
  }
};

/// From a diffusers config.json. block_out_channels and layers_per_block must be there; any other field that
/// is absent or null has the default above. Fields that change nothing here (sample_size, force_upcast, ...)
/// are passed over; what would change the result and is not supported is refused: another class, activation
/// or block type, latents_mean and latents_std. Throws std::invalid_argument.
VaeConfig config_from_json(const nlohmann::json& json);

/// The sizes that the tensors of a file (named as in autoencoder.h) tell. They do not tell norm_num_groups,
/// scaling_factor and shift_factor: these have the defaults above. Throws std::invalid_argument naming the
/// tensor that is missing.
VaeConfig infer_config(const std::map<std::string, at::Tensor>& tensors);

}  // namespace switchyard::vae
