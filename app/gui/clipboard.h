// An image on the clipboard: GLFW knows text only, so this owns the X11 selection itself, on a thread and a connection of
// its own, until somebody else copies something.
#pragma once

#include <memory>
#include <string>

namespace switchyard::gui {

class Clipboard {
 public:
  Clipboard();
  ~Clipboard();  // what was copied is gone then, as X11 has it
  Clipboard(const Clipboard&) = delete;
  Clipboard& operator=(const Clipboard&) = delete;

  /// Offers the bytes of a PNG file as image/png, from now on. Throws std::runtime_error where there is no X11 display,
  /// and for more bytes than it takes in one piece (at least 256 KB, mostly 16 MB).
  void copy_png(std::string bytes);

 private:
  class Owner;
  std::unique_ptr<Owner> owner_;  // since the first copy
};

}  // namespace switchyard::gui
