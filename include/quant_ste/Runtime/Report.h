/*===- Report.h - progress of a training loop ----------------------*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
\*===----------------------------------------------------------------------===*/

#ifndef QUANT_STE_RUNTIME_REPORT_H
#define QUANT_STE_RUNTIME_REPORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a compiled training loop calls once per epoch. Declared in a module as
 *
 *   func.func private @quant_ste_report_epoch(index, f32, f32)
 *       attributes {llvm.emit_c_interface}
 */
typedef void (*quant_ste_report_hook)(int64_t epoch, float loss,
                                      float accuracy);

/* Redirects the reports of all threads. NULL: back to the default, which is
 * quant_ste_print_report. */
void quant_ste_set_report_hook(quant_ste_report_hook hook);

/* Prints a line `epoch  3  loss 0.1234  test accuracy 0.9722` and flushes. */
void quant_ste_print_report(int64_t epoch, float loss, float accuracy);

/* The function itself, for programs linked ahead of time. */
void _mlir_ciface_quant_ste_report_epoch(int64_t epoch, float loss,
                                         float accuracy);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_RUNTIME_REPORT_H */
