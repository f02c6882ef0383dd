// In the place of backend.cc where there is no nvcc.
#include "kernels/cuda/backend.h"

namespace switchyard::kernels::cuda {

const Backend* backend() { return nullptr; }

}  // namespace switchyard::kernels::cuda
