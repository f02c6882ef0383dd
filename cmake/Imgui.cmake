# Dear ImGui over GLFW and OpenGL 3.3, from the sources that `tools/setup.sh gui` put into .imgui.
#
#   imgui_headers   what panels are compiled with; they do not care which of the two they are linked with
#   imgui           for the program
#   imgui_tested    for the tests: with the Test Engine, which finds widgets by their labels and uses them. Its licence allows
#                   that, free of charge, in software that is open source; the program itself is never linked with it.
#
# The sources carry additions to imgui.h that need imgui_stacklayout.cpp.

set(imgui_sources ${CMAKE_SOURCE_DIR}/.imgui)
find_package(glfw3 3.3 QUIET)
find_package(OpenGL QUIET COMPONENTS OpenGL)
find_package(X11 QUIET)  # for an image on the clipboard; comes with GLFW
if(NOT EXISTS ${imgui_sources}/requirements.txt OR NOT glfw3_FOUND OR NOT OpenGL_FOUND OR NOT X11_FOUND)
  message(STATUS "Desktop app: left out (`make gui` installs what it needs)")
  set(SWITCHYARD_GUI OFF)
  return()
endif()
set(SWITCHYARD_GUI ON)

add_library(imgui_headers INTERFACE)
target_include_directories(imgui_headers SYSTEM INTERFACE ${imgui_sources}/imgui ${imgui_sources}/imgui/backends)
target_link_libraries(imgui_headers INTERFACE glfw OpenGL::OpenGL)

function(switchyard_imgui name)
  list(TRANSFORM ARGN PREPEND ${imgui_sources}/)
  set(core imgui imgui_draw imgui_tables imgui_widgets imgui_stacklayout misc/cpp/imgui_stdlib backends/imgui_impl_glfw backends/imgui_impl_opengl3)
  list(TRANSFORM core REPLACE "(.+)" "${imgui_sources}/imgui/\\1.cpp")
  add_library(${name} STATIC ${core} ${ARGN})
  target_compile_options(${name} PRIVATE -O2 -w)  # not ours to mend
  if(SWITCHYARD_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=address,undefined -fno-omit-frame-pointer -g1)
  endif()
  target_link_libraries(${name} PUBLIC imgui_headers PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

switchyard_imgui(imgui)
set(engine imgui_te_context imgui_te_coroutine imgui_te_engine imgui_te_exporters imgui_te_perftool imgui_te_ui imgui_te_utils
           imgui_capture_tool)
list(TRANSFORM engine REPLACE "(.+)" "imgui_test_engine/\\1.cpp")
switchyard_imgui(imgui_tested ${engine})
set_target_properties(imgui_tested PROPERTIES EXCLUDE_FROM_ALL ON)  # built with the tests
target_include_directories(imgui_tested SYSTEM PUBLIC ${imgui_sources}/imgui_test_engine)
target_compile_options(imgui_tested PRIVATE -UNDEBUG)  # its assertions are part of the tests
target_compile_definitions(imgui_tested PUBLIC IMGUI_ENABLE_TEST_ENGINE IMGUI_TEST_ENGINE_ENABLE_COROUTINE_STDTHREAD_IMPL=1
                           IMGUI_TEST_ENGINE_ENABLE_STD_FUNCTION=1)
