# `cmake --install`: library, plugin, header, pkg-config file, CMake package, command, manual page, default model.
if(SKBUILD) # a Python package holds less, in other places
  include(cmake/python.cmake)
  return()
endif()
include(CMakePackageConfigHelpers)

set(MODEL_DIR ${CMAKE_INSTALL_DATADIR}/adesieve/models)
install(TARGETS adesieve EXPORT adesieve-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET adesieve_cuda) # beside the library, where it is looked for
  install(TARGETS adesieve_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_SKIP)
endif()
install(EXPORT adesieve-targets NAMESPACE adesieve:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/adesieve)
configure_package_config_file(cmake/adesieve-config.cmake.in adesieve-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/adesieve PATH_VARS MODEL_DIR)
write_basic_package_version_file(adesieve-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/adesieve-config.cmake ${PROJECT_BINARY_DIR}/adesieve-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/adesieve)

# The pkg-config file finds the prefix from where it lies, so that an installation can be moved.
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE PC_LIBDIR)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE PC_INCLUDEDIR)
file(RELATIVE_PATH PC_PREFIX ${PC_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${PC_LIBDIR})
file(RELATIVE_PATH PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${PC_INCLUDEDIR})
configure_file(cmake/adesieve.pc.in adesieve.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/adesieve.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY models/ DESTINATION ${MODEL_DIR})

if(TARGET adesieve_command)
  set_target_properties(adesieve_command PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS adesieve_command DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The manual page and the completions come from the command's own table of options.
  add_custom_command(OUTPUT adesieve.1 adesieve.bash
    COMMAND adesieve_command --help-man > adesieve.1
    COMMAND adesieve_command --help-bash > adesieve.bash
    DEPENDS adesieve_command VERBATIM)
  add_custom_target(adesieve_manual ALL DEPENDS adesieve.1 adesieve.bash)
  install(FILES ${PROJECT_BINARY_DIR}/adesieve.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${PROJECT_BINARY_DIR}/adesieve.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME adesieve)
endif()
