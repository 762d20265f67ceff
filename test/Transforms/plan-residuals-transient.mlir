// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="keep-results=false" -o /dev/null 2>&1 | FileCheck %s
// RUN: qopt-opt %s --split-input-file --quant-ste-plan-residuals="keep-results=false" --quant-ste-split | FileCheck %s --check-prefix=SPLIT

// An argument that is not there any more costs its bytes, and here a mask fewer;
// the others are free.

// CHECK: residuals of @transient_vjp, minimal: 8 bytes
// SPLIT: func.func @transient_bwd(%{{.*}}: tensor<8xi8> {quant_ste.residual}, %{{.*}}: tensor<f32> {quant_ste.argument = 1 : i64}, %{{.*}}: tensor<64xf32> {quant_ste.cotangent})
#id = affine_map<(i) -> (i)>
#one = affine_map<(i) -> ()>
func.func @transient_vjp(%x: tensor<64xf32> {quant_ste.transient}, %a: tensor<f32>, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %y = math.exp %x : tensor<64xf32>
  %d = linalg.generic {indexing_maps = [#id, #one, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %a, %t : tensor<64xf32>, tensor<f32>, tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%v: f32, %s: f32, %g: f32, %o: f32):
    %m = arith.cmpf ogt, %v, %zero : f32
    %c = arith.select %m, %g, %zero : f32
    %r = arith.mulf %c, %s : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  return %y, %d : tensor<64xf32>, tensor<64xf32>
}

// -----

// Two choices of the same value are one mask.

// CHECK: residuals of @clamp_vjp, minimal: 8 bytes
// CHECK-NEXT: keep %{{.*}} : tensor<64xi1>, 8 bytes: 'arith.ori'
// SPLIT: func.func @clamp_bwd(%{{.*}}: tensor<8xi8> {quant_ste.residual}, %{{.*}}: tensor<64xf32> {quant_ste.cotangent})
#id = affine_map<(i) -> (i)>
func.func @clamp_vjp(%x: tensor<64xf32> {quant_ste.transient}, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -1.0 : f32
  %high = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %y = math.exp %x : tensor<64xf32>
  %d = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %t : tensor<64xf32>, tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%v: f32, %g: f32, %o: f32):
    %above = arith.cmpf ogt, %v, %high : f32
    %below = arith.cmpf olt, %v, %low : f32
    %c = arith.select %below, %zero, %g : f32
    %r = arith.select %above, %zero, %c : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  return %y, %d : tensor<64xf32>, tensor<64xf32>
}
