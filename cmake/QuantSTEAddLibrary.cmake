# quant_ste_add_library(<name> <source>... [DEPENDS <tablegen target>...]
#                       [LINK_LIBS <target>...])
#
# One library per room: a static, position-independent archive, exported as
# QuantSTE::<name without the prefix> and installed. All rooms share one
# precompiled header, without which a file costs 15 s of CPU.

set_property(GLOBAL PROPERTY QUANT_STE_LIBS "")

function(quant_ste_use_pch target)
  target_precompile_headers(${target} REUSE_FROM QuantSTEPCH)
endfunction()

function(quant_ste_add_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK_LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  string(REGEX REPLACE "^QuantSTE" "" short ${name})
  add_library(QuantSTE::${short} ALIAS ${name})
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${short})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_link_libraries(${name} PUBLIC ${ARG_LINK_LIBS} ${QUANT_STE_LLVM_LIBS})
  add_dependencies(${name} QuantSTEIncGen ${ARG_DEPENDS})
  quant_ste_use_pch(${name})
  set_property(GLOBAL APPEND PROPERTY QUANT_STE_LIBS ${name})
endfunction()

function(quant_ste_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} ${QUANT_STE_LLVM_LIBS})
  add_dependencies(${name} QuantSTEIncGen)
  # The shared precompiled header is built with -fPIC, not -fPIE.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  quant_ste_use_pch(${name})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
