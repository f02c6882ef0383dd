// Building the networks: every parameter by its diffusers name and shape.
#include <ATen/ATen.h>

#include "vae/layers.h"

namespace switchyard::vae {
namespace {

GroupNorm make_norm(const Placement& placement, const std::string& name, int64_t channels, int64_t groups) {
  return {placement.own(name + ".weight", {channels}, at::kFloat), placement.own(name + ".bias", {channels}, at::kFloat),
          groups};
}

Linear make_linear(const Placement& placement, const std::string& name, int64_t channels) {
  return {placement.own(name + ".weight", {channels, channels}, placement.dtype),
          placement.own(name + ".bias", {channels}, placement.dtype)};
}

Resnet make_resnet(const Placement& placement, const std::string& name, int64_t in, int64_t out,
                   int64_t groups) {
  Resnet resnet{make_norm(placement, name + ".norm1", in, groups),
                make_convolution(placement, name + ".conv1", out, in, 3),
                make_norm(placement, name + ".norm2", out, groups),
                make_convolution(placement, name + ".conv2", out, out, 3),
                {}};
  if (in != out) resnet.shortcut = make_convolution(placement, name + ".conv_shortcut", out, in, 1);
  return resnet;
}

void make_middle(const Placement& placement, Network& network, int64_t channels, const VaeConfig& config) {
  const auto middle = network.name + ".mid_block.";
  const int64_t groups = config.norm_num_groups;
  network.mid_first = make_resnet(placement, middle + "resnets.0", channels, channels, groups);
  network.mid_last = make_resnet(placement, middle + "resnets.1", channels, channels, groups);
  if (!config.mid_block_add_attention) return;
  const auto name = middle + "attentions.0.";
  network.mid_attention.push_back(
      {make_norm(placement, name + "group_norm", channels, groups),
       make_linear(placement, name + "to_q", channels), make_linear(placement, name + "to_k", channels),
       make_linear(placement, name + "to_v", channels), make_linear(placement, name + "to_out.0", channels)});
}

// `widths` in the order in which the levels run.
void make_levels(const Placement& placement, Network& network, const std::string& blocks,
                 const std::string& resampler, const std::vector<int64_t>& widths, int64_t resnets,
                 int64_t groups) {
  int64_t in = widths.front();
  for (size_t i = 0; i < widths.size(); ++i) {
    const auto name = network.name + "." + blocks + "." + std::to_string(i) + ".";
    Level level;
    for (int64_t j = 0; j < resnets; ++j) {
      level.resnets.push_back(
          make_resnet(placement, name + "resnets." + std::to_string(j), in, widths[i], groups));
      in = widths[i];
    }
    if (i + 1 < widths.size())
      level.resample = make_convolution(placement, name + resampler + ".0.conv", in, in, 3);
    network.levels.push_back(std::move(level));
  }
}

}  // namespace

at::Tensor Placement::own(const std::string& name, at::IntArrayRef shape, at::ScalarType as) const {
  const auto given = source(name, shape);
  if (!given.defined()) return given;
  const auto order = shape.size() == 4 ? format : at::MemoryFormat::Contiguous;
  return given.to(at::TensorOptions().dtype(as).device(device), /*non_blocking=*/false, /*copy=*/true, order);
}

Convolution make_convolution(const Placement& placement, const std::string& name, int64_t out, int64_t in,
                             int64_t side) {
  return {placement.own(name + ".weight", {out, in, side, side}, placement.dtype),
          placement.own(name + ".bias", {out}, placement.dtype)};
}

Network make_encoder(const VaeConfig& config, const Placement& placement) {
  const auto& widths = config.block_out_channels;
  Network encoder;
  encoder.name = "encoder";
  encoder.conv_in = make_convolution(placement, "encoder.conv_in", widths.front(), config.in_channels, 3);
  make_levels(placement, encoder, "down_blocks", "downsamplers", widths, config.layers_per_block,
              config.norm_num_groups);
  make_middle(placement, encoder, widths.back(), config);
  encoder.norm_out = make_norm(placement, "encoder.conv_norm_out", widths.back(), config.norm_num_groups);
  encoder.conv_out =
      make_convolution(placement, "encoder.conv_out", 2 * config.latent_channels, widths.back(), 3);
  return encoder;
}

Network make_decoder(const VaeConfig& config, const Placement& placement) {
  const std::vector<int64_t> widths(config.block_out_channels.rbegin(), config.block_out_channels.rend());
  Network decoder;
  decoder.name = "decoder";
  decoder.conv_in = make_convolution(placement, "decoder.conv_in", widths.front(), config.latent_channels, 3);
  make_middle(placement, decoder, widths.front(), config);
  make_levels(placement, decoder, "up_blocks", "upsamplers", widths, config.layers_per_block + 1,
              config.norm_num_groups);
  decoder.norm_out = make_norm(placement, "decoder.conv_norm_out", widths.back(), config.norm_num_groups);
  decoder.conv_out = make_convolution(placement, "decoder.conv_out", config.out_channels, widths.back(), 3);
  return decoder;
}

}  // namespace switchyard::vae
