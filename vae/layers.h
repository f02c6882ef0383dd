// The two networks of the autoencoder, encoder and decoder, as structs of parameters and the functions that
// run them on one image.
//
// Every activation is held as bands of rows (bands.h). A convolution makes its output band by band and reads
// the rows above and below that it needs from the bands of its input, so that no row is computed twice and a
// banded run differs from a whole one by rounding alone. The group normalisations, whose statistics belong to
// the whole picture, first collect them over all bands. Attention, at the lowest resolution, sees the whole
// picture.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vae/bands.h"
#include "vae/config.h"

namespace switchyard::vae {

/// Called with the name of each module ("decoder.up_blocks.0") and its output [1, C, h, w], image by image.
using Observer = std::function<void(const std::string& module, const at::Tensor& output)>;

/// Gives the parameter of that name and shape, of any float type. It may be memory of someone else: the networks
/// make it theirs, in one copy. Undefined where only the names and shapes are wanted.
using ParameterSource = std::function<at::Tensor(const std::string& name, at::IntArrayRef shape)>;

struct Convolution {
  at::Tensor weight, bias;  // [out, in, k, k], [out]
};

struct GroupNorm {
  at::Tensor weight, bias;  // [C] fp32 whatever the rest computes in: the statistics need it
  int64_t groups = 1;
};

struct Linear {
  at::Tensor weight, bias;  // [C, C], [C]
};

struct Resnet {
  GroupNorm norm1;
  Convolution conv1;
  GroupNorm norm2;
  Convolution conv2;
  Convolution shortcut;  // 1x1, only where the width changes
};

struct Attention {
  GroupNorm norm;
  Linear query, key, value, out;
};

struct Level {
  std::vector<Resnet> resnets;
  Convolution resample;  // to the next level; undefined at the last
};

struct Network {
  std::string name;  // "encoder" or "decoder"
  Convolution conv_in;
  std::vector<Level> levels;  // in the order in which they run
  Resnet mid_first, mid_last;
  std::vector<Attention> mid_attention;  // one or none
  GroupNorm norm_out;
  Convolution conv_out;
};

/// Where and how parameters are made.
struct Placement {
  ParameterSource source;
  at::ScalarType dtype = at::kFloat;
  at::MemoryFormat format = at::MemoryFormat::ChannelsLast;
  at::Device device = at::kCPU;

  /// The parameter of that name, in its place.
  at::Tensor own(const std::string& name, at::IntArrayRef shape, at::ScalarType as) const;
};

Network make_encoder(const VaeConfig& config, const Placement& placement);
Network make_decoder(const VaeConfig& config, const Placement& placement);
Convolution make_convolution(const Placement& placement, const std::string& name, int64_t out, int64_t in,
                             int64_t side);

/// How one image goes through a network.
struct Pass {
  int64_t band_bytes = 0;                        // size of a band; 0: the picture is one band
  std::function<void(double flop)> worked = {};  // after each piece of work; may throw to stop
  const Observer* observer = nullptr;

  bool banded() const { return band_bytes > 0; }
};

/// x [1, in, H, W] -> [1, out, h, w]. The sides of an image must be divisible by config.downsampling().
Bands run_encoder(const Network& encoder, Bands x, const Pass& pass);
Bands run_decoder(const Network& decoder, Bands z, const Pass& pass);
Bands convolve_1x1(const Convolution& convolution, Bands x, const Pass& pass);

}  // namespace switchyard::vae
