// RUN: qopt-opt %s --quant-ste-link-rules=rules=%S/Inputs/rules.mlir \
// RUN:   | FileCheck %s
// RUN: qopt-opt %s --rules=%S/Inputs/rules.mlir | FileCheck %s
// The pipeline links first; passes asked for come after.
// RUN: qopt-opt %s \
// RUN:   --quant-ste-cpu-pipeline="stop-after=linalg rules=%S/Inputs/rules.mlir" \
// RUN:   | FileCheck %s --check-prefix=LINALG
// RUN: qopt-opt %s --rules=%S/Inputs/rules.mlir \
// RUN:   --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   | FileCheck %s --check-prefix=LINALG
// RUN: not qopt-opt %s --rules=%S/Inputs/rules.mlir \
// RUN:   --pass-pipeline="builtin.module(quant-ste-differentiate)" 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PIPELINE
// RUN: qopt-run %s --rules=%S/Inputs/rules.mlir --function=gradient \
// RUN:   --input=2x2xf32=1,2,3,4 --input=2xf32=10,100 --input=2x2xf32=1 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// RUN: qopt-run %s --rules=%S/Inputs/rules.mlir --function=gradient \
// RUN:   --input=2x2xf32=1,2,3,4 --input=2xf32=10,100 --input=2x2xf32=1 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS
// RUN: qopt-run %s --pipeline="openmp=false rules=%S/Inputs/rules.mlir" \
// RUN:   --function=gradient --input=2x2xf32=1,2,3,4 --input=2xf32=10,100 \
// RUN:   --input=2x2xf32=1 | FileCheck %s --check-prefix=NUMBERS
// Sizes are checked as for any op.
// RUN: not qopt-run %s --rules=%S/Inputs/rules.mlir --function=gradient \
// RUN:   --input=2x2xf32=1,2,3,4 --input=3xf32=1 --input=2x2xf32=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SIZES
//
// RUN: not qopt-opt %s --quant-ste-cpu-pipeline 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NO-LIBRARY
// RUN: not qopt-opt %s --rules=%S/Inputs/none.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NO-FILE
// RUN: not qopt-opt %s --rules=%S/Inputs/bad-rules.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BAD-FILE
// RUN: not qopt-opt %s --rules=%S/Inputs/more-rules.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NOT-FOUND
// RUN: not qopt-opt %s \
// RUN:   --rules=%S/Inputs/rules.mlir,%S/Inputs/more-rules.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TWICE
// RUN: not qopt-opt %s --quant-ste-differentiate 2>&1 \
// RUN:   | FileCheck %s --check-prefix=DIFFERENTIATE
// RUN: not qopt-opt %s --convert-quant-ste-to-linalg 2>&1 \
// RUN:   | FileCheck %s --check-prefix=CONVERT

// NUMBERS: result[0]: 2x2xf32=[2.5 25][2.5 25]
// NUMBERS-NEXT: result[1]: 2xf32=1 1.5
// SIZES: error: {{.*}}expected
// NO-LIBRARY: link-rules.mlir:[[# @LINE + 9]]:1: error: expected a rule @halve in a library, but no library is given; give one with --rules=file.mlir
// PIPELINE: --rules: expected passes as flags of their own; in --pass-pipeline, write quant-ste-link-rules{rules=...}
// NO-FILE: error: rule library: cannot open input file '{{.*}}none.mlir'
// BAD-FILE: bad-rules.mlir:1:1: error: 'quant_ste.rule' op expected a gradient in 'partials' or in 'vjp', got neither
// NOT-FOUND: link-rules.mlir:[[# @LINE + 5]]:1: error: expected a rule @halve in the libraries given, found none
// TWICE: link-rules.mlir:[[# @LINE + 5]]:1: error: expected one rule @scale in the libraries, found two
// TWICE: rules.mlir:12:1: note: one is here
// TWICE: more-rules.mlir:1:1: note: the other is here

quant_ste.rule private @halve(f32) -> f32
quant_ste.rule private @scale(f32, f32) -> f32
quant_ste.rule private @unused(f64) -> f64
quant_ste.rule @inside
forward(%a: f32) {
  quant_ste.yield %a : f32
} partials(%a: f32, %r: f32) {
  %true = arith.constant true
  quant_ste.yield %true : i1
}

// CHECK-NOT: quant_ste.rule
// CHECK-LABEL: func @f(
// CHECK-SAME: %[[X:.*]]: tensor<2x?xf32>, %[[S:.*]]: tensor<?xf32>)
// CHECK: %[[A:.*]] = quant_ste.custom %[[X]] {mark} : tensor<2x?xf32>
// CHECK: %cst = arith.constant 5.000000e-01 : f32
// CHECK: %[[B:.*]] = quant_ste.custom %[[A]], %[[S]] axes([1]) : tensor<2x?xf32>, tensor<?xf32>
// CHECK: } vjp(
// CHECK: %[[C:.*]] = quant_ste.custom %[[B]] :
// CHECK: %[[D:.*]] = quant_ste.custom %[[C]] :
// CHECK: return %[[D]]
// CHECK-NOT: quant_ste.rule
// CHECK-NOT: quant_ste.apply
// LINALG: linalg.generic
// LINALG-NOT: = quant_ste.
// LINALG-NOT: quant_ste.rule
func.func @f(%x: tensor<2x?xf32>, %s: tensor<?xf32>) -> tensor<2x?xf32> {
  // DIFFERENTIATE: link-rules.mlir:[[# @LINE + 5]]:8: error: 'quant_ste.apply' op cannot be differentiated before it is linked; run quant-ste-link-rules first
  // CONVERT: error: 'quant_ste.{{rule|apply}}' op cannot be lowered before it is linked; run quant-ste-link-rules first
  %a = quant_ste.apply @halve(%x) {mark} : tensor<2x?xf32>
  %b = quant_ste.apply @scale(%a, %s axes([1])) : tensor<2x?xf32>, tensor<?xf32>
  %c = quant_ste.apply @halve(%b) : tensor<2x?xf32>
  %d = quant_ste.apply @inside(%c) : tensor<2x?xf32>
  return %d : tensor<2x?xf32>
}

func.func @gradient(%x: tensor<2x?xf32>, %s: tensor<?xf32>,
                    %dy: tensor<2x?xf32>) -> (tensor<2x?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @f(%x, %s) cotangents(%dy) wrt [0, 1]
    : (tensor<2x?xf32>, tensor<?xf32>), (tensor<2x?xf32>)
    -> (tensor<2x?xf32>, tensor<2x?xf32>, tensor<?xf32>)
  return %r#1, %r#2 : tensor<2x?xf32>, tensor<?xf32>
}

// RUN: not qopt-opt %S/Inputs/other-type.mlir --rules=%S/Inputs/rules.mlir \
// RUN:   2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: other-type.mlir:1:1: error: expected a rule of type '(f64) -> f64' in the library, got @halve of type '(f32) -> f32'
// TYPE: rules.mlir:2:1: note: defined here
