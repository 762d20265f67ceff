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

/* Where compiled code is kept, for any number of processes. Zero-initialize; a
 * field that is NULL or 0 has its default. */
typedef struct quant_ste_cache {
  /* $QUANT_STE_CACHE_DIR, else quant_ste in $XDG_CACHE_HOME or ~/.cache. */
  const char *directory;
  /* The size above which what is oldest is removed; 256 MiB. */
  uint64_t max_bytes;
} quant_ste_cache;

/* As quant_ste_compile, unless the cache has the code already. `cache` may be
 * NULL. */
quant_ste_module *
quant_ste_compile_cached(const char *text, size_t length,
                         const quant_ste_compile_options *options,
                         const quant_ste_cache *cache, char **error);
/* Whether the code was found, not made. */
bool quant_ste_module_is_from_cache(const quant_ste_module *module);

/* Where quant_ste_save writes to, and for which processors. Zero-initialize; a
 * field that is NULL has its default. */
typedef struct quant_ste_save_options {
  /* As qopt-compile --target: "cpu:x86-64-v2+x86-64-v4", "aarch64"; NULL: that
   * of the compile options. */
  const char *target;
  /* Where the C header goes; beside the code. */
  const char *header;
  /* Put before the name of each function in C. */
  const char *prefix;
  /* The clang, cc or gcc that links. */
  const char *linker;
} quant_ste_save_options;

/* Compiles the public functions of a module to a file, an object (.o), a shared
 * library (.so), assembly (.s) or LLVM IR (.ll), and writes a C header. The
 * code needs nothing of this library. `options` and `save` may be NULL. */
bool quant_ste_save(const char *text, size_t length,
                    const quant_ste_compile_options *options, const char *path,
                    const quant_ste_save_options *save, char **error);

/* What gdb and perf are told of code that is compiled from here on. */
enum quant_ste_debugging {
  /* Append the names of functions to /tmp/perf-<pid>.map. */
  QUANT_STE_PERF_MAP = 1,
  /* Register the code, and lines of the text, with gdb and lldb. */
  QUANT_STE_DEBUGGER = 2
};
void quant_ste_set_debugging(int32_t flags);

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

/* The type of an argument or a result. Strings and sizes live as long as the
 * module; a negative size is known at run time only. */
typedef struct quant_ste_value_type {
  int32_t element_type; /* quant_ste_element_type */
  int32_t rank;
  const int64_t *sizes;
  const char *name; /* the attribute quant_ste.name; often "" */
  bool is_scalar;   /* not a tensor */
} quant_ste_value_type;
int32_t quant_ste_function_argument_count(const quant_ste_module *module,
                                          int32_t function);
int32_t quant_ste_function_result_count(const quant_ste_module *module,
                                        int32_t function);
/* False when there is no such argument, or result. */
bool quant_ste_function_argument(const quant_ste_module *module,
                                 int32_t function, int32_t argument,
                                 quant_ste_value_type *type);
bool quant_ste_function_result(const quant_ste_module *module, int32_t function,
                               int32_t result, quant_ste_value_type *type);

/* Compiled code itself, for callers that check the arguments; NULL when the
 * function cannot be called or is not compiled. One slot for each argument,
 * then one for each result: of a scalar, a pointer to it; of a tensor, a
 * pointer to {void *allocated, *aligned; int64_t offset, sizes[rank],
 * strides[rank]}, row-major without gaps. Of a result whose shape follows from
 * the arguments it is read: the result is written where it points. Of another
 * it is written, and its memory freed with free(allocated). */
typedef void (*quant_ste_entry)(void **slots);
quant_ste_entry quant_ste_function_entry(const quant_ste_module *module,
                                         int32_t function);

/* The module's text after a phase of the pipeline, by its name as in
 * `stop-after` ("" for the text as parsed). */
char *quant_ste_lower(const char *text, size_t length,
                      const quant_ste_compile_options *options,
                      const char *phase, char **error);
