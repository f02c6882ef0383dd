#include "pasted.h"

#include <X11/Xatom.h>
#include <X11/Xlib.h>

#include <chrono>
#include <thread>

namespace switchyard::gui {
namespace {

class Other {
 public:
  Other() : display_(XOpenDisplay(nullptr)) {
    window_ = XCreateSimpleWindow(display_, DefaultRootWindow(display_), 0, 0, 1, 1, 0, 0, 0);
  }
  ~Other() { XCloseDisplay(display_); }

  Atom atom(const char* name) { return XInternAtom(display_, name, False); }

  std::string name(Atom of) {
    char* text = XGetAtomName(display_, of);
    std::string copy = text;
    XFree(text);
    return copy;
  }

  std::optional<std::string> paste(const char* target) {
    const Atom clipboard = atom("CLIPBOARD"), property = atom("PASTED");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (XGetSelectionOwner(display_, clipboard) == None && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    XConvertSelection(display_, clipboard, atom(target), property, window_, CurrentTime);
    XEvent event;
    do {
      XNextEvent(display_, &event);
    } while (event.type != SelectionNotify);
    if (event.xselection.property == None) return std::nullopt;
    Atom type;
    int bits;
    unsigned long count, left;
    unsigned char* data = nullptr;
    XGetWindowProperty(display_, window_, property, 0, 1 << 24, True, AnyPropertyType, &type, &bits, &count,
                       &left, &data);
    const size_t size = bits == 32 ? sizeof(long) : static_cast<size_t>(bits) / 8;  // 32 bits come as long
    std::string bytes(reinterpret_cast<char*>(data), count * size);
    XFree(data);
    return bytes;
  }

 private:
  Display* display_;
  ::Window window_;
};

}  // namespace

std::optional<std::string> pasted(const char* target) { return Other().paste(target); }

std::vector<std::string> pasted_targets() {
  Other other;
  const auto bytes = other.paste("TARGETS").value_or("");
  std::vector<std::string> names;
  for (size_t i = 0; i + sizeof(Atom) <= bytes.size(); i += sizeof(Atom)) {
    Atom one;
    bytes.copy(reinterpret_cast<char*>(&one), sizeof one, i);
    names.push_back(other.name(one));
  }
  return names;
}

}  // namespace switchyard::gui
