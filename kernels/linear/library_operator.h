// An operator of libtorch by its name. oneDNN is inside libtorch, but its C symbols are not exported: its
// operators are the way in.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

namespace switchyard::kernels {

template <class Signature>
c10::TypedOperatorHandle<Signature> library_operator(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

}  // namespace switchyard::kernels
