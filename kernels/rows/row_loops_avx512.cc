// The passes over rows for AVX512; see kernels/CMakeLists.txt for its compiler options.
#define SWITCHYARD_ROW_LOOPS(TYPE) kRowLoops##TYPE##Avx512
#include "kernels/rows/row_loops_body.h"
