/*===- Cuda.h - kernels on NVIDIA GPUs -----------------------------*- C
-*-===*\
|*                                                                            *|
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* What code compiled for GPUs calls, over the CUDA driver. The driver is     *|
|* loaded when first needed: $QUANT_STE_LIBCUDA, else libcuda.so.1.           *|
|*                                                                            *|
|* Each thread has a stream, on which its launches, allocations and copies    *|
|* run, in order, and an error: the first one since it was taken. After an    *|
|* error nothing is launched any more. The work is done in the thread's       *|
|* current context; where it has none, in the first device's primary one.     *|
|* Nothing waits for the GPU but quant_ste_cuda_synchronize.                  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef QUANT_STE_RUNTIME_CUDA_H
#define QUANT_STE_RUNTIME_CUDA_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether there is a driver and a device. If not, the error says why. */
bool quant_ste_cuda_is_available(void);

/* The CUstream of this thread from here on; NULL: the default stream. */
void quant_ste_cuda_set_stream(void *stream);

/* What went wrong since the last call, or NULL. The text lives until this
 * thread's next call. */
const char *quant_ste_cuda_take_error(void);

/* Around the work of one call: forgets an older error and sets the stream, of
 * which it returns the one before; then sets that again, and says whether
 * something went wrong. quant_ste_cuda_last_error says what: the text taken or
 * left with last in this thread, until it takes or leaves another. */
void *quant_ste_cuda_enter(void *stream);
bool quant_ste_cuda_leave(void *previous);
const char *quant_ste_cuda_last_error(void);

/* Until quant_ste_cuda_leave memory comes from these bytes of the GPU's, whose
 * address is a multiple of 256, not from a pool; what does not fit is an error.
 * NULL changes nothing. */
void quant_ste_cuda_use_workspace(void *workspace, int64_t bytes);

/* Until quant_ste_cuda_leave nothing is done, and no GPU is needed: memory is
 * only counted, what is read from the GPU is 0. How many bytes a workspace must
 * have for that, since the count began. */
void quant_ste_cuda_count_workspace(void);
int64_t quant_ste_cuda_get_counted_bytes(void);

/* The compute capability of a device, 90 for 9.0; of the current context's
 * where `device` is negative. -1 after an error. */
int32_t quant_ste_cuda_capability(int32_t device);

/* Which of some codes the current context's device is to run: the last that it
 * can, or -1, with an error. Each says what it is for: ten times the compute
 * capability, 900 for sm_90, whose PTX all later devices run; and 1 more for
 * code that runs on that one alone (sm_90a), 2 more for a cubin, which later
 * devices of the same major version run. */
int32_t quant_ste_cuda_choose(const int32_t *codes, int32_t count);

/* Around work on a device: makes its primary context the thread's, unless the
 * thread's is of that device already; then goes back to the one before, which
 * the first returns. A negative number changes nothing. */
void *quant_ste_cuda_enter_device(int32_t device);
void quant_ste_cuda_leave_device(void *previous);

/* Notes the time on the stream, NULL after an error; waits for the second of
 * two such notes, says how many milliseconds lie between, and frees both. */
void *quant_ste_cuda_record(void);
double quant_ste_cuda_elapsed(void *begin, void *end);

/* Waits for the thread's stream. */
void quant_ste_cuda_synchronize(void);

/* Between the host and the GPU, on the stream. */
void quant_ste_cuda_copy_to_device(void *device, const void *host,
                                   int64_t bytes);
void quant_ste_cuda_copy_to_host(void *host, const void *device, int64_t bytes);
void quant_ste_cuda_copy_on_device(void *to, const void *from, int64_t bytes);

/* Memory of the GPU, in the order of the stream, from the device's pool, which
 * is told to keep up to 256 MiB when the GPU is waited for, or from the
 * workspace. NULL for no bytes, and after an error. */
void *quant_ste_cuda_malloc(int64_t bytes);
void *quant_ste_cuda_aligned_alloc(int64_t alignment, int64_t bytes);
void quant_ste_cuda_free(void *device);

/* Launches a kernel of an image (PTX, cubin or fatbin) of some bytes; without
 * blocks it does nothing. `id`, at first 0, is what the image is known by from
 * then on: it is loaded once a context. `arguments` has the address of each. */
void quant_ste_cuda_launch(int64_t *id, const void *image, int64_t bytes,
                           const char *kernel, int64_t blocks, int64_t threads,
                           void **arguments);

/* c += a * b in the memory of the GPU by cuBLAS ($QUANT_STE_LIBCUBLAS, else the
 * newest libcublas.so), on the stream. The arguments are those of
 * quant_ste_matmul (Matmul.h); of the loops of each kind the last is that of
 * the matrices, and each operand has a matrix's loop along which it lies in
 * memory without gaps. Factors are of one type, c's or narrower; f32 is
 * multiplied and summed in f32 (never TF32), f16 and bf16 are summed in f32.
 * With `overwrites` what c has does not matter, c = a * b; there must be
 * terms then. */
struct quant_ste_matmul_args;
struct quant_ste_matmul_loop;
void quant_ste_cuda_matmul(const struct quant_ste_matmul_args *args,
                           const struct quant_ste_matmul_loop *loops,
                           int64_t overwrites);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_RUNTIME_CUDA_H */
