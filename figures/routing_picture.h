// The routing of a request as pictures that need no manual.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "pipeline/routing_record.h"

namespace switchyard::figures {

/// One heat map per layer: timesteps from left (noise) to right (image), experts from top to bottom, colour
/// the expert's share of the choices of all tokens of all images (with the class), which sums to 1 over the
/// experts of a step. -> [H, W, 3] uint8. Throws std::invalid_argument for a record in which nothing was
/// recorded.
at::Tensor expert_map_picture(const pipeline::RoutingRecord& record);

/// The first choice of every patch, as the expert's colour over the image: for the first few images (one per
/// class), some timesteps and some layers. images: those of the request in its order, [H, W, C] uint8 of
/// equal size.
/// -> [H, W, 3] uint8. Throws std::invalid_argument as above, and for another number of images than were
/// recorded.
at::Tensor winners_picture(const pipeline::RoutingRecord& record, const std::vector<at::Tensor>& images);

/// Both, one above the other. -> [H, W, 3] uint8.
at::Tensor routing_picture(const pipeline::RoutingRecord& record, const std::vector<at::Tensor>& images);

}  // namespace switchyard::figures
