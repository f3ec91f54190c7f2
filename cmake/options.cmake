# What can be chosen when adesieve is configured.

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

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef)
if(ADESIEVE_WERROR)
  add_compile_options(-Werror)
endif()
if(ADESIEVE_SANITIZE)
  list(JOIN ADESIEVE_SANITIZE "," sanitizers)
  add_compile_options(-fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${sanitizers})
endif()
