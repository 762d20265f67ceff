//===- GradientAttrInterface.h - the word grad(...) says --------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_GRADIENTATTRINTERFACE_H
#define QUANT_STE_INTERFACES_GRADIENTATTRINTERFACE_H

#include "mlir/IR/Attributes.h"
#include "mlir/IR/BuiltinAttributes.h"

#include "quant_ste/Interfaces/GradientAttrInterface.h.inc"

#endif // QUANT_STE_INTERFACES_GRADIENTATTRINTERFACE_H
