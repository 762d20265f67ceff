// The reference evaluator does not guess what a math library gives.
//
// RUN: qopt-run %s --function=f --input=2xf32=0,1 | FileCheck %s
// RUN: not qopt-run %s --function=f --input=2xf32=0,1 --reference 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ERROR
// RUN: not qopt-run %s --function=gradient --input=2xf32=0,1 --reference 2>&1 \
// RUN:   | FileCheck %s --check-prefix=GRADIENT
// RUN: not qopt-run %s --function=range --input=1e20 --reference 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RANGE
//
// CHECK: result[0]: 2xf32=1 2.7182817
// ERROR: qopt-run-custom.mlir:[[@LINE+5]]:8: error: cannot evaluate 'math.exp' on constants: compiled code may compute other bits
// ERROR: qopt-run-custom.mlir:[[@LINE+6]]:10: note: in this rule
// GRADIENT: error: cannot evaluate 'math.tanh' on constants
// RANGE: error: cannot evaluate 'arith.fptosi' on these constants
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.custom %x : tensor<?xf32>
  forward(%a: f32) {
    %e = math.exp %a : f32
    quant_ste.yield %e : f32
  } partials(%a: f32, %y: f32) { quant_ste.yield %y : f32 }
  return %y : tensor<?xf32>
}
func.func @g(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.custom %x : tensor<?xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %y: f32) {
    %t = math.tanh %a : f32
    quant_ste.yield %t : f32
  }
  return %y : tensor<?xf32>
}
func.func @gradient(%x: tensor<?xf32>) -> tensor<?xf32> {
  %r:2 = quant_ste.vjp @g(%x) cotangents(%x) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %r#1 : tensor<?xf32>
}
func.func @range(%x: f32) -> f32 {
  %y = quant_ste.custom %x : f32
  forward(%a: f32) {
    %i = arith.fptosi %a : f32 to i32
    %r = arith.sitofp %i : i32 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %y: f32) { quant_ste.yield %a : f32 }
  return %y : f32
}
