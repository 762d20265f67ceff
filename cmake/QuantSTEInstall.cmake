# find_package(QuantSTE CONFIG) for downstream projects.
include(CMakePackageConfigHelpers)

get_property(libs GLOBAL PROPERTY QUANT_STE_LIBS)
install(TARGETS ${libs} EXPORT QuantSTETargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT QuantSTETargets NAMESPACE QuantSTE::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/QuantSTE)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/QuantSTEConfig.cmake.in
  ${PROJECT_BINARY_DIR}/lib/cmake/QuantSTE/QuantSTEConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/QuantSTE
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/lib/cmake/QuantSTE/QuantSTEConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/lib/cmake/QuantSTE/QuantSTEConfig.cmake
  ${PROJECT_BINARY_DIR}/lib/cmake/QuantSTE/QuantSTEConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/QuantSTE)
foreach(root ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  install(DIRECTORY ${root}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc"
          PATTERN CMakeFiles EXCLUDE)
endforeach()
