// The "solids" renderer for AVX512; see train/CMakeLists.txt for its compiler options.
#define SWITCHYARD_SOLIDS_ENTRY render_scene_avx512
#include "data/solids_trace.h"
