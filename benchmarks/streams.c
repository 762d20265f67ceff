/*===- streams.c - the limit: the same bytes, and nothing computed -*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* A stream reads one array or two and writes one, all of the same size: what a
|* quantizer's forward or backward cannot do without. Written by hand in the
|* ways that are fast on some machine or at some size; the benchmarks take the
|* best. The loops that time are here too, so that no language stands between.
|*
\*===----------------------------------------------------------------------===*/

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* OpenMP's, whose header each compiler keeps to itself. */
extern int omp_get_num_threads(void);
extern int omp_get_thread_num(void);

enum kind { STREAM_MEMCPY, STREAM_VECTORS, STREAM_NON_TEMPORAL };

/* In step with timing.py. */
typedef struct stream {
  const char *reads[2]; /* the second may be null */
  char *write;
  int64_t bytes;
  int32_t kind;
  int32_t threads;
  int32_t narrow; /* bytes read of the one array for each written: 1, 2, 4 */
} stream;

/* One register of the widest kind, at any address. */
typedef int64_t any_vector
    __attribute__((vector_size(64), aligned(1), may_alias));

#if defined(__AVX512F__)
typedef __m512i store_vector;
#define STORE(to, v) _mm512_stream_si512((void *)(to), v)
#define LOAD(from) _mm512_loadu_si512((const void *)(from))
#define XOR(a, b) _mm512_xor_si512(a, b)
#elif defined(__AVX2__)
typedef __m256i store_vector;
#define STORE(to, v) _mm256_stream_si256((__m256i *)(to), v)
#define LOAD(from) _mm256_loadu_si256((const __m256i *)(from))
#define XOR(a, b) _mm256_xor_si256(a, b)
#elif defined(__x86_64__)
typedef __m128i store_vector;
#define STORE(to, v) _mm_stream_si128((__m128i *)(to), v)
#define LOAD(from) _mm_loadu_si128((const __m128i *)(from))
#define XOR(a, b) _mm_xor_si128(a, b)
#endif

bool quant_ste_stream_has(int32_t kind, bool is_copy) {
#ifndef STORE
  if (kind == STREAM_NON_TEMPORAL)
    return false;
#endif
  return kind != STREAM_MEMCPY || is_copy;
}

static void copy_vectors(const char *a, char *c, int64_t bytes) {
  int64_t i = 0;
  for (; i + 256 <= bytes; i += 256)
    for (int64_t k = 0; k < 256; k += 64)
      *(any_vector *)(c + i + k) = *(const any_vector *)(a + i + k);
  memcpy(c + i, a + i, bytes - i);
}

static void xor_tail(const char *a, const char *b, char *c, int64_t bytes) {
  for (int64_t i = 0; i < bytes; ++i)
    c[i] = a[i] ^ b[i];
}

static void xor_vectors(const char *a, const char *b, char *c, int64_t bytes) {
  int64_t i = 0;
  for (; i + 256 <= bytes; i += 256)
    for (int64_t k = 0; k < 256; k += 64)
      *(any_vector *)(c + i + k) =
          *(const any_vector *)(a + i + k) ^ *(const any_vector *)(b + i + k);
  xor_tail(a + i, b + i, c + i, bytes - i);
}

/* Writes one vector for several: narrower elements. */
static inline void narrow_vectors(const char *a, char *c, int64_t bytes,
                                  int64_t by) {
  int64_t i = 0;
  for (; i + 64 <= bytes; i += 64) {
    any_vector v = *(const any_vector *)(a + by * i);
    for (int64_t k = 1; k < by; ++k)
      v ^= *(const any_vector *)(a + by * i + 64 * k);
    *(any_vector *)(c + i) = v;
  }
  for (; i < bytes; ++i)
    c[i] = a[by * i];
}

