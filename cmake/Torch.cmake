# Finds libtorch and offers it as the target `torch`.
#
# SWITCHYARD_TORCH is the folder that holds include/ and lib/: someone's own libtorch, or by default the pinned wheel
# that tools/setup.sh put into .venv. Only the CPU libraries are required; the CUDA ones are linked where there is
# an NVIDIA driver, or with -DSWITCHYARD_TORCH_CUDA=ON, for programs that will run elsewhere.
# (find_package(Torch) would drag in a CUDA tool-chain check that CMake 3.25 fails with nvcc 13.)

set(SWITCHYARD_TORCH "" CACHE PATH "Folder of a libtorch (include/ and lib/); default: the wheel in .venv")
if(NOT SWITCHYARD_TORCH)
  file(GLOB wheel ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
  if(wheel)
    list(GET wheel -1 SWITCHYARD_TORCH)
  endif()
endif()
if(NOT EXISTS "${SWITCHYARD_TORCH}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No libtorch in '${SWITCHYARD_TORCH}' (expected lib/libtorch_cpu.so there). "
                      "Run `make setup`, or pass -DSWITCHYARD_TORCH=DIR.")
endif()

add_library(torch INTERFACE)
target_include_directories(torch SYSTEM INTERFACE
  ${SWITCHYARD_TORCH}/include ${SWITCHYARD_TORCH}/include/torch/csrc/api/include)
target_link_libraries(torch INTERFACE ${SWITCHYARD_TORCH}/lib/libtorch_cpu.so ${SWITCHYARD_TORCH}/lib/libc10.so)
target_link_options(torch INTERFACE -Wl,-rpath,${SWITCHYARD_TORCH}/lib)
find_program(SWITCHYARD_NVIDIA_SMI nvidia-smi)
if(NOT DEFINED SWITCHYARD_TORCH_CUDA AND SWITCHYARD_NVIDIA_SMI AND EXISTS ${SWITCHYARD_TORCH}/lib/libtorch_cuda.so)
  set(SWITCHYARD_TORCH_CUDA ON)
endif()
if(SWITCHYARD_TORCH_CUDA)
  # Linked although hardly anything refers to it: it registers its kernels when it is loaded. The wheel always holds it, but
  # the NVIDIA libraries that it needs are installed only where there is a driver.
  target_link_options(torch INTERFACE -Wl,--allow-shlib-undefined)  # its own dependencies it finds when it is loaded
  target_link_libraries(torch INTERFACE -Wl,--no-as-needed ${SWITCHYARD_TORCH}/lib/libtorch_cuda.so
                                        ${SWITCHYARD_TORCH}/lib/libc10_cuda.so -Wl,--as-needed)
  # For kernels/cuda/graph.cc, which does: libtorch's headers include the toolkit's.
  find_path(SWITCHYARD_CUDA_INCLUDE cuda_runtime_api.h
            HINTS $ENV{CUDA_HOME}/include /usr/local/cuda/include /usr/local/cuda/targets/x86_64-linux/include)
endif()
