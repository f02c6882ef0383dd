# switchyard_cuda_objects(OUT_VAR sources.cu ...): compiles CUDA sources for SWITCHYARD_CUDA_ARCHITECTURES, where there is an nvcc.
#
# nvcc is called directly: CMake 3.25 does not know the C++20 dialect of nvcc 13, and enabling the language costs a minute of
# checks. The run-time library is linked statically, and looks for the driver when the first kernel is launched: what is built
# here starts on machines without a GPU.

option(SWITCHYARD_CUDA "Compile the CUDA kernels where nvcc is found" ON)
set(SWITCHYARD_CUDA_ARCHITECTURES "90a" CACHE STRING
    "GPUs to compile for, as a list: 80 (A100) 86 (RTX 30) 89 (RTX 40, L40) 90a (H100) 100 (B200)")

set(SWITCHYARD_NVCC "")
if(SWITCHYARD_CUDA)
  find_program(SWITCHYARD_NVCC_PROGRAM nvcc HINTS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin)
  if(SWITCHYARD_NVCC_PROGRAM)
    get_filename_component(cuda_root ${SWITCHYARD_NVCC_PROGRAM} REALPATH)
    get_filename_component(cuda_root ${cuda_root} DIRECTORY)
    get_filename_component(cuda_root ${cuda_root} DIRECTORY)
    find_library(SWITCHYARD_CUDART cudart_static HINTS ${cuda_root}/lib64 ${cuda_root}/targets/x86_64-linux/lib)
    if(SWITCHYARD_CUDART)
      set(SWITCHYARD_NVCC ${SWITCHYARD_NVCC_PROGRAM})
    endif()
  endif()
endif()
if(SWITCHYARD_NVCC)
  message(STATUS "CUDA kernels: ${SWITCHYARD_NVCC} for ${SWITCHYARD_CUDA_ARCHITECTURES}")
else()
  message(STATUS "CUDA kernels: left out (no nvcc, or SWITCHYARD_CUDA is off)")
endif()

function(switchyard_cuda_objects out)
  set(architectures "")
  foreach(architecture ${SWITCHYARD_CUDA_ARCHITECTURES})
    list(APPEND architectures -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  set(objects "")
  foreach(source ${ARGN})
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${source}.o)
    get_filename_component(folder ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${object}
      COMMAND ${SWITCHYARD_NVCC} -std=c++20 -O3 -Werror all-warnings -Xcompiler -Wall,-Wextra,-Wshadow,-Werror
              ${architectures} -I${CMAKE_SOURCE_DIR} -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d COMMENT "Compiling ${source}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  set_source_files_properties(${objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  set(${out} ${objects} PARENT_SCOPE)
endfunction()