#ifdef STORE
static inline void narrow_past_cache(const char *a, char *c, int64_t bytes,
                                     int64_t by) {
  const int64_t step = sizeof(store_vector);
  int64_t i = 0;
  for (; i + step <= bytes; i += step) {
    store_vector v = LOAD(a + by * i);
    for (int64_t k = 1; k < by; ++k)
      v = XOR(v, LOAD(a + by * i + step * k));
    STORE(c + i, v);
  }
  for (; i < bytes; ++i)
    c[i] = a[by * i];
  _mm_sfence();
}

static void copy_past_cache(const char *a, char *c, int64_t bytes) {
  int64_t i = 0;
  for (; i + 256 <= bytes; i += 256)
    for (int64_t k = 0; k < 256; k += sizeof(store_vector))
      STORE(c + i + k, LOAD(a + i + k));
  memcpy(c + i, a + i, bytes - i);
  _mm_sfence();
}

static void xor_past_cache(const char *a, const char *b, char *c,
                           int64_t bytes) {
  int64_t i = 0;
  for (; i + 256 <= bytes; i += 256)
    for (int64_t k = 0; k < 256; k += sizeof(store_vector))
      STORE(c + i + k, XOR(LOAD(a + i + k), LOAD(b + i + k)));
  xor_tail(a + i, b + i, c + i, bytes - i);
  _mm_sfence();
}
#endif

static void run_narrow(const stream *s, const char *a, char *c, int64_t bytes) {
#ifdef STORE
  if (s->kind == STREAM_NON_TEMPORAL) {
    if (s->narrow == 2)
      narrow_past_cache(a, c, bytes, 2);
    else
      narrow_past_cache(a, c, bytes, 4);
    return;
  }
#endif
  if (s->narrow == 2)
    narrow_vectors(a, c, bytes, 2);
  else
    narrow_vectors(a, c, bytes, 4);
}

static void run_part(const stream *s, int64_t from, int64_t to) {
  const char *a = s->reads[0] + from * s->narrow;
  const char *b = s->reads[1] ? s->reads[1] + from : NULL;
  char *c = s->write + from;
  int64_t bytes = to - from;
  if (s->narrow > 1) {
    run_narrow(s, a, c, bytes);
    return;
  }
#ifdef STORE
  if (s->kind == STREAM_NON_TEMPORAL) {
    if (b)
      xor_past_cache(a, b, c, bytes);
    else
      copy_past_cache(a, c, bytes);
    return;
  }
#endif
  if (b)
    xor_vectors(a, b, c, bytes);
  else if (s->kind == STREAM_VECTORS)
    copy_vectors(a, c, bytes);
  else
    memcpy(c, a, bytes);
}

static void run(const stream *s) {
  if (s->threads <= 1) {
    run_part(s, 0, s->bytes);
    return;
  }
#pragma omp parallel num_threads(s->threads)
  {
    int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
    int64_t lines = s->bytes / 64;
    int64_t from = lines * part / parts * 64;
    int64_t to = part + 1 == parts ? s->bytes : lines * (part + 1) / parts * 64;
    run_part(s, from, to);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds for `repeats` streams; `allocate`: each to memory that it allocates
 * and frees. */
double quant_ste_time_stream(const stream *given, int64_t repeats,
                             bool allocate) {
  stream s = *given;
  double start = now();
  for (int64_t i = 0; i < repeats; ++i) {
    if (allocate && posix_memalign((void **)&s.write, 64, s.bytes))
      return -1;
    run(&s);
    if (allocate)
      free(s.write);
  }
  return now() - start;
}

/* quant_ste_call and quant_ste_results_free. */
typedef void *(*call_function)(const void *module, int32_t function,
                               const void *arguments, int32_t num_arguments,
                               char **error);
typedef void (*free_function)(void *results);

/* Seconds for `repeats` calls of a compiled function, or -1. */
double quant_ste_time_calls(call_function call, free_function release,
                            const void *module, int32_t function,
                            const void *arguments, int32_t num_arguments,
                            int64_t repeats) {
  double start = now();
  for (int64_t i = 0; i < repeats; ++i) {
    void *results = call(module, function, arguments, num_arguments, NULL);
    if (!results)
      return -1;
    release(results);
  }
  return now() - start;
}
