#include "app/gui/studio/reason.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string_view>

namespace switchyard::studio {
namespace {

constexpr const char* kOutOfMemory = "out of memory; fewer images at a time take less";

}  // namespace

std::string reason() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (const c10::OutOfMemoryError&) {
    return kOutOfMemory;
  } catch (const c10::Error& error) {
    const std::string_view message = error.what_without_backtrace();
    // libtorch's CPU allocator has no exception type of its own.
    return message.find("can't allocate memory") != std::string_view::npos ? kOutOfMemory
                                                                           : std::string(message);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an unknown error";
  }
}

}  // namespace switchyard::studio
