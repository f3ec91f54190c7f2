# The libraries that adesieve builds on. Each is opened by the files that CMakeLists.txt names, and by no other.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc>=2.4)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(MD REQUIRED IMPORTED_TARGET libmd)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.35)
find_package(ZLIB REQUIRED)

# oneDNN by header and library: its own CMake package wants OpenCL's on some distributions.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(adesieve_dnnl INTERFACE)
target_include_directories(adesieve_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(adesieve_dnnl INTERFACE ${DNNL_LIBRARY})
# A oneDNN built on OpenMP must be told, thread by thread, not to start threads of its own.
find_package(OpenMP COMPONENTS C)
if(OpenMP_C_FOUND)
  target_link_libraries(adesieve_dnnl INTERFACE OpenMP::OpenMP_C)
endif()
