# What goes into the Python package, beside its modules: library, plugin, command and models. scikit-build-core sets
# SKBUILD (python_bindings/pyproject.toml), and the prefix is the package's own folder:
#   adesieve/libadesieve.so.0  adesieve/libadesieve_cuda.so.0  adesieve/models/NAME/...  adesieve/bin/adesieve

if(NOT SKBUILD_PROJECT_VERSION STREQUAL PROJECT_VERSION)
  message(FATAL_ERROR "The Python package is version ${SKBUILD_PROJECT_VERSION} (adesieve/_version.py), the library "
    "${PROJECT_VERSION} (include/adesieve.h); write the header's into _version.py.")
endif()

# A wheel holds no symbolic links: one file, named as programs look for it.
set_target_properties(adesieve PROPERTIES VERSION ${PROJECT_VERSION_MAJOR})
install(TARGETS adesieve LIBRARY DESTINATION . NAMELINK_SKIP)
if(TARGET adesieve_cuda) # beside the library, where it is looked for
  # nvcc's messages and ours name source files; not where they lay on the machine that built the package.
  target_compile_options(adesieve_cuda PRIVATE -Xcompiler=-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
  # gcc 12's libgcc asks for glibc 2.35 where it is linked into a library, and for nothing where it is the system's,
  # which a wheel may count on: so the plugin runs wherever the rest does.
  get_target_property(cuda_link_options adesieve_cuda LINK_OPTIONS)
  list(REMOVE_ITEM cuda_link_options -static-libgcc)
  set_target_properties(adesieve_cuda PROPERTIES LINK_OPTIONS "${cuda_link_options}")
  install(TARGETS adesieve_cuda LIBRARY DESTINATION . NAMELINK_SKIP)
endif()
set_target_properties(adesieve_command PROPERTIES INSTALL_RPATH "$ORIGIN/..")
install(TARGETS adesieve_command DESTINATION bin)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION models)
