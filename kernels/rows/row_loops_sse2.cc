// The passes over rows for SSE2; see kernels/CMakeLists.txt for its compiler options.
#define SWITCHYARD_ROW_LOOPS(TYPE) kRowLoops##TYPE##Sse2
#include "kernels/rows/row_loops_body.h"
