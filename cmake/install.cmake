# `cmake --install`: library, header, pkg-config file, CMake package, command, manual page, default model.
include(CMakePackageConfigHelpers)

set(MODEL_DIR ${CMAKE_INSTALL_DATADIR}/adesieve/models)
install(TARGETS adesieve EXPORT adesieve-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT adesieve-targets NAMESPACE adesieve:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/adesieve)
configure_package_config_file(cmake/adesieve-config.cmake.in adesieve-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/adesieve PATH_VARS MODEL_DIR)
write_basic_package_version_file(adesieve-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/adesieve-config.cmake ${PROJECT_BINARY_DIR}/adesieve-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/adesieve)

# pkg-config paths must also be right when CMAKE_INSTALL_LIBDIR is absolute.
cmake_path(APPEND CMAKE_INSTALL_PREFIX ${CMAKE_INSTALL_LIBDIR} OUTPUT_VARIABLE PC_LIBDIR)
cmake_path(APPEND CMAKE_INSTALL_PREFIX ${CMAKE_INSTALL_INCLUDEDIR} OUTPUT_VARIABLE PC_INCLUDEDIR)
configure_file(cmake/adesieve.pc.in adesieve.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/adesieve.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY models/ DESTINATION ${MODEL_DIR})

if(TARGET adesieve_command)
  set_target_properties(adesieve_command PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS adesieve_command DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
