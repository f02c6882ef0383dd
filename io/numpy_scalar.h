// A NumPy number inside a PyTorch file: `lr = np.float64(1e-4)` among the arguments of a training.
#pragma once

#include <optional>

#include "io/torch_pickle.h"
#include "io/torch_value.h"

namespace switchyard::io {

/// The number that an object of numpy's scalar() stands for: a boolean, an integer or a real. Nothing where it is
/// another object, or is made of anything else than numpy writes (unsigned numbers beyond 63 bits among that).
std::optional<TorchValue> numpy_scalar(const PickleGraph& graph, const PickleNode& object);

}  // namespace switchyard::io
