//===- Interfaces.cpp - generated interface definitions -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"
#include "quant_ste/Interfaces/GradientAttrInterface.h"
#include "quant_ste/Interfaces/GradientRuleInterface.h"

using namespace mlir;
using namespace mlir::quant_ste;

#include "quant_ste/Interfaces/DifferentiableOpInterfaces.cpp.inc"
#include "quant_ste/Interfaces/GradientAttrInterface.cpp.inc"
#include "quant_ste/Interfaces/GradientRuleInterface.cpp.inc"
