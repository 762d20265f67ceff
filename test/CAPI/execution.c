/*===- execution.c - the C API from C ------------------------------*- C
-*-===*\
|*
|* Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
\*===----------------------------------------------------------------------===*/

#include "quant_ste-c/Execution.h"
#include "quant_ste/Runtime/Report.h"

#include <stdio.h>
#include <string.h>

static const char *text =
    "func.func private @quant_ste_report_epoch(index, f32, f32)\n"
    "    attributes {llvm.emit_c_interface}\n"
    "func.func @f(%x: tensor<?x?xf32>, %n: index)\n"
    "    -> (tensor<?x?xf32>, index) {\n"
    "  %y = quant_ste.round %x grad(ste) : tensor<?x?xf32>\n"
    "  return %y, %n : tensor<?x?xf32>, index\n"
    "}\n"
    "func.func @report(%a: f32) {\n"
    "  %c7 = arith.constant 7 : index\n"
    "  call @quant_ste_report_epoch(%c7, %a, %a) : (index, f32, f32) -> ()\n"
    "  return\n"
    "}\n";

static void printError(const char *what, char *error) {
  printf("%s: %s\n", what, error ? error : "(none)");
  quant_ste_error_free(error);
}

static void hook(int64_t epoch, float loss, float accuracy) {
  printf("hook %d %g %g\n", (int)epoch, loss, accuracy);
}

static int run(bool reference) {
  quant_ste_compile_options options;
  memset(&options, 0, sizeof options);
  options.reference = reference;
  char *error = NULL;
  quant_ste_module *module =
      quant_ste_compile(text, strlen(text), &options, &error);
  if (!module) {
    printError("compile", error);
    return 1;
  }
  int32_t f = quant_ste_module_lookup(module, "f", &error);
  char *signature = quant_ste_function_signature(module, f);
  printf("%s : %s, one of %d\n", quant_ste_module_function_name(module, f),
         signature, quant_ste_module_function_count(module));
  quant_ste_error_free(signature);

  /* Columns 0 and 2 of three, from the last row to the first. */
  float data[2][3] = {{0.5f, 9.0f, 1.5f}, {-0.6f, 9.0f, 2.6f}};
  int64_t sizes[] = {2, 2}, strides[] = {-3, 2}, n = -4;
  quant_ste_array arguments[] = {{data[1], QUANT_STE_F32, 2, sizes, strides},
                                 {&n, QUANT_STE_INDEX, 0, NULL, NULL}};
  quant_ste_results *results = quant_ste_call(module, f, arguments, 2, &error);
  if (!results) {
    printError("call", error);
    return 1;
  }
  const quant_ste_array *y = quant_ste_results_get(results, 0);
  const float *values = y->data;
  printf("%d results: %dx%d, strides %d %d: %g %g %g %g; %d\n",
         quant_ste_results_count(results), (int)y->sizes[0], (int)y->sizes[1],
         (int)y->strides[0], (int)y->strides[1], values[0], values[1],
         values[2], values[3],
         (int)*(const int64_t *)quant_ste_results_get(results, 1)->data);
  printf("no third result: %d\n", quant_ste_results_get(results, 2) == NULL);
  quant_ste_results_free(results);

  /* Every misuse is an error, and a NULL error is allowed. */
  quant_ste_call(module, f, arguments, 1, &error);
  printError("one argument", error);
  arguments[0].element_type = 99;
  quant_ste_call(module, f, arguments, 2, &error);
  printError("type 99", error);
  arguments[0].element_type = QUANT_STE_F32;
  arguments[0].data = NULL;
  quant_ste_call(module, f, arguments, 2, &error);
  printError("no data", error);
  sizes[0] = -1;
  quant_ste_call(module, f, arguments, 2, &error);
  printError("size -1", error);
  quant_ste_call(module, 17, arguments, 2, &error);
  printError("function 17", error);
  printf("lookup: %d\n", (int)quant_ste_module_lookup(module, "g", NULL));
  quant_ste_module_free(module);
  return 0;
}

/* The second time the code is found. */
static int runCached(const char *directory) {
  quant_ste_cache cache = {directory, 0};
  for (int i = 0; i < 2; ++i) {
    char *error = NULL;
    quant_ste_module *module =
        quant_ste_compile_cached(text, strlen(text), NULL, &cache, &error);
    if (!module) {
      printError("compile", error);
      return 1;
    }
    float x[] = {0.5f, 1.5f};
    int64_t sizes[] = {1, 2}, n = 3;
    quant_ste_array arguments[] = {{x, QUANT_STE_F32, 2, sizes, NULL},
                                   {&n, QUANT_STE_INDEX, 0, NULL, NULL}};
    quant_ste_results *results =
        quant_ste_call(module, 0, arguments, 2, &error);
    if (!results) {
      printError("call", error);
      return 1;
    }
    const float *y = quant_ste_results_get(results, 0)->data;
    printf("from the cache: %d; %g %g\n",
           quant_ste_module_is_from_cache(module), y[0], y[1]);
    quant_ste_results_free(results);
    quant_ste_module_free(module);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (run(false) || run(true) || (argc > 1 && runCached(argv[1])))
    return 1;

  char *error = NULL;
  const char *bad = "func.func @f(%x: f32) -> f32 { return }";
  quant_ste_compile(bad, strlen(bad), NULL, &error);
  printError("bad text", error);

  quant_ste_module *module = quant_ste_compile(text, strlen(text), NULL, NULL);
  float a = 0.5f;
  quant_ste_array argument = {&a, QUANT_STE_F32, 0, NULL, NULL};
  int32_t report = quant_ste_module_lookup(module, "report", NULL);
  quant_ste_set_report_hook(hook);
  quant_ste_results_free(quant_ste_call(module, report, &argument, 1, NULL));
  quant_ste_set_report_hook(NULL);
  quant_ste_results_free(quant_ste_call(module, report, &argument, 1, NULL));
  quant_ste_module_free(module);
  return 0;
}
