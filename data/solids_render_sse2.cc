// The "solids" renderer for SSE2; see train/CMakeLists.txt for its compiler options.
#define SWITCHYARD_SOLIDS_ENTRY render_scene_sse2
#include "data/solids_trace.h"
