#include "app/cli/shard.h"

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "io/text.h"

namespace switchyard::app {
namespace {

std::optional<int64_t> variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  if (const auto value = io::whole_number(text)) return value;
  throw std::invalid_argument(std::string(name) + ": expected a whole number, got \"" + text + "\"");
}

struct Launcher {
  const char *name, *index, *count;
};
constexpr std::array<Launcher, 4> kLaunchers{{
    {"torchrun", "RANK", "WORLD_SIZE"},
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"MPI", "PMI_RANK", "PMI_SIZE"},
    {"SLURM", "SLURM_PROCID", "SLURM_NTASKS"},
}};

}  // namespace

pipeline::Shard shard_from_text(const std::string& text) {
  const auto slash = text.find('/');
  const auto index = io::whole_number(std::string_view(text).substr(0, slash));
  const auto of =
      slash == std::string::npos ? std::nullopt : io::whole_number(std::string_view(text).substr(slash + 1));
  if (!index || !of || *of < 1 || *index < 1 || *index > *of)
    throw std::invalid_argument("--shard: expected I/N with I from 1 to N, such as 3/8, got " + text);
  return {*index - 1, *of};
}

std::optional<ShardOfLauncher> shard_from_environment() {
  const auto shard = [](const char* name, int64_t index, int64_t of) -> std::optional<ShardOfLauncher> {
    if (index < 0 || index >= of)
      throw std::invalid_argument(std::string(name) + " says process " + std::to_string(index) + " of " +
                                  std::to_string(of) + ": give --shard");
    if (of == 1) return std::nullopt;
    return ShardOfLauncher{{index, of}, name};
  };
  const auto task = variable("SLURM_ARRAY_TASK_ID"), low = variable("SLURM_ARRAY_TASK_MIN"),
             high = variable("SLURM_ARRAY_TASK_MAX");
  if (task && low && high) return shard("SLURM job array", *task - *low, *high - *low + 1);
  for (const auto& [name, index_name, count_name] : kLaunchers) {
    const auto index = variable(index_name), count = variable(count_name);
    if (index && count && *count > 1) return shard(name, *index, *count);
  }
  return std::nullopt;
}

}  // namespace switchyard::app
