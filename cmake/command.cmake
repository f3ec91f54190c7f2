# The command is a client like any other: of adesieve it sees include/ only.
file(GLOB command_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
if(command_sources)
  add_executable(adesieve_command ${command_sources})
  set_target_properties(adesieve_command PROPERTIES OUTPUT_NAME adesieve)
  target_include_directories(adesieve_command PRIVATE ${PROJECT_SOURCE_DIR}/src/cli)
  target_link_libraries(adesieve_command PRIVATE adesieve PkgConfig::JANSSON ZLIB::ZLIB Threads::Threads m)
endif()
