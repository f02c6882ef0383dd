// Ctrl-C as a flag that loops look at, so that nothing is cut off half-way; and an end within a second where none looks.
#pragma once

namespace switchyard::app {

/// From now on the first SIGINT, SIGTERM or SIGHUP sets the flag. A command that goes on for most of a second nevertheless,
/// in a long read or product, is ended with 130 and its temporaries are removed. A second SIGINT or SIGTERM ends the
/// program at once; of SIGHUP there are often two, of the shell and of the system. One that is ignored (nohup) stays so.
void watch_interrupts();

/// From now on the flag is all that a signal does: for a command that has to write down what it did.
void take_time_to_stop();

bool interrupted();

/// Thrown by a command that stopped because of interrupted() (exit code 130).
struct Cancelled {};

/// Throws Cancelled where interrupted().
void stop_if_interrupted();

}  // namespace switchyard::app
