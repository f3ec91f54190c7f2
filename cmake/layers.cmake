# ade_layer(name SOURCES file... SEES folder... [USES target...] [OPTIONS flag...])
#
# A layer is an object library that sees only the folders and libraries that it is given, so that an #include over a
# wall does not compile. All layers together make libadesieve.
function(ade_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 L "" "" "SOURCES;SEES;USES;OPTIONS")
  add_library(${name} OBJECT ${L_SOURCES})
  foreach(folder IN LISTS L_SEES)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/${folder})
  endforeach()
  target_link_libraries(${name} PRIVATE Threads::Threads ${L_USES})
  target_compile_options(${name} PRIVATE ${L_OPTIONS})
  target_compile_definitions(${name} PRIVATE ADE_BUILDING_LIBRARY)
  if(ADESIEVE_SANITIZE AND name MATCHES "^kernels_") # gcc needs minutes for instrumented vector code at -O3
    target_compile_options(${name} PRIVATE -O1)
  endif()
  set_property(GLOBAL APPEND PROPERTY ADE_LAYERS ${name})
  set_property(GLOBAL APPEND PROPERTY ADE_LAYER_USES ${L_USES})
endfunction()
