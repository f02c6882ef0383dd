#include "io/own_bytes.h"

#include <set>

#include "io/error.h"

namespace switchyard::io {

void require_own_bytes(const std::map<std::string, at::Tensor>& tensors, const std::string& source) {
  constexpr size_t kSlack = 1 << 20;
  size_t asked = 0, held = 0;
  std::set<const void*> storages;
  for (const auto& [name, tensor] : tensors) {
    asked += tensor.nbytes();
    if (storages.insert(tensor.storage().data()).second) held += tensor.storage().nbytes();
  }
  if (asked > 2 * held + kSlack)
    throw InputError(source + ": its tensors repeat each other's bytes: expected to copy no more than the " +
                     std::to_string(held) + " bytes that they hold, found " + std::to_string(asked));
}

}  // namespace switchyard::io
