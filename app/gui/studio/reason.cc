#include "app/gui/studio/reason.h"

#include <c10/util/Exception.h>

#include <exception>

#include "pipeline/out_of_memory.h"

namespace switchyard::studio {

std::string reason() {
  try {
    throw;
  } catch (const std::exception& error) {
    if (pipeline::is_out_of_memory(error)) return pipeline::out_of_memory_text(error);
    const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
    return of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  } catch (...) {
    return "an unknown error";
  }
}

}  // namespace switchyard::studio
