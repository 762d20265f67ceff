/*===- Matmul.h - matrix products and convolutions -----------------*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* One function for everything of the form
|*
|*   for all loops: c[...] += a[...] * b[...]
|*
|* where each loop moves by a fixed stride in each array: products of matrices,
|* transposed or not, batches of them, convolutions, and what differentiation
|* makes of these.
|*
\*===----------------------------------------------------------------------===*/

#ifndef QUANT_STE_RUNTIME_MATMUL_H
#define QUANT_STE_RUNTIME_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types, numbered as in quant_ste-c/Execution.h. */
enum {
  QUANT_STE_MATMUL_F16 = 0,
  QUANT_STE_MATMUL_BF16 = 1,
  QUANT_STE_MATMUL_F32 = 2,
  QUANT_STE_MATMUL_F64 = 3
};

/* One loop; strides count elements and are 0 in an array that does not see the
 * loop. */
typedef struct quant_ste_matmul_loop {
  int64_t size;
  int64_t a, b, c;
} quant_ste_matmul_loop;

typedef struct quant_ste_matmul_args {
  const void *a, *b;
  void *c;
  /* Of a and b: any; they are widened to c's. Of c: f32 or f64. */
  int64_t a_type, b_type, c_type;
  /* How many loops there are of each kind, which follow one another in this
   * order: `batch` runs in all three arrays, `rows` in a and c, `columns` in b
   * and c, `terms` in a and b. */
  int64_t batch, rows, columns, terms;
  /* Threads to use; 0: as many as OpenMP has. */
  int64_t threads;
  /* May a library do it that rounds otherwise? */
  int64_t library;
} quant_ste_matmul_args;

/* c += a * b. Every product and every sum is rounded; the terms of an element
 * are added to it one by one, in the order of the loops. So the bits are the
 * same for any number of threads and on every processor, and those of the plain
 * loops. With a library (`library`, and one was found when this was built, and
 * it has such a function) the order of the terms is the library's, and products
 * are not rounded. c must not overlap a or b. */
void quant_ste_matmul(const quant_ste_matmul_args *args,
                      const quant_ste_matmul_loop *loops);

/* "OpenBLAS", "oneDNN", or null: the library that `library` leads to. It is
 * loaded when it is first needed. */
const char *quant_ste_matmul_library(void);

/* How many calls of quant_ste_matmul this process has made, of them by the
 * library. */
void quant_ste_matmul_counts(int64_t *own, int64_t *library);

/* The instructions of our own kernel: "avx512", "avx2", "baseline". */
const char *quant_ste_matmul_path(void);
/* For tests: chooses one; false if the processor has not got it. */
bool quant_ste_matmul_set_path(const char *path);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_RUNTIME_MATMUL_H */
