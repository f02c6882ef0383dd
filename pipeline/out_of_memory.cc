#include "pipeline/out_of_memory.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>
#include <system_error>

#include "io/error.h"

namespace switchyard::pipeline {

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  // No room for the stack of a thread.
  const auto* of_system = dynamic_cast<const std::system_error*>(&error);
  if (of_system != nullptr && (of_system->code() == std::errc::resource_unavailable_try_again ||
                               of_system->code() == std::errc::not_enough_memory))
    return true;
  // oneDNN's exceptions are in no header; these two sentences are what it says when memory ends.
  const std::string_view said = error.what();
  if (said == "could not create a primitive" || said.starts_with("could not create a memory")) return true;
  // libtorch's CPU allocator has no exception type of its own.
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  return of_torch != nullptr &&
         std::string_view(of_torch->what_without_backtrace()).find("can't allocate memory") !=
             std::string_view::npos;
}

std::string out_of_memory_text(const std::exception& error) {
  std::string text = "out of memory";
  if (dynamic_cast<const io::OutOfMemory*>(&error) != nullptr) text.append(": ").append(error.what());
  return text;
}

}  // namespace switchyard::pipeline
