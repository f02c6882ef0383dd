// The filled slots (token, slot) of a routing sorted by expert, in their order within each expert; all sizes
// stay on the device.
//
//   begin[e] = sum of counts[0 .. e - 1];   row i = token * k + slot goes to position[i];
//   token_of[position[i]] = i / k;   an empty slot, chosen[i] = -1, has position -1
//
//   chosen    [rows] int32, values -1 .. experts - 1    counts  [experts] int32, how often each occurs
//   begin     [experts + 1] int32     position  [rows] int32     token_of  [filled rows] int32
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

struct Permutation {
  std::int64_t rows;  // tokens * k, < 2^31
  int experts, k;
  const std::int32_t *chosen, *counts;
  std::int32_t *begin, *position, *token_of;
};

void order_by_expert(const Permutation& arguments, Stream stream);

/// counts[e] = how many of chosen[0 .. rows - 1] are e, for a routing that did not come from route().
void count_experts(const std::int32_t* chosen, std::int64_t rows, int experts, std::int32_t* counts,
                   Stream stream);

}  // namespace switchyard::kernels::cuda
