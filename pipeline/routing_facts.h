// What a record of routing says, as numbers: what pictures, panels and tables are made of.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "pipeline/routing_record.h"

namespace switchyard::pipeline {

/// [steps, layers, E] fp32: of the choices at a step in a layer (with the class, of all images and tokens), the
/// part that fell on each expert, which sums to 1 over the experts; -1 where nothing was recorded.
at::Tensor shares(const RoutingRecord& record);

/// [images, steps, layers, T] int64: the expert of largest gate weight of each token, with the class; -1 where
/// there is none, or nothing was recorded.
at::Tensor winners(const RoutingRecord& record);

/// At most `count` layers, those in which the tokens of `winners` [steps, layers, T] change their winner most
/// often, in rising order.
std::vector<int64_t> liveliest_layers(const at::Tensor& winners, int64_t count);

}  // namespace switchyard::pipeline
