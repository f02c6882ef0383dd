// Ctrl-C as a flag that loops look at, so that nothing is cut off half-way.
#pragma once

namespace switchyard::app {

/// From now on the first SIGINT and the first SIGTERM only set the flag; a second one ends the program at
/// once.
void watch_interrupts();

bool interrupted();

/// Thrown by a command that stopped because of interrupted() (exit code 130).
struct Cancelled {};

}  // namespace switchyard::app
