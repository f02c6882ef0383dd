#include "app/cli/threads.h"

#include <unistd.h>

#include <cstdlib>

#include "app/cli/interrupt.h"

namespace switchyard::app {

void restart_with_short_waits(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (interrupted()) throw Cancelled();  // the new program would not know
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::setenv("GOMP_SPINCOUNT", "1000", 1);
  ::execv("/proc/self/exe", argv);
  // It is slower, not wrong, to go on where that is not possible.
}

}  // namespace switchyard::app
