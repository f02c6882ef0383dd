// Content or place: does an expert follow what is in a patch, or where the patch lies?
//
// An image is noised to a time of the drawing and moved as a whole, noise and all: by whole patches, around the edges,
// or mirrored. Where content and place now foresee different choices, the routers are asked. Score: the part of those
// patches in which the choice went with the content. 1: the expert looks at content alone, 0: at the place alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "pipeline/session.h"

namespace switchyard::pipeline {

struct ContentScore {
  at::Tensor shifted,
      mirrored;  // [layers, E] fp32, 0 .. 1; NaN where content and place never differ, or the layer
                 // does not have the expert
};

/// latent [C, h, w] fp32, the finished image as the model draws it: ImageFinished::latent; noised with `seed`'s noise
/// to `t` of the model's schedule, as in sampler::Level. Nothing: `stop` said so. Throws std::invalid_argument for a
/// model that routes no tokens.
std::optional<ContentScore> content_or_place(Session& session, const at::Tensor& latent, int64_t label,
                                             uint64_t seed, double t, const dit::Stop& stop = {});

/// before, after [layers, T, E] bool: who was chosen, without the movement and with it; source [T] int64: the patch whose
/// content lies in each place after it. -> [layers, E] of those with `differ`, and of those that went with the content.
struct Followed {
  at::Tensor differ, with_content;  // [layers, E] int64
};
Followed followed(const at::Tensor& before, const at::Tensor& after, const at::Tensor& source);

}  // namespace switchyard::pipeline
