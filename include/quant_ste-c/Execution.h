/*===- Execution.h - compile and call from C -----------------------*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Text of a module in, callable functions out. No C++ type and no exception
|* crosses this interface; nothing in it writes to the terminal.
|*
|* A function that can fail returns false (or NULL) and sets *error to a message
|* that quant_ste_error_free frees. `error` itself may be NULL.
|*
\*===----------------------------------------------------------------------===*/

#ifndef QUANT_STE_C_EXECUTION_H
#define QUANT_STE_C_EXECUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Functions of one module, compiled or to be evaluated. */
typedef struct quant_ste_module quant_ste_module;
/* What one call returned. */
typedef struct quant_ste_results quant_ste_results;

typedef enum quant_ste_element_type {
  QUANT_STE_F16 = 0,
  QUANT_STE_BF16 = 1,
  QUANT_STE_F32 = 2,
  QUANT_STE_F64 = 3,
  QUANT_STE_I1 = 4, /* one byte, 0 or 1 */
  QUANT_STE_I8 = 5,
  QUANT_STE_I16 = 6,
  QUANT_STE_I32 = 7,
  QUANT_STE_I64 = 8,
  QUANT_STE_UI8 = 9,
  QUANT_STE_UI16 = 10,
  QUANT_STE_UI32 = 11,
  QUANT_STE_UI64 = 12,
  QUANT_STE_INDEX = 13 /* 8 bytes */
} quant_ste_element_type;

/* A tensor, or a scalar (rank 0). Strides count elements and may be negative;
 * NULL means row-major without gaps. */
typedef struct quant_ste_array {
  void *data;
  int32_t element_type; /* quant_ste_element_type */
  int32_t rank;
  const int64_t *sizes;
  const int64_t *strides;
} quant_ste_array;

/* Zero-initialize; a field that is NULL or 0 has its default. */
typedef struct quant_ste_compile_options {
  /* Options of quant-ste-cpu-pipeline, "openmp=false". */
  const char *pipeline_options;
  /* As in llc -mcpu and -mattr; NULL: this machine's. */
  const char *cpu;
  const char *features;
  /* Code generation, 1 + the level of clang -O; 0: the default, -O2. */
  int32_t opt_level_plus_one;
  /* Do not compile: evaluate the gradient rules op by op on the host, exactly.
   * Slow; for tests. */
  bool reference;
  /* "cpu" or NULL; "cuda", or "cuda:sm_90": kernels for an NVIDIA GPU, whose
   * driver is needed to call them. The pipeline's options are then those of
   * quant-ste-gpu-pipeline. Arrays stay in the memory of the host: each call
   * copies. */
  const char *target;
} quant_ste_compile_options;

/* Parses a module (text, or bytecode) and compiles its public functions.
 * `options` may be NULL. */
quant_ste_module *quant_ste_compile(const char *text, size_t length,
                                    const quant_ste_compile_options *options,
                                    char **error);
void quant_ste_module_free(quant_ste_module *module);

/* The public functions, in the order of the text. */
int32_t quant_ste_module_function_count(const quant_ste_module *module);
const char *quant_ste_module_function_name(const quant_ste_module *module,
                                           int32_t function);
/* The index of a function by name (NULL: the only one), or -1. */
int32_t quant_ste_module_lookup(const quant_ste_module *module,
                                const char *name, char **error);
/* "(2x?xf32, f32) -> (f32)", for people. */
char *quant_ste_function_signature(const quant_ste_module *module,
                                   int32_t function);

/* Checks the arguments, calls, and gives the results, or NULL. The arguments
 * are copied where they have gaps, and not written to unless the module says
 * so of one (`bufferization.writable = true`). Several threads may
 * call functions of one compiled module at once. */
quant_ste_results *quant_ste_call(const quant_ste_module *module,
                                  int32_t function,
                                  const quant_ste_array *arguments,
                                  int32_t num_arguments, char **error);
int32_t quant_ste_results_count(const quant_ste_results *results);
/* Contiguous; lives as long as `results`. */
const quant_ste_array *quant_ste_results_get(const quant_ste_results *results,
                                             int32_t result);
void quant_ste_results_free(quant_ste_results *results);

/* Also frees the string of quant_ste_function_signature. */
void quant_ste_error_free(char *error);

/* The number of threads of parallel loops called from this thread. */
void quant_ste_set_thread_count(int32_t count);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_C_EXECUTION_H */
