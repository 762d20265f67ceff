//===- Rules.h - every rule of the dialect
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_RULES_H
#define QUANT_STE_RULES_RULES_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/DoReFa.h"
#include "quant_ste/Rules/IntQuant.h"
#include "quant_ste/Rules/IntRange.h"
#include "quant_ste/Rules/Pact.h"
#include "quant_ste/Rules/Round.h"
#include "quant_ste/Rules/Sign.h"

#endif // QUANT_STE_RULES_RULES_H
