// From the graph of a pickle to the plain tree that callers see.
#pragma once

#include <string>

#include "io/memory_budget.h"
#include "io/torch_pickle.h"
#include "io/torch_tensors.h"
#include "io/torch_value.h"

namespace switchyard::io {

// What is shared in the graph is repeated in the tree, within the budget. InputError: containers that hold
// themselves or nest deeper than 64 levels, keys that are no scalars or occur twice, malformed tensors.
TorchValue make_tree(const PickleGraph& graph, const TorchStorages& storages, const std::string& where,
                     MemoryBudget& budget);

}  // namespace switchyard::io
