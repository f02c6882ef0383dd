// Who watches the routing of a forward: tokens and timesteps are routed by different parts of a block, and
// are told apart by the function that hears of them.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>

#include "kernels/routing/routing.h"

namespace switchyard::dit {

struct RoutingObserver {
  using Function = std::function<void(int64_t layer, const kernels::Routing& routing)>;

  Function tokens = {};  // once per block of a "moe" feed-forward: N * T rows, image by image
  Function timesteps =
      {};  // once per block of a "timestep_experts" router, before its tokens: N rows, one per image

  RoutingObserver() = default;

  /// Someone who watches tokens alone, the usual case.
  template <class F>
  requires std::invocable<F&, int64_t, const kernels::Routing&> RoutingObserver(F function)
      : tokens(std::move(function)) {}  // NOLINT: meant to convert

  RoutingObserver(Function of_tokens, Function of_timesteps)
      : tokens(std::move(of_tokens)), timesteps(std::move(of_timesteps)) {}
};

}  // namespace switchyard::dit
