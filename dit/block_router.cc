// The table of block routers: a new one is its file and a line here.
#include <array>

#include "dit/parts.h"
#include "dit/task_masks.h"
#include "dit/timestep_experts.h"

namespace switchyard::dit {
namespace {

std::unique_ptr<BlockRouter> make_none(const ModelConfig&, int64_t, const at::TensorOptions&) { return nullptr; }
ParameterCount count_nothing(const ModelConfig&, int64_t) { return {}; }
void accept(const ModelConfig&) {}

constexpr std::array kBlockRouters = {
    PartKind<BlockRouter>{"none", "dit", accept, count_nothing, make_none},
    PartKind<BlockRouter>{.name = "tasks",
                          .family = "dtr",
                          .validate = validate_task_masks,
                          .count = count_nothing,
                          .make = make_task_masks,
                          .integer_timesteps = true,
                          .derived = derived_task_masks},
    PartKind<BlockRouter>{.name = "timestep_experts",
                          .family = "switch-dit",
                          .validate = validate_timestep_experts,
                          .count = count_timestep_experts,
                          .make = make_timestep_experts,
                          .routes_timesteps = true,
                          .integer_timesteps = true,
                          .derived = derived_timestep_experts},
};

}  // namespace

std::span<const PartKind<BlockRouter>> block_routers() { return kBlockRouters; }

}  // namespace switchyard::dit
