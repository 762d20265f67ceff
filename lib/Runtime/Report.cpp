//===- Report.cpp - progress of a training loop -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/Report.h"

#include <atomic>
#include <cinttypes>
#include <cstdio>

void quant_ste_print_report(int64_t epoch, float loss, float accuracy) {
  std::printf("epoch %2" PRId64 "  loss %.4f  test accuracy %.4f\n", epoch,
              static_cast<double>(loss), static_cast<double>(accuracy));
  std::fflush(stdout);
}

static std::atomic<quant_ste_report_hook> reportHook{quant_ste_print_report};

void quant_ste_set_report_hook(quant_ste_report_hook hook) {
  reportHook = hook ? hook : quant_ste_print_report;
}

void _mlir_ciface_quant_ste_report_epoch(int64_t epoch, float loss,
                                         float accuracy) {
  reportHook.load()(epoch, loss, accuracy);
}
