#include "app/cli/interrupt.h"

#include <semaphore.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string_view>
#include <system_error>
#include <thread>

#include "io/atomic_file.h"

namespace switchyard::app {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(700);

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t flag = 0;
sem_t arrived;
std::atomic<bool> takes_time = false;

void on_signal(int) {
  const int error = errno;
  flag = 1;
  sem_post(&arrived);
  errno = error;
}

void end_when_time_is_up() {
  while (sem_wait(&arrived) != 0) {
  }
  std::this_thread::sleep_for(kPatience);
  if (takes_time) return;
  io::abandon_temporaries();
  constexpr std::string_view kSaid = "switchyard: cancelled\n", kErase = "\r\x1b[K";
  if (::isatty(STDERR_FILENO) == 1) static_cast<void>(!::write(STDERR_FILENO, kErase.data(), kErase.size()));
  static_cast<void>(!::write(STDERR_FILENO, kSaid.data(), kSaid.size()));
  ::_exit(130);
}

}  // namespace

void watch_interrupts() {
  sem_init(&arrived, 0, 0);
  // It must take no signal itself: a handler beside work that holds the heap is fine, an unexpected EINTR is not.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(end_when_time_is_up).detach();
  } catch (const std::system_error&) {
    // Without memory for a thread the flag alone has to do.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    action.sa_flags = SA_RESTART | (signal == SIGHUP ? 0 : static_cast<int>(SA_RESETHAND));
    struct sigaction old = {};
    if (signal == SIGHUP && sigaction(signal, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
}

void take_time_to_stop() { takes_time = true; }

bool interrupted() { return flag != 0; }

void stop_if_interrupted() {
  if (interrupted()) throw Cancelled();
}

}  // namespace switchyard::app
