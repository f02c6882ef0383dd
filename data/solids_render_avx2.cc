// The "solids" renderer for AVX2; see train/CMakeLists.txt for its compiler options.
#define SWITCHYARD_SOLIDS_ENTRY render_scene_avx2
#include "data/solids_trace.h"
