// Which library multiplies matrices faster on this processor: oneDNN with packed weights, or what at::linear
// uses (MKL in fp32, on processors that it likes).
//
// A short measurement at first use decides, one per dtype and process. Images must not depend on how it comes
// out by chance, nor on their batch: at::linear is taken only where it is clearly faster and its rows came
// out with the same bits however many there were.
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

enum class ProductLibrary { onednn, at_linear };

struct LibraryMeasurement {
  double onednn_seconds, at_linear_seconds;  // of one product of a transformer's shape
  bool at_linear_rows_stand_alone;           // the same bits for 1, 2, 7, ... rows
};

/// About 50 ms on the CPU. dtype fp32 or bf16.
LibraryMeasurement measure_libraries(at::ScalarType dtype);

ProductLibrary choose_library(const LibraryMeasurement& measured);

/// choose_library(measure_libraries(dtype)), measured once.
ProductLibrary product_library(at::ScalarType dtype);

}  // namespace switchyard::kernels
