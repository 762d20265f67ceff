// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals -o /dev/null 2>&1 | FileCheck %s
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="keep-arguments=false keep-results=false" -o /dev/null 2>&1 | FileCheck %s --check-prefix=ALONE
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals=recompute-products -o /dev/null 2>&1 | FileCheck %s --check-prefix=AGAIN
// RUN: qopt-opt %s --split-input-file --quant-ste-print-residuals="recompute-products budget=300" -o /dev/null 2>&1 | FileCheck %s --check-prefix=BUDGET

// A product is kept, or, of the same size, what is nearer to the backward. With
// recompute-products it is computed again from the arguments; with a budget only
// where it must be.

// CHECK: residuals of @product_vjp, minimal: 256 bytes
// CHECK-NEXT: keep %{{.*}} : tensor<8x8xf32>, 256 bytes: 'math.exp' is the smallest cut
// AGAIN: residuals of @product_vjp, minimal: 0 bytes
// AGAIN-DAG: recompute %{{.*}} : 'linalg.matmul', 256 bytes less: asked for
// AGAIN-DAG: recompute %{{.*}} : 'math.exp', 256 bytes less: elementwise
// BUDGET: residuals of @product_vjp, minimal: 256 bytes
func.func @product_vjp(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %t: tensor<8x8xf32> {quant_ste.cotangent})
    -> (tensor<8x8xf32>, tensor<8x8xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%z : tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = math.exp %p : tensor<8x8xf32>
  %r = arith.mulf %y, %x : tensor<8x8xf32>
  %d = arith.mulf %t, %y : tensor<8x8xf32>
  return %r, %d : tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// The narrower of two values that tell the same; neither where x is alive.

// CHECK-NEXT: residuals of @narrow_vjp, minimal: 0 bytes
// ALONE: residuals of @narrow_vjp, minimal: 128 bytes
// ALONE-NEXT: keep %{{.*}} : tensor<64xf16>, 128 bytes: 'arith.truncf'
// ALONE-NEXT: recompute %{{.*}} : 'arith.extf', 256 bytes less: elementwise
func.func @narrow_vjp(%x: tensor<64xf32>, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %h = arith.truncf %x : tensor<64xf32> to tensor<64xf16>
  %w = arith.extf %h : tensor<64xf16> to tensor<64xf32>
  %y = arith.mulf %w, %x : tensor<64xf32>
  %d = arith.mulf %t, %w : tensor<64xf32>
  return %y, %d : tensor<64xf32>, tensor<64xf32>
}

// -----

// A sum is not computed twice, what broadcasts it is.

// CHECK: residuals of @sum_vjp, minimal: 32 bytes
// CHECK-NEXT: keep %{{.*}} : tensor<8xf32>, 32 bytes: 'linalg.reduce' is not computed twice
// CHECK-NEXT: recompute %{{.*}} : 'linalg.broadcast', 256 bytes less: elementwise
// AGAIN: residuals of @sum_vjp, minimal: 0 bytes
func.func @sum_vjp(%x: tensor<8x8xf32>, %t: tensor<8x8xf32> {quant_ste.cotangent})
    -> (tensor<8x8xf32>, tensor<8x8xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %s = linalg.reduce {arith.addf} ins(%x : tensor<8x8xf32>) outs(%z : tensor<8xf32>) dimensions = [1]
  %o = tensor.empty() : tensor<8x8xf32>
  %b = linalg.broadcast ins(%s : tensor<8xf32>) outs(%o : tensor<8x8xf32>) dimensions = [1]
  %y = arith.mulf %b, %x : tensor<8x8xf32>
  %d = arith.mulf %t, %b : tensor<8x8xf32>
  return %y, %d : tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// A view of what is alive costs nothing, nor does a constant or a filled tensor.

// CHECK: residuals of @views_vjp, minimal: 0 bytes
// CHECK-NEXT: keep %arg0 : tensor<8x8xf32>, 0 bytes: an argument, alive anyway
// AGAIN: residuals of @views_vjp
func.func @views_vjp(%x: tensor<8x8xf32>, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %two = arith.constant 2.0 : f32
  %c = arith.constant dense<3.0> : tensor<64xf32>
  %e = tensor.empty() : tensor<64xf32>
  %f = linalg.fill ins(%two : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %v = tensor.collapse_shape %x [[0, 1]] : tensor<8x8xf32> into tensor<64xf32>
  %a = arith.mulf %t, %v : tensor<64xf32>
  %b = arith.mulf %a, %c : tensor<64xf32>
  %d = arith.mulf %b, %f : tensor<64xf32>
  %y = math.absf %v : tensor<64xf32>
  return %y, %d : tensor<64xf32>, tensor<64xf32>
}

// -----

// A result is alive anyway: nothing of what it is made of is kept.

// CHECK-NEXT: residuals of @result_vjp, minimal: 0 bytes
// CHECK-NEXT: keep %{{.*}} : tensor<64xf32>, 0 bytes: a result, alive anyway
// ALONE: residuals of @result_vjp, minimal: 256 bytes
func.func @result_vjp(%x: tensor<64xf32>, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %y = math.tanh %x : tensor<64xf32>
  %d = arith.mulf %t, %y : tensor<64xf32>
  return %y, %d : tensor<64xf32>, tensor<64xf32>
}

// -----

// Calls and loops are kept like products; the call always, for it is not known
// whether it does more than compute.

// CHECK: residuals of @call_and_loop_vjp, minimal: 512 bytes
// CHECK-DAG: keep %{{.*}} : tensor<64xf32>, 256 bytes: 'func.call' is not computed twice
// CHECK-DAG: keep %{{.*}} : tensor<64xf32>, 256 bytes: 'scf.for' is not computed twice
// AGAIN: residuals of @call_and_loop_vjp, minimal: 256 bytes
// AGAIN: recompute %{{.*}} : 'scf.for', 256 bytes less: asked for
func.func private @g(tensor<64xf32>) -> tensor<64xf32>
func.func @call_and_loop_vjp(%x: tensor<64xf32>, %n: index, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = func.call @g(%x) : (tensor<64xf32>) -> tensor<64xf32>
  %l = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<64xf32> {
    %b = math.sin %a : tensor<64xf32>
    scf.yield %b : tensor<64xf32>
  }
  %r = arith.mulf %l, %y : tensor<64xf32>
  %d0 = arith.mulf %t, %y : tensor<64xf32>
  %d = arith.mulf %d0, %l : tensor<64xf32>
  return %r, %d : tensor<64xf32>, tensor<64xf32>
}

// -----

// Random numbers are made again from their seed; a value that is read twice is
// kept once.

// CHECK: residuals of @random_vjp, minimal: 256 bytes
// CHECK: keep %{{.*}} : tensor<64xf32>, 256 bytes: 'func.call' is not computed twice
// CHECK: recompute %{{.*}} : 'quant_ste.uniform', 256 bytes less
func.func private @g(tensor<64xf32>) -> tensor<64xf32>
func.func @random_vjp(%x: tensor<64xf32>, %seed: i64, %step: i64, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %y = func.call @g(%x) : (tensor<64xf32>) -> tensor<64xf32>
  %u = quant_ste.uniform seed(%seed) step(%step) : tensor<64xf32>
  %r = arith.mulf %u, %y : tensor<64xf32>
  %d0 = arith.mulf %t, %y : tensor<64xf32>
  %d1 = arith.mulf %d0, %y : tensor<64xf32>
  %d = arith.mulf %d1, %u : tensor<64xf32>
  return %r, %d : tensor<64xf32>, tensor<64xf32>
}

// -----

// A gradient that sees no cotangent counts as the backward's.

// ALONE: residuals of @constant_gradient_vjp, minimal: 256 bytes
// ALONE-NEXT: keep %{{.*}} : tensor<64xf32>, 256 bytes: 'math.exp'
func.func @constant_gradient_vjp(%x: tensor<64xf32>, %t: tensor<64xf32> {quant_ste.cotangent})
    -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %y = arith.negf %x : tensor<64xf32>
  %d = math.exp %x : tensor<64xf32>
  return %y, %d : tensor<64xf32>, tensor<64xf32>
}
