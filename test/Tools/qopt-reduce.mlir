// Reduces a module to the op that a test calls interesting.
//
// RUN: qopt-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/has-pact.sh' \
// RUN:   | FileCheck %s
// CHECK: func @wanted
// CHECK-NEXT: quant_ste.pact
// CHECK-NEXT: return
// CHECK-NOT: func

func.func @wanted(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @other(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @another(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.floor %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
