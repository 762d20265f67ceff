# LLVM and MLIR 22.1, as Debian packages them or as built from source, linked
# as the shared libMLIR and libLLVM, or (QUANT_STE_STATIC_LLVM, for wheels) as
# archives. QUANT_STE_LLVM_LIBS is what to link to.

if(NOT MLIR_DIR)
  find_program(QUANT_STE_LLVM_CONFIG NAMES llvm-config-22 llvm-config)
  if(QUANT_STE_LLVM_CONFIG)
    execute_process(COMMAND ${QUANT_STE_LLVM_CONFIG} --prefix
                    OUTPUT_VARIABLE QUANT_STE_LLVM_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
    list(APPEND CMAKE_PREFIX_PATH ${QUANT_STE_LLVM_PREFIX})
  endif()
endif()
find_package(MLIR 22.1 CONFIG)
if(NOT MLIR_FOUND)
  message(FATAL_ERROR
    "quant_ste needs LLVM and MLIR 22.1, found none (versions seen: "
    "${MLIR_CONSIDERED_VERSIONS}). On Debian: apt-get install libmlir-22-dev "
    "mlir-22-tools llvm-22-dev; elsewhere set MLIR_DIR to <prefix>/lib/cmake/mlir.")
endif()
message(STATUS "LLVM ${LLVM_PACKAGE_VERSION}: ${MLIR_DIR}")

list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
# HandleLLVMOptions sets RTTI, exceptions and warnings as LLVM itself was built.
set(LLVM_ENABLE_WARNINGS ON)
include(HandleLLVMOptions)

include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
include_directories(BEFORE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)

# What the two compilers say of LLVM's own headers is not ours to mend.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-maybe-uninitialized -Wno-dangling-reference)
endif()
if(NOT LLVM_ENABLE_RTTI)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
endif()
if(QUANT_STE_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
if(QUANT_STE_SANITIZERS)
  add_compile_options(-fsanitize=${QUANT_STE_SANITIZERS} -fno-omit-frame-pointer
                      -fno-sanitize=vptr -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QUANT_STE_SANITIZERS})
  # Clang puts the sanitizers' symbols into executables only.
  string(REPLACE "-Wl,-z,defs" "" CMAKE_SHARED_LINKER_FLAGS
         "${CMAKE_SHARED_LINKER_FLAGS}")
endif()

find_program(QUANT_STE_LLD NAMES ld.lld-22 ld.lld)
if(QUANT_STE_LLD AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_link_options(--ld-path=${QUANT_STE_LLD})
endif()

# ccache must be told that a precompiled header is part of the input.
find_program(QUANT_STE_CCACHE ccache)
if(QUANT_STE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${QUANT_STE_CCACHE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  else()
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

set(QUANT_STE_LLVM_LIBS MLIR LLVM)
if(QUANT_STE_STATIC_LLVM)
  file(GLOB archives ${LLVM_LIBRARY_DIR}/libMLIR*.a ${LLVM_LIBRARY_DIR}/libLLVM*.a)
  list(FILTER archives EXCLUDE REGEX "libMLIR(CAPI|.*Test)")
  list(JOIN archives "," archives)
  find_library(QUANT_STE_ZLIB NAMES z libz.so.1 REQUIRED)
  find_library(QUANT_STE_ZSTD NAMES zstd libzstd.so.1 REQUIRED)
  add_library(QuantSTELLVM INTERFACE IMPORTED GLOBAL)
  target_link_libraries(QuantSTELLVM INTERFACE
    "$<LINK_GROUP:RESCAN,${archives}>" ${QUANT_STE_ZLIB} ${QUANT_STE_ZSTD})
  target_link_options(QuantSTELLVM INTERFACE LINKER:--gc-sections)
  set(QUANT_STE_LLVM_LIBS QuantSTELLVM)
endif()
