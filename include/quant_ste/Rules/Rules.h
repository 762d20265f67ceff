//===- Rules.h - every rule of the dialect
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_RULES_H
#define QUANT_STE_RULES_RULES_H

#include "quant_ste/Rules/BinaryQuant.h"
#include "quant_ste/Rules/ChooseQParams.h"
#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/DecoupledIntQuant.h"
#include "quant_ste/Rules/DoReFa.h"
#include "quant_ste/Rules/EWGS.h"
#include "quant_ste/Rules/FakeQuantize.h"
#include "quant_ste/Rules/FloatQuant.h"
#include "quant_ste/Rules/IntQuant.h"
#include "quant_ste/Rules/IntRange.h"
#include "quant_ste/Rules/LSQ.h"

#include "quant_ste/Rules/MX.h"
#include "quant_ste/Rules/MovingAverage.h"
#include "quant_ste/Rules/Pact.h"
#include "quant_ste/Rules/PositiveScale.h"
#include "quant_ste/Rules/Restrict.h"
#include "quant_ste/Rules/Round.h"
#include "quant_ste/Rules/Sign.h"
#include "quant_ste/Rules/StochasticRound.h"
#include "quant_ste/Rules/TQT.h"

#endif // QUANT_STE_RULES_RULES_H
