# QUANT_STE_BUILD_PYTHON, on where nanobind is found for the Python of
# scripts/setup.sh, or for Python_EXECUTABLE. A sanitized library cannot be
# loaded by a Python that is not.
if(NOT Python_EXECUTABLE AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
  set(Python_EXECUTABLE ${PROJECT_SOURCE_DIR}/.venv/bin/python CACHE FILEPATH
      "The Python to build the package for")
endif()
find_program(QUANT_STE_PYTHON3 python3)
if(Python_EXECUTABLE)
  set(python ${Python_EXECUTABLE})
else()
  set(python ${QUANT_STE_PYTHON3})
endif()
execute_process(COMMAND ${python} -m nanobind --cmake_dir
                OUTPUT_VARIABLE QUANT_STE_NANOBIND_DIR ERROR_QUIET
                OUTPUT_STRIP_TRAILING_WHITESPACE)
# What compilers say of nanobind's and torch's headers is not ours to mend.
if(QUANT_STE_NANOBIND_DIR AND NOT QUANT_STE_SANITIZERS AND
   NOT QUANT_STE_WARNINGS_AS_ERRORS)
  set(hasNanobind ON)
else()
  set(hasNanobind OFF)
endif()
option(QUANT_STE_BUILD_PYTHON "Build the Python package" ${hasNanobind})
