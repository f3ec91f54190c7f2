# What can be chosen when adesieve is configured; cmake/cuda.cmake adds the plugin's choices.

option(ADESIEVE_TESTS "Build the tests" ON)
option(ADESIEVE_BENCHMARKS "Build the benchmark programs" OFF)
option(ADESIEVE_WERROR "Treat warnings as errors" ON)
set(ADESIEVE_SANITIZE "" CACHE STRING "Sanitizers for everything that is built: address;undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # POSIX; vector types in kernels/
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# C++ is tests/emulator, which compiles the GPU's kernels with it; CUDA's flags are in cmake/cuda.cmake.
set(flags_c -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef)
set(flags_cxx -Wall -Wextra -Wshadow -Wno-unknown-pragmas)
if(ADESIEVE_WERROR)
  list(APPEND flags_c -Werror)
  list(APPEND flags_cxx -Werror)
endif()
if(ADESIEVE_SANITIZE)
  list(JOIN ADESIEVE_SANITIZE "," sanitizers)
  set(flags_sanitize -fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  list(APPEND flags_c ${flags_sanitize})
  list(APPEND flags_cxx ${flags_sanitize})
  add_link_options(-fsanitize=${sanitizers})
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:C>:${flags_c}>" "$<$<COMPILE_LANGUAGE:CXX>:${flags_cxx}>")
