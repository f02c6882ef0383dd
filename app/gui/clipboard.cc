// Source: the Inter-Client Communication Conventions Manual, chapter 2 (selections).
#include "app/gui/clipboard.h"

#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace switchyard::gui {

// One thread uses the connection; the others leave it bytes and ring.
class Clipboard::Owner {
 public:
  Owner() : display_(XOpenDisplay(nullptr)) {
    if (!display_) throw std::runtime_error("no X11 display");
    // Whoever asked may be gone before it is answered, which Xlib would end the program for.
    XSetErrorHandler([](Display*, XErrorEvent*) { return 0; });
    bell_ = eventfd(0, EFD_CLOEXEC);
    window_ = XCreateSimpleWindow(display_, DefaultRootWindow(display_), 0, 0, 1, 1, 0, 0, 0);
    clipboard_ = XInternAtom(display_, "CLIPBOARD", False);
    targets_ = XInternAtom(display_, "TARGETS", False);
    png_ = XInternAtom(display_, "image/png", False);
    const long most = XExtendedMaxRequestSize(display_);  // in units of four bytes
    most_bytes_ = static_cast<size_t>(most > 0 ? most : XMaxRequestSize(display_)) * 4 - 64;
    thread_ = std::thread([this] { work(); });
  }

  ~Owner() {
    closing_ = true;
    ring();
    thread_.join();
    XCloseDisplay(display_);
    close(bell_);
  }

  void offer(std::string bytes) {
    if (bytes.size() > most_bytes_) {
      throw std::runtime_error("the clipboard takes " + std::to_string(most_bytes_) +
                               " bytes at once, the image has " + std::to_string(bytes.size()));
    }
    {
      const std::lock_guard lock(mutex_);
      bytes_ = std::move(bytes);
    }
    ring();
  }

 private:
  void ring() { eventfd_write(bell_, 1); }

  void work() {
    pollfd from[] = {{.fd = bell_, .events = POLLIN, .revents = 0},
                     {.fd = ConnectionNumber(display_), .events = POLLIN, .revents = 0}};
    while (poll(from, 2, -1) >= 0 && !closing_) {
      if (from[0].revents) {
        eventfd_t rung;
        eventfd_read(bell_, &rung);
        XSetSelectionOwner(display_, clipboard_, window_, CurrentTime);
        XFlush(display_);
      }
      if (from[1].revents & (POLLHUP | POLLERR)) return;
      while (XPending(display_) > 0) {
        XEvent event;
        XNextEvent(display_, &event);
        if (event.type == SelectionRequest) answer(event.xselectionrequest);
      }
    }
  }

  // What it can be had as, or the image; no property: not that.
  void answer(const XSelectionRequestEvent& asked) {
    XEvent reply{};
    reply.xselection = {.type = SelectionNotify,
                        .serial = 0,
                        .send_event = True,
                        .display = display_,
                        .requestor = asked.requestor,
                        .selection = asked.selection,
                        .target = asked.target,
                        .property = asked.property ? asked.property : asked.target,
                        .time = asked.time};
    const auto put = [&](Atom type, int bits, const void* data, size_t count) {
      XChangeProperty(display_, asked.requestor, reply.xselection.property, type, bits, PropModeReplace,
                      static_cast<const unsigned char*>(data), static_cast<int>(count));
    };
    const std::lock_guard lock(mutex_);
    if (asked.target == targets_) {
      const Atom offered[] = {targets_, png_};
      put(XA_ATOM, 32, offered, std::size(offered));
    } else if (asked.target == png_) {
      put(png_, 8, bytes_.data(), bytes_.size());
    } else {
      reply.xselection.property = None;
    }
    XSendEvent(display_, asked.requestor, False, NoEventMask, &reply);
    XFlush(display_);
  }

  Display* display_;
  int bell_ = -1;
  ::Window window_ = None;
  Atom clipboard_ = None, targets_ = None, png_ = None;
  size_t most_bytes_ = 0;
  std::mutex mutex_;
  std::string bytes_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

Clipboard::Clipboard() = default;
Clipboard::~Clipboard() = default;

void Clipboard::copy_png(std::string bytes) {
  if (!owner_) owner_ = std::make_unique<Owner>();
  owner_->offer(std::move(bytes));
}

}  // namespace switchyard::gui
