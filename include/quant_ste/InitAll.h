//===- InitAll.h - everything in three calls -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INITALL_H
#define QUANT_STE_INITALL_H

namespace mlir {
class DialectRegistry;
}

namespace mlir::quant_ste {

/// The quant_ste dialect and the gradient models of upstream ops.
void registerAllDialects(DialectRegistry &registry);

/// The passes of quant_ste.
void registerAllPasses();

/// The pipelines of quant_ste.
void registerAllPipelines();

/// The above, and what upstream's own tools register: for mains and tests.
void registerEverything(DialectRegistry &registry);

} // namespace mlir::quant_ste

#endif // QUANT_STE_INITALL_H
