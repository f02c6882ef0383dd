// How much more memory this process can have.
#pragma once

#include <cstdint>
#include <string>

namespace switchyard::io {

/// Bytes of host memory: the least of what the system has left (swap included), what the limits on this process leave
/// (ulimit -v, ulimit -d, a control group of version 2), and what is free within its own heap on top. What cannot be asked limits
/// nothing. An estimate: others take memory too.
std::int64_t free_memory();

/// Throws OutOfMemory, with both sizes, where `what` needs more bytes than there are: before the work instead of in its
/// middle, where a library may not survive it. How many there are.
std::int64_t require_memory(std::int64_t bytes, const std::string& what);

}  // namespace switchyard::io
