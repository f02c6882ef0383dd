#include "io/free_memory.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "io/error.h"

namespace switchyard::io {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max() / 2;

// The number behind `name` in a file of lines "name number"; 0 where there is none.
std::int64_t entry(const std::string& file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line, word; std::getline(lines, line);) {
    std::istringstream words(line);
    if (std::int64_t value = 0; words >> word >> value && word == name) return value;
  }
  return 0;
}

std::int64_t of_system() {
  const std::int64_t available = entry("/proc/meminfo", "MemAvailable:") + entry("/proc/meminfo", "SwapFree:");
  return available > 0 ? available * 1024 : kNoLimit;
}

std::int64_t of_limit(decltype(RLIMIT_AS) resource, const char* used) {
  struct rlimit limit = {};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur >= static_cast<rlim_t>(kNoLimit)) return kNoLimit;
  return static_cast<std::int64_t>(limit.rlim_cur) - entry("/proc/self/status", used) * 1024;
}

// Of this process's group and those around it.
std::int64_t of_control_groups() {
  namespace fs = std::filesystem;
  std::int64_t least = kNoLimit;
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::/")) continue;  // version 1
    const fs::path root = "/sys/fs/cgroup";
    for (auto group = root / line.substr(4);; group = group.parent_path()) {
      std::int64_t most = 0, used = 0;
      if (std::ifstream(group / "memory.max") >> most && std::ifstream(group / "memory.current") >> used) {
        const auto cached = entry(group / "memory.stat", "inactive_file") + entry(group / "memory.stat", "active_file");
        least = std::min(least, most - used + cached);
      }
      if (group == root || !group.has_relative_path()) break;
    }
  }
  return least;
}

std::string size_text(std::int64_t bytes) {
  char text[32];
  const double mega = static_cast<double>(bytes) / 1e6;
  std::snprintf(text, sizeof text, mega < 1000 ? "%.0f MB" : "%.1f GB", mega < 1000 ? mega : mega / 1000);
  return text;
}

}  // namespace

std::int64_t free_memory() {
  const std::int64_t more = std::min({of_system(), of_limit(RLIMIT_AS, "VmSize:"), of_limit(RLIMIT_DATA, "VmData:"),
                                      of_control_groups()});
  return std::max<std::int64_t>(more, 0) + static_cast<std::int64_t>(::mallinfo2().fordblks);
}

std::int64_t require_memory(std::int64_t bytes, const std::string& what) {
  const auto free = free_memory();
  if (bytes > free)
    throw OutOfMemory(what + ": needs at least " + size_text(bytes) + ", " + size_text(free) + " are free");
  return free;
}

}  // namespace switchyard::io
