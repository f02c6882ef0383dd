# switchyard_layer(NAME SOURCES ... [DEPENDS layers...] [LIBRARIES external...])
#
# A layer is a static library whose headers are found as "NAME/file.h" by those that depend on it, directly or through another
# layer, and by nobody else: the include folder of each layer holds nothing but a link to that layer. An arrow that points
# upwards or sideways does not compile.

set(SWITCHYARD_WARNINGS -Wall -Wextra -Wpedantic -Wshadow)

add_library(switchyard_options INTERFACE)
target_compile_options(switchyard_options INTERFACE ${SWITCHYARD_WARNINGS})
# Contraction to fused multiply-add differs between compilers and processors; images must not.
target_compile_options(switchyard_options INTERFACE -ffp-contract=off)
if(NOT SWITCHYARD_SANITIZE)  # the sanitizers' instrumentation makes g++ 12 warn inside libstdc++
  target_compile_options(switchyard_options INTERFACE -Werror)
else()
  target_compile_options(switchyard_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -g1)
  target_link_options(switchyard_options INTERFACE -fsanitize=address,undefined)
endif()
if(SWITCHYARD_FUZZ)  # libFuzzer's guidance, and which lines and branches it reached
  set(coverage -fprofile-instr-generate -fcoverage-mapping)
  target_compile_options(switchyard_options INTERFACE -fsanitize=fuzzer-no-link -fno-sanitize-recover=all ${coverage})
  target_compile_definitions(switchyard_options INTERFACE _GLIBCXX_ASSERTIONS)
  target_link_options(switchyard_options INTERFACE ${coverage})
endif()

# ccache, where it is installed, makes a second build of the same sources a matter of seconds. The precompiled header needs the
# two leniencies, and -fpch-preprocess.
find_program(SWITCHYARD_CCACHE ccache)
if(SWITCHYARD_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${SWITCHYARD_CCACHE})
  target_compile_options(switchyard_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endif()

# One precompiled header for everything that uses libtorch: 14 s of parsing per file become 2 s.
file(WRITE ${CMAKE_BINARY_DIR}/pch.cc.in "// Owns the precompiled header.\n")
configure_file(${CMAKE_BINARY_DIR}/pch.cc.in ${CMAKE_BINARY_DIR}/pch.cc COPYONLY)
add_library(switchyard_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
target_link_libraries(switchyard_pch PUBLIC torch PRIVATE switchyard_options)
target_precompile_headers(switchyard_pch PRIVATE <ATen/ATen.h> <torch/csrc/autograd/custom_function.h>)

# SWITCHYARD_APP_SANITIZER instruments the layers in which the app's threads meet, and none below them: what these compute
# with, libtorch and OpenMP, has barriers that ThreadSanitizer does not see, so that it would find races in every loop.
if(SWITCHYARD_APP_SANITIZER)
  set(SWITCHYARD_SANITIZED_LAYERS pipeline studio gui CACHE STRING "Which SWITCHYARD_APP_SANITIZER is for")
  set(sanitizer -fsanitize=${SWITCHYARD_APP_SANITIZER} -fno-omit-frame-pointer -g1 -O1)
  add_library(switchyard_sanitized_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
  target_link_libraries(switchyard_sanitized_pch PUBLIC torch PRIVATE switchyard_options)
  target_compile_options(switchyard_sanitized_pch PRIVATE ${sanitizer} -Wno-error)
  target_precompile_headers(switchyard_sanitized_pch PRIVATE <ATen/ATen.h> <torch/csrc/autograd/custom_function.h>)
endif()

function(switchyard_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX MATCH "^[^/]+" folder "${folder}")  # headers are found by their path: "app/cli/usage.h" too
  if(NOT folder)
    set(folder ${name})
  endif()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include/${name})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_BINARY_DIR}/include/${name}/${folder} SYMBOLIC)
  target_include_directories(${name} PUBLIC ${CMAKE_BINARY_DIR}/include/${name})
  target_link_libraries(${name} PUBLIC torch ${arg_DEPENDS} ${arg_LIBRARIES} PRIVATE switchyard_options)
  if(name IN_LIST SWITCHYARD_SANITIZED_LAYERS)
    target_compile_options(${name} PRIVATE ${sanitizer} -Wno-error)
    target_link_options(${name} PUBLIC -fsanitize=${SWITCHYARD_APP_SANITIZER})
    target_precompile_headers(${name} REUSE_FROM switchyard_sanitized_pch)
  else()
    target_precompile_headers(${name} REUSE_FROM switchyard_pch)
  endif()
endfunction()

# A program of ours: like a layer, but nothing can depend on it.
function(switchyard_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE torch ${arg_DEPENDS} ${arg_LIBRARIES} switchyard_options)
  target_precompile_headers(${name} REUSE_FROM switchyard_pch)
endfunction()
