// Which part of a set this process draws, where several draw it.
#pragma once

#include <optional>
#include <string>

#include "pipeline/fill_set.h"

namespace switchyard::app {

/// "3/8", the third of eight. Throws std::invalid_argument.
pipeline::Shard shard_from_text(const std::string& text);

struct ShardOfLauncher {
  pipeline::Shard shard;
  std::string launcher;  // "torchrun", "SLURM job array", ...
};

/// As the launcher of this process says in its environment: torchrun (RANK, WORLD_SIZE), a SLURM job array
/// (SLURM_ARRAY_TASK_ID between _MIN and _MAX), SLURM's srun, Open MPI, and what speaks PMI (MPICH, Intel MPI); nothing
/// where none does, or there is one process. Throws std::invalid_argument for values that make no sense.
std::optional<ShardOfLauncher> shard_from_environment();

}  // namespace switchyard::app
