# What bench/gpu_check.sh builds (-DSWITCHYARD_GPU_CHECK=ON): kernels, dit, what their tests need, and bench_gpu, on machines
# that have none of our libraries. Its few dependencies come from SWITCHYARD_GPU_DEPS, a folder that `bench/gpu_check.sh --pack`
# fills on a machine that has them, or else from the system.
#
#   include/nlohmann/   include/zlib.h   googletest/{include,src}   libz.a

set(SWITCHYARD_GPU_DEPS "" CACHE PATH "Folder made by bench/gpu_check.sh --pack; empty: the system's libraries")
find_package(Threads REQUIRED)
enable_testing()
target_compile_options(switchyard_options INTERFACE -Wno-error)  # its compiler may be newer than ours, and warn of more

if(SWITCHYARD_GPU_DEPS)
  set(headers ${SWITCHYARD_GPU_DEPS}/include)
  set(googletest ${SWITCHYARD_GPU_DEPS}/googletest)
  set(zlib ${SWITCHYARD_GPU_DEPS}/libz.a)
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED GLOBAL)
  target_include_directories(nlohmann_json::nlohmann_json INTERFACE ${headers})
  add_library(gtest_main STATIC ${googletest}/src/gtest-all.cc ${googletest}/src/gtest_main.cc)
  target_include_directories(gtest_main SYSTEM PUBLIC ${googletest}/include PRIVATE ${googletest})
  target_link_libraries(gtest_main PUBLIC Threads::Threads)
  add_library(GTest::gtest_main ALIAS gtest_main)
else()
  find_package(nlohmann_json REQUIRED)
  find_package(GTest REQUIRED)
  set(headers "")
  set(zlib z)
endif()

# The layer io without PNG and NumPy files and SHA-256, which alone need libpng, libzip and libcrypto.
file(GLOB io_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/io/*.cc)
list(FILTER io_sources EXCLUDE REGEX "/(npz|png|sha256)\\.cc$")
switchyard_layer(io SOURCES ${io_sources} LIBRARIES nlohmann_json::nlohmann_json ${zlib})
target_include_directories(io SYSTEM PRIVATE ${headers})

add_subdirectory(kernels)
add_subdirectory(dit)
add_subdirectory(sampler)

function(switchyard_test layer)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  switchyard_program(test_${layer} SOURCES ${arg_SOURCES} DEPENDS ${layer} ${arg_DEPENDS} LIBRARIES GTest::gtest_main)
  target_compile_definitions(test_${layer} PRIVATE SWITCHYARD_FIXTURE_DIR="${CMAKE_SOURCE_DIR}/tests/fixtures")
  add_test(NAME ${layer} COMMAND test_${layer})
endfunction()
add_subdirectory(tests/kernels)
add_subdirectory(tests/dit)

switchyard_program(bench_gpu SOURCES bench/bench_gpu.cc DEPENDS dit kernels LIBRARIES nlohmann_json::nlohmann_json)