/* The module's text with one public function, named `name`, that asks for a
 * derivative of `function` in the arguments `wrt` (quant_ste.vjp, or
 * quant_ste.jvp if `is_forward`): it takes the arguments of `function` and the
 * cotangents of its float results (or the tangents of wrt), and gives its
 * results and the gradients (or the tangents of its float results). */
char *quant_ste_add_derivative(const char *text, size_t length,
                               const char *function, const char *name,
                               bool is_forward, const int32_t *wrt,
                               int32_t num_wrt, char **error);
/* The module's text, in linalg, with the derivative of `function` in the
 * arguments `wrt` in two parts: @<function>_fwd, which gives the results and what
 * it keeps (`quant_ste.residual`), and @<function>_bwd. Its arguments say what
 * they are: a residual, an argument or a result of `function` by number, or a
 * cotangent. Of the arguments, those in `transient` are not there any more in the
 * backward. `plan_options` are those of quant-ste-plan-residuals; calls are
 * inlined first. */
char *quant_ste_split(const char *text, size_t length, const char *function,
                      const int32_t *wrt, int32_t num_wrt,
                      const int32_t *transient, int32_t num_transient,
                      const char *plan_options, char **error);
/* Checks the arguments, calls, and gives the results, or NULL. The arguments
 * are copied where they have gaps, and not written to unless the module says
 * so of one (`bufferization.writable = true`). Several threads may
 * call functions of one compiled module at once. */
quant_ste_results *quant_ste_call(const quant_ste_module *module,
                                  int32_t function,
                                  const quant_ste_array *arguments,
                                  int32_t num_arguments, char **error);
/* The same, with an array for each tensor result, in order, to write it to:
 * row-major without gaps, overlapping no other array. */
quant_ste_results *quant_ste_call_into(const quant_ste_module *module,
                                       int32_t function,
                                       const quant_ste_array *arguments,
                                       int32_t num_arguments,
                                       const quant_ste_array *outs,
                                       int32_t num_outs, char **error);

/* A call of a function for a GPU on arrays in its memory. */
typedef struct quant_ste_device_call {
  /* The number of the GPU, as in a DLPack device; negative: that of the
   * thread's context. */
  int32_t device;
  /* A CUstream (or cudaStream_t); NULL: the default one. */
  void *stream;
  /* Gives memory of the GPU for a result, an array whose data is NULL; NULL:
   * there is none, and the call fails. */
  void *(*allocate)(void *user, int32_t result, const quant_ste_array *array);
  void *user;
} quant_ste_device_call;
/* As quant_ste_call, for a module that was compiled with the target cuda. Data
 * of tensors are addresses in the memory of the GPU, of arrays without gaps;
 * data of scalars are the host's. Results lie where `allocate` said, and live
 * as long as that. The work is put on the stream; nothing waits for it. */
quant_ste_results *quant_ste_call_on_device(const quant_ste_module *module,
                                            int32_t function,
                                            const quant_ste_array *arguments,
                                            int32_t num_arguments,
                                            const quant_ste_device_call *call,
                                            char **error);
/* "sm_90": what to compile for a GPU of this number (negative: of the thread's
 * context). */
char *quant_ste_device_chip(int32_t device, char **error);

int32_t quant_ste_results_count(const quant_ste_results *results);
/* Contiguous; lives as long as `results`. */
const quant_ste_array *quant_ste_results_get(const quant_ste_results *results,
                                             int32_t result);
void quant_ste_results_free(quant_ste_results *results);

/* Also frees the strings that the functions above return. */
void quant_ste_error_free(char *error);

/* "0.1.0 (LLVM 22.1.8, x86_64-pc-linux-gnu, znver4)", to be freed. */
char *quant_ste_version(void);

/* The number of threads of parallel loops called from this thread. */
void quant_ste_set_thread_count(int32_t count);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_C_EXECUTION_H */
