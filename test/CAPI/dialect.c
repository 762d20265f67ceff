/*===- dialect.c - the dialect through mlir-c ----------------------*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
\*===----------------------------------------------------------------------===*/

#include "quant_ste-c/Dialect.h"

#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/Pass.h"
#include "mlir-c/RegisterEverything.h"

#include <stdio.h>

static const char *text =
    "func.func private @f(%x: f32) -> f32 {\n"
    "  %y = quant_ste.round %x grad(ste) : f32\n"
    "  %z = arith.mulf %y, %y : f32\n"
    "  return %z : f32\n"
    "}\n"
    "func.func @df(%x: f32, %t: f32) -> f32 {\n"
    "  %z, %dx = quant_ste.vjp @f(%x) cotangents(%t) wrt [0]\n"
    "    : (f32), (f32) -> (f32, f32)\n"
    "  return %dx : f32\n"
    "}\n";

static void print(MlirStringRef part, void *file) {
  fwrite(part.data, 1, part.length, (FILE *)file);
}

static MlirLogicalResult report(MlirDiagnostic diagnostic, void *unused) {
  (void)unused;
  printf("error: ");
  mlirDiagnosticPrint(diagnostic, print, stdout);
  printf("\n");
  return mlirLogicalResultSuccess();
}

static MlirStringRef string(const char *s) {
  return mlirStringRefCreateFromCString(s);
}

int main(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  MlirDialectHandle handle = mlirGetDialectHandle__quant_ste__();
  mlirDialectHandleInsertDialect(handle, registry);
  print(mlirDialectHandleGetNamespace(handle), stdout);
  printf("\n");
  mlirRegisterAllDialects(registry);
  quantSteRegisterAllDialects(registry);
  quantSteRegisterAllPasses();
  quantSteRegisterAllPipelines();
  MlirContext context =
      mlirContextCreateWithRegistry(registry, /*threadingEnabled=*/false);
  mlirContextAttachDiagnosticHandler(context, report, NULL, NULL);
  MlirLocation location = mlirLocationUnknownGet(context);

  /* Words. */
  double beta = 5.0;
  MlirAttribute swish =
      quantSteGradientAttrGet(location, string("swish"), 1, &beta);
  mlirAttributePrint(swish, print, stdout);
  printf(" is a gradient: %d, linear: %d, beta: %g, word: ",
         quantSteAttributeIsAGradient(swish),
         quantSteGradientAttrIsLinear(swish),
         quantSteGradientAttrGetNumber(swish, string("beta")));
  print(quantSteGradientAttrGetWord(swish), stdout);
  printf("\n");
  MlirAttribute ewgs =
      quantSteGradientAttrGet(location, string("ewgs"), 1, &beta);
  printf("ewgs linear: %d\n", quantSteGradientAttrIsLinear(ewgs));
  printf("null: %d\n", mlirAttributeIsNull(quantSteGradientAttrGet(
                           location, string("nobody"), 0, NULL)));
  printf("null: %d\n", mlirAttributeIsNull(quantSteGradientAttrGet(
                           location, string("ste"), 1, &beta)));
  printf("f32: %d, i32: %d\n",
         quantSteTypeIsDifferentiable(mlirF32TypeGet(context)),
         quantSteTypeIsDifferentiable(mlirIntegerTypeGet(context, 32)));

  /* A module, differentiated; then a pipeline by its name. */
  MlirModule module = mlirModuleCreateParse(context, string(text));
  printf("differentiated: %d\n",
         mlirLogicalResultIsSuccess(quantSteDifferentiate(module)));
  MlirPassManager pm = mlirPassManagerCreate(context);
  MlirLogicalResult parsed = mlirParsePassPipeline(
      mlirPassManagerGetAsOpPassManager(pm),
      string("builtin.module(quant-ste-cpu-pipeline{stop-after=linalg})"),
      print, stdout);
  printf("pipeline parsed: %d\n", mlirLogicalResultIsSuccess(parsed));
  printf("pipeline ran: %d\n",
         mlirLogicalResultIsSuccess(
             mlirPassManagerRunOnOp(pm, mlirModuleGetOperation(module))));
  mlirOperationPrint(mlirModuleGetOperation(module), print, stdout);

  mlirPassManagerDestroy(pm);
  mlirModuleDestroy(module);
  mlirContextDestroy(context);
  mlirDialectRegistryDestroy(registry);
  return 0;
}
