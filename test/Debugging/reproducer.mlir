// A failing pipeline writes what reproduces it, and qopt-reduce makes that small.
//
// RUN: not qopt-opt %s --quant-ste-cpu-pipeline \
// RUN:   --mlir-pass-pipeline-crash-reproducer=%t.mlir 2>&1 | FileCheck %s
// RUN: not qopt-opt %t.mlir --run-reproducer 2>&1 | FileCheck %s
// CHECK: error: cannot differentiate 'math.floor': its derivative is zero almost everywhere
//
// RUN: qopt-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/fails.sh' \
// RUN:   | FileCheck %s --check-prefix=SMALL
// SMALL-NOT: @other
// SMALL: math.floor
// SMALL-NOT: @other

func.func private @f(%x: f32) -> f32 {
  %y = math.floor %x : f32
  return %y : f32
}
func.func @df(%x: f32, %t: f32) -> f32 {
  %y, %dx = quant_ste.vjp @f(%x) cotangents(%t) wrt [0] : (f32), (f32) -> (f32, f32)
  return %dx : f32
}
func.func @other(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @other2(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
