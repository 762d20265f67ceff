//===- DifferentiableOpInterfaces.h - reverse and forward mode --*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_H
#define QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h.inc"

#endif // QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_H
