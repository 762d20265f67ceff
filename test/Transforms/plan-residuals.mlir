// RUN: qopt-opt %s --split-input-file --quant-ste-plan-residuals="keep-arguments=false keep-results=false" --canonicalize --cse | FileCheck %s
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="keep-arguments=false keep-results=false" -o /dev/null 2>&1 | FileCheck %s --check-prefix=MINIMAL
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="residuals=speed keep-arguments=false keep-results=false" -o /dev/null 2>&1 | FileCheck %s --check-prefix=SPEED
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="residuals=all keep-arguments=false keep-results=false" -o /dev/null 2>&1 | FileCheck %s --check-prefix=ALL
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals -o /dev/null 2>&1 | FileCheck %s --check-prefix=ALIVE
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="pack-bits=false keep-arguments=false" -o /dev/null 2>&1 | FileCheck %s --check-prefix=BYTES
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="budget=1500 residuals=all keep-arguments=false" -o /dev/null 2>&1 | FileCheck %s --check-prefix=BUDGET

// A mask is a bit an element, where x would be 32.

// CHECK-LABEL: func @clip_vjp
// CHECK: %[[MASK:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<64xi1>)
// CHECK: arith.cmpf
// CHECK: %[[BITS:.*]] = quant_ste.pack_bits %[[MASK]] : tensor<64xi1> -> tensor<8xi8>
// CHECK: %[[KEPT:.*]] = quant_ste.residual %[[BITS]] : tensor<8xi8>
// CHECK: %[[AGAIN:.*]] = quant_ste.unpack_bits %[[KEPT]] : tensor<8xi8> -> tensor<64xi1>
// CHECK: linalg.generic {{.*}} ins(%[[AGAIN]], %{{.*}} : tensor<64xi1>, tensor<64xf32>)
// CHECK-NOT: arith.cmpf
// CHECK: return

// MINIMAL: residuals of @clip_vjp, minimal: 8 bytes
// MINIMAL-NEXT: keep %{{.*}} : tensor<64xi1>, 8 bytes: 'arith.cmpf' is the smallest cut in front of what the backward reads
// SPEED: residuals of @clip_vjp, speed: 8 bytes
// ALL: residuals of @clip_vjp, all: 256 bytes
// ALL-NEXT: keep %arg0 : tensor<64xf32>, 256 bytes: an argument
// ALIVE: residuals of @clip_vjp, minimal: 0 bytes
// ALIVE-NEXT: keep %arg0 : tensor<64xf32>, 0 bytes: an argument, alive anyway
// BYTES: residuals of @clip_vjp, minimal: 64 bytes
// A budget takes the first policy that fits.
// BUDGET: residuals of @clip_vjp, all: 256 bytes
#id = affine_map<(i) -> (i)>
func.func @clip_vjp(%x: tensor<64xf32>, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%v: f32, %o: f32):
    %r = arith.maximumf %v, %zero : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  %dx = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%t, %x : tensor<64xf32>, tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%dy: f32, %v: f32, %o: f32):
    %below = arith.cmpf olt, %v, %zero : f32
    %d = arith.select %below, %zero, %dy : f32
    linalg.yield %d : f32
  } -> tensor<64xf32>
  return %y, %dx : tensor<64xf32>, tensor<64xf32>
}

// -----

// Two elementwise results in a row: one is kept, the other computed again. The
// forward keeps computing both for its result; `speed` keeps both.

// CHECK-LABEL: func @chain_vjp
// CHECK: %[[X:.*]] = quant_ste.residual %arg0 : tensor<?xf32>
// CHECK: math.exp %[[X]] : tensor<?xf32>
// MINIMAL: residuals of @chain_vjp, minimal: 1024 bytes, each ? taken as 256
// MINIMAL-NEXT: keep %arg0 : tensor<?xf32>, 1024 bytes (?*4): an argument
// MINIMAL-NEXT: recompute {{.*}} : 'math.exp', 1024 bytes less: elementwise, from what is kept
// SPEED: residuals of @chain_vjp, speed: 2048 bytes, each ? taken as 256
// SPEED: 'math.exp' is not computed twice
// ALIVE: residuals of @chain_vjp, minimal: 0 bytes
// BUDGET: residuals of @chain_vjp, minimal: 1024 bytes
func.func @chain_vjp(%x: tensor<?xf32>, %t: tensor<?xf32> {quant_ste.cotangent})
    -> (tensor<?xf32>, tensor<?xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %e = math.exp %x : tensor<?xf32>
  %y = arith.mulf %e, %x : tensor<?xf32>
  %a = arith.mulf %t, %e : tensor<?xf32>
  %b = arith.mulf %a, %x : tensor<?xf32>
  return %y, %b : tensor<?xf32>, tensor<?xf32>
}
