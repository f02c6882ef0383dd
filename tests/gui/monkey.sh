#!/usr/bin/env bash
# monkey.sh MONKEY [EVENTS] [SEED]: the monkey (see monkey.cc) on a display that nobody sees. Built with a sanitizer, it ends with
# the first thing that this reports, also with a leak; what other libraries are known for is in lsan.supp and tsan.supp.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
command -v xvfb-run >/dev/null || { echo "skipped: no xvfb-run"; exit; }

export LIBGL_ALWAYS_SOFTWARE=1 OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}
export LSAN_OPTIONS=suppressions=$here/lsan.supp:print_suppressions=0:${LSAN_OPTIONS:-}
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:${UBSAN_OPTIONS:-}
export TSAN_OPTIONS=suppressions=$here/tsan.supp:halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}
# ThreadSanitizer does not see what orders the threads of OpenMP, which libtorch computes with: it has none of them then.
if grep -q __tsan_init "$1"; then export OMP_NUM_THREADS=1; fi

# Without -noreset the display starts anew when the window is closed, and the next one may find none.
exec xvfb-run -a -s "-screen 0 1280x800x24 -noreset" "$@"
