// How our programs end where memory does and nobody can catch it: exit code 4 and a sentence, as elsewhere. That is before
// main(), where the constructors of libtorch run, in a thread of a library, in libgomp, which ends the program with 1 where
// there is no room for a thread, and within oneDNN, which does not look at what malloc answered. There is nothing to call,
// it is enough to be linked in.
#include <cxxabi.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <typeinfo>

#include "io/atomic_file.h"

namespace {

[[noreturn]] void end() {
  ::alarm(1);  // should the next line wait for somebody who will not come
  switchyard::io::abandon_temporaries();
  const char* const parts[] = {program_invocation_short_name, ": out of memory\n"};
  for (const char* part : parts)
    if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  ::_exit(4);
}

std::terminate_handler usual_end;

void on_terminate() {
  const auto* type = abi::__cxa_current_exception_type();
  if (type != nullptr && *type == typeid(std::bad_alloc)) end();
  if (usual_end != nullptr) usual_end();
  std::abort();
}

// Whether want of memory explains what just failed.
bool memory_is_short() {
  constexpr std::size_t kShort = 256 << 20;
  return ::mmap(nullptr, kShort, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED;
}

void on_failed_exit(int status, void*) {
  if (status == EXIT_FAILURE && memory_is_short()) end();
}

struct sigaction usual_fault;

void on_fault(int) {
  if (memory_is_short()) end();
  ::sigaction(SIGSEGV, &usual_fault, nullptr);  // another fault: the instruction runs again, and ends the process
}

[[gnu::no_sanitize("address", "undefined")]] void watch_failures(int, char**, char**) {
  usual_end = std::set_terminate(on_terminate);
  struct sigaction action = {};
  action.sa_handler = on_fault;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGSEGV, &action, &usual_fault);
}

// What the dynamic linker runs before the constructors of all libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const first)(int, char**, char**) = watch_failures;

// Later: what is registered last is run first, and libraries give back memory when they end.
[[gnu::constructor]] void watch_exit() { ::on_exit(on_failed_exit, nullptr); }

}  // namespace
