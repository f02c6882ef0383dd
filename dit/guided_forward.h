// Classifier-free guidance inside the model call, as the official DiT-MoE code samples (Ho and Salimans
// 2022).
#pragma once

#include <ATen/core/Tensor.h>

#include "dit/transformer.h"

namespace switchyard::dit {

/// How many channels the official code of the family guides under DDPM: the first 3 for DiT and DiT-MoE,
/// those of the image or latent for DTR and Switch-DiT.
int64_t officially_guided_channels(const ModelConfig& config);

/// x [2N, C, H, W] with two equal halves, t [2N], y [2N]: the first half holds the classes, the second the
/// null class.
/// -> [2N, out_channels, H, W]: in the first `guided_channels` channels both halves hold u + scale * (c - u);
/// the other channels stay as predicted for each half.
at::Tensor guided_forward(const DiffusionTransformer& model, const at::Tensor& x, const at::Tensor& t,
                          const at::Tensor& y, double scale, int64_t guided_channels,
                          const RoutingTape& tape = {});

}  // namespace switchyard::dit
