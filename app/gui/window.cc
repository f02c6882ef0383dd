#include "app/gui/window.h"

#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>
#include <imgui_internal.h>

#include <algorithm>
#include <utility>

namespace switchyard::gui {
namespace {

std::string last_error() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text ? text : "unknown reason";
}

bool is_modifier(ImGuiKey key) {
  return (key & ImGuiMod_Mask_) || (key >= ImGuiKey_LeftCtrl && key <= ImGuiKey_RightSuper);
}

// How many of the events may be seen by one frame: a modifier that changes after a key was pressed belongs to the next,
// or a frame that sees Ctrl down, Enter down, Ctrl up at once would know of Enter alone.
int within_one_frame(const ImVector<ImGuiInputEvent>& events) {
  bool pressed = false;
  for (int i = 0; i < events.Size; ++i) {
    if (events[i].Type != ImGuiInputEventType_Key) continue;
    const bool modifier = is_modifier(events[i].Key.Key);
    if (modifier && pressed) return i;
    pressed = pressed || (!modifier && events[i].Key.Down);
  }
  return events.Size;
}

}  // namespace

Window::Window(const WindowOptions& options) {
  if (!glfwInit()) {
    throw NoWindow("no display to open a window on (" + last_error() +
                   "); `switchyard sample` draws without one");
  }
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_VISIBLE, options.visible);
  int width = options.width, height = options.height;
  if (GLFWmonitor* monitor = glfwGetPrimaryMonitor()) {
    int x, y, most_width, most_height;
    glfwGetMonitorWorkarea(monitor, &x, &y, &most_width, &most_height);
    if (most_width > 0 && most_height > 0) {
      width = std::min(width, most_width), height = std::min(height, most_height);
    }
  }
  window_ = glfwCreateWindow(width, height, options.title.c_str(), nullptr, nullptr);
  if (!window_) {
    const auto reason = last_error();
    glfwTerminate();
    throw NoWindow("this display has no OpenGL 3.3 (" + reason + "); `switchyard sample` draws without it");
  }
  glfwSetWindowSizeLimits(window_, 640, 480, GLFW_DONT_CARE, GLFW_DONT_CARE);
  glfwMakeContextCurrent(window_);
  glfwSwapInterval(options.visible ? 1 : 0);
  glfwSetWindowUserPointer(window_, this);
  glfwSetWindowRefreshCallback(window_, [](GLFWwindow* window) {
    static_cast<Window*>(glfwGetWindowUserPointer(window))->exposed_ = true;
  });
  glfwSetFramebufferSizeCallback(window_, [](GLFWwindow* window, int, int) {
    static_cast<Window*>(glfwGetWindowUserPointer(window))->exposed_ = true;
  });
  glfwSetDropCallback(window_, [](GLFWwindow* window, int count, const char** paths) {
    static_cast<Window*>(glfwGetWindowUserPointer(window))->drop({paths, paths + count});
  });

  IMGUI_CHECKVERSION();
  ImGui::CreateContext();
  ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_DockingEnable;
  ImGui::GetIO().IniFilename = nullptr;  // the layout is kept by layout.cc
  ImGui_ImplGlfw_InitForOpenGL(window_, true);
  ImGui_ImplOpenGL3_Init("#version 330");
  painter_.emplace();
}

Window::~Window() {
  painter_.reset();
  ImGui_ImplOpenGL3_Shutdown();
  ImGui_ImplGlfw_Shutdown();
  ImGui::DestroyContext();
  glfwDestroyWindow(window_);
  glfwTerminate();
}

bool Window::closing() const { return glfwWindowShouldClose(window_); }
void Window::close() { glfwSetWindowShouldClose(window_, GLFW_TRUE); }
void Window::set_title(const std::string& title) { glfwSetWindowTitle(window_, title.c_str()); }
void Window::resize(int width, int height) { glfwSetWindowSize(window_, width, height); }
void Window::wake() { glfwPostEmptyEvent(); }

double Window::monitor_scale() const {
  float x = 1, y = 1;
  glfwGetWindowContentScale(window_, &x, &y);
  return std::clamp(static_cast<double>(x), 1.0, 4.0);
}

bool Window::wait(double seconds) {
  if (seconds > 0) {
    glfwWaitEventsTimeout(seconds);
  } else {
    glfwPollEvents();
  }
  return std::exchange(exposed_, false) || !dropped_.empty() || closing() ||
         !ImGui::GetCurrentContext()->InputEventsQueue.empty();
}

std::vector<std::filesystem::path> Window::take_dropped() { return std::exchange(dropped_, {}); }

void Window::drop(const std::vector<std::filesystem::path>& files) {
  dropped_.insert(dropped_.end(), files.begin(), files.end());
}

void Window::begin_frame() {
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  auto& events = ImGui::GetCurrentContext()->InputEventsQueue;
  const auto held = within_one_frame(events);
  const ImVector<ImGuiInputEvent> all = events;
  events.resize(held);
  ImGui::NewFrame();
  for (int i = held; i < all.Size; ++i) events.push_back(all[i]);
}

void Window::paint() {
  int width, height;
  glfwGetFramebufferSize(window_, &width, &height);
  painter_->paint(*ImGui::GetDrawData(), width, height);
}

void Window::repaint() {
  const bool partly = std::exchange(painter_->partly, false);
  paint();
  painter_->partly = partly;
}

void Window::end_frame() {
  ImGui::Render();
  paint();
  glfwSwapBuffers(window_);
}

}  // namespace switchyard::gui
