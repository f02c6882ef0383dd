// The table of block routers: a new one is its file and a line here.
#include <c10/util/StringUtil.h>

#include <array>
#include <initializer_list>
#include <utility>

#include "dit/parts.h"
#include "dit/task_masks.h"
#include "dit/timestep_experts.h"

namespace switchyard::dit {
namespace {

std::unique_ptr<BlockRouter> make_none(const ModelConfig&, int64_t, const at::TensorOptions&) {
  return nullptr;
}
ParameterCount count_nothing(const ModelConfig&, int64_t) { return {}; }

void require_unused(const ModelConfig& c, std::initializer_list<std::pair<const char*, double>> fields) {
  for (const auto& [field, value] : fields)
    require(value == 0,
            c10::str(field, " must be 0 with block_router \"", c.block_router, "\", got ", value));
}
void require_no_tasks(const ModelConfig& c) {
  require_unused(c, {{"task_alpha", c.task_alpha}, {"task_beta", c.task_beta}});
}
void require_no_experts(const ModelConfig& c) {
  require_unused(c, {{"timestep_experts", static_cast<double>(c.timestep_experts)},
                     {"experts_per_timestep", static_cast<double>(c.experts_per_timestep)}});
}

void validate_none(const ModelConfig& c) {
  require_no_tasks(c);
  require_no_experts(c);
}
void validate_tasks(const ModelConfig& c) {
  validate_task_masks(c);
  require_no_experts(c);
}
void validate_experts(const ModelConfig& c) {
  validate_timestep_experts(c);
  require_no_tasks(c);
}

constexpr std::array kBlockRouters = {
    PartKind<BlockRouter>{"none", "dit", validate_none, count_nothing, make_none},
    PartKind<BlockRouter>{.name = "tasks",
                          .family = "dtr",
                          .validate = validate_tasks,
                          .count = count_nothing,
                          .make = make_task_masks,
                          .integer_timesteps = true,
                          .derived = derived_task_masks},
    PartKind<BlockRouter>{.name = "timestep_experts",
                          .family = "switch-dit",
                          .validate = validate_experts,
                          .count = count_timestep_experts,
                          .make = make_timestep_experts,
                          .routes_timesteps = true,
                          .integer_timesteps = true,
                          .derived = derived_timestep_experts},
};

}  // namespace

std::span<const PartKind<BlockRouter>> block_routers() { return kBlockRouters; }

}  // namespace switchyard::dit
