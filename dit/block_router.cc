// The table of block routers: a new one is its file and a line here.
#include <array>

#include "dit/parts.h"
#include "dit/task_masks.h"
#include "dit/timestep_experts.h"

namespace switchyard::dit {
namespace {

std::unique_ptr<BlockRouter> make_none(const ModelConfig&, const at::TensorOptions&) { return nullptr; }
ParameterCount count_nothing(const ModelConfig&) { return {}; }
void accept(const ModelConfig&) {}

constexpr std::array kBlockRouters = {
    PartKind<BlockRouter>{"none", "dit", accept, count_nothing, make_none},
    PartKind<BlockRouter>{"tasks", "dtr", validate_task_masks, count_nothing, make_task_masks},
    PartKind<BlockRouter>{"timestep_experts", "switch-dit", validate_timestep_experts, count_timestep_experts,
                          make_timestep_experts},
};

}  // namespace

std::span<const PartKind<BlockRouter>> block_routers() { return kBlockRouters; }

}  // namespace switchyard::dit
