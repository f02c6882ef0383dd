// How the program's threads wait for one another.
#pragma once

namespace switchyard::app {

/// Starts the program anew, once, with OpenMP threads that spin for some microseconds and then sleep; does
/// not return then. By default they spin for milliseconds, which on a machine with anything else to do
/// starves the threads they wait for: one image of a model of 64 tokens took 40 s instead of 1. libgomp reads
/// its settings when it is loaded, before main(), hence the new start (0.2 s). Someone's own OMP_WAIT_POLICY
/// or GOMP_SPINCOUNT is left alone.
void restart_with_short_waits(char** argv);

}  // namespace switchyard::app
