/*===- Assertion.h - assertions of compiled code -------------------*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
\*===----------------------------------------------------------------------===*/

#ifndef QUANT_STE_RUNTIME_ASSERTION_H
#define QUANT_STE_RUNTIME_ASSERTION_H

#ifdef __cplusplus
extern "C" {
#endif

/* What compiled code calls where a cf.assert does not hold; does not return.
 * Leaves the innermost quant_ste_call_guarded of this thread; without one,
 * prints the message to stderr and calls abort(). */
void quant_ste_assertion_failed(const char *message);

/* Calls `entry(slots)`. The message of the assertion that ended the call, or
 * NULL. The message lives as long as the code. What the call had allocated is
 * not freed then. */
const char *quant_ste_call_guarded(void (*entry)(void **), void **slots);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_RUNTIME_ASSERTION_H */
