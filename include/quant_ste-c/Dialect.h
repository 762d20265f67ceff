/*===- Dialect.h - the dialect for MLIR's C API ------------------*- C -*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* For programs that hold modules through mlir-c, linked against the same
|* libMLIR. Those that only want text compiled and called need Execution.h
alone.
|*
\*===----------------------------------------------------------------------===*/

#ifndef QUANT_STE_C_DIALECT_H
#define QUANT_STE_C_DIALECT_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mlirGetDialectHandle__quant_ste__: the dialect alone, without the gradients
 * of upstream's ops. */
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(QuantSTE, quant_ste);

/* The dialect, and the gradients of the ops of arith, math, linalg, tensor, scf
 * and func. */
MLIR_CAPI_EXPORTED void quantSteRegisterAllDialects(MlirDialectRegistry);

/* The passes and the pipelines, by their names in textual pipelines. Global;
 * call once. */
MLIR_CAPI_EXPORTED void quantSteRegisterAllPasses(void);
MLIR_CAPI_EXPORTED void quantSteRegisterAllPipelines(void);

/* Resolves every quant_ste.value_and_grad, vjp and jvp in the module, as the
 * pass quant-ste-differentiate does. Diagnostics go to the context's handlers.
 */
MLIR_CAPI_EXPORTED MlirLogicalResult quantSteDifferentiate(MlirModule module);

/* grad(word), or grad(word(number, ...)): the numbers in the order in which the
 * word prints them, finite. Null, with a diagnostic at `location`, where the
 * word is unknown or takes other numbers. */
MLIR_CAPI_EXPORTED MlirAttribute quantSteGradientAttrGet(MlirLocation location,
                                                         MlirStringRef word,
                                                         intptr_t numNumbers,
                                                         const double *numbers);
MLIR_CAPI_EXPORTED bool quantSteAttributeIsAGradient(MlirAttribute attribute);
/* Of an attribute that is a gradient. The string lives as long as its context.
 */
MLIR_CAPI_EXPORTED MlirStringRef
quantSteGradientAttrGetWord(MlirAttribute gradient);
/* A gradient that is not linear in the cotangent has no forward mode. */
MLIR_CAPI_EXPORTED bool quantSteGradientAttrIsLinear(MlirAttribute gradient);
/* By name, as beta of swish; NaN where the word has no such number. */
MLIR_CAPI_EXPORTED double quantSteGradientAttrGetNumber(MlirAttribute gradient,
                                                        MlirStringRef name);

/* A plain float or a ranked tensor of floats. */
MLIR_CAPI_EXPORTED bool quantSteTypeIsDifferentiable(MlirType type);

#ifdef __cplusplus
}
#endif

#endif /* QUANT_STE_C_DIALECT_H */
