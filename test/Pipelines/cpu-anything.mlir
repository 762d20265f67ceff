// RUN: qopt-opt %s --quant-ste-cpu-pipeline --verify-diagnostics | FileCheck %s
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=openmp=false | FileCheck %s

// Ops and shapes that are easily forgotten: all must reach the LLVM dialect,
// without a run-time library of MLIR's.
// CHECK-NOT: memrefCopy
// CHECK-NOT: builtin.unrealized_conversion_cast

// A tensor that each iteration computes anew.
func.func @carry(%x: tensor<4xf32>, %w: tensor<4x4xf32>, %n: index) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : f32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    %y = linalg.matvec ins(%w, %v : tensor<4x4xf32>, tensor<4xf32>) outs(%f : tensor<4xf32>) -> tensor<4xf32>
    scf.yield %y : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
func.func @pad(%x: tensor<?x?xf32>, %v: f32) -> tensor<?x?xf32> {
  %p = tensor.pad %x low[1, 0] high[2, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %v : f32
  } : tensor<?x?xf32> to tensor<?x?xf32>
  return %p : tensor<?x?xf32>
}
func.func @concat(%x: tensor<?x3xf32>, %y: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %p = tensor.concat dim(0) %x, %y : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %p : tensor<?x3xf32>
}
func.func @rank0(%x: tensor<f32>) -> tensor<f32> {
  %y = math.sqrt %x : tensor<f32>
  return %y : tensor<f32>
}
func.func @empty(%x: tensor<0x3xf32>) -> tensor<0x3xf32> {
  %y = arith.addf %x, %x : tensor<0x3xf32>
  return %y : tensor<0x3xf32>
}
func.func @slice(%x: tensor<10x7xf32>, %i: index) -> tensor<4x5xf32> {
  %y = tensor.extract_slice %x[%i, 1] [4, 5] [2, 1] : tensor<10x7xf32> to tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}
func.func @insert(%x: tensor<10x7xf32>, %y: tensor<4x5xf32>) -> tensor<10x7xf32> {
  %z = tensor.insert_slice %y into %x[0, 1] [4, 5] [2, 1] : tensor<4x5xf32> into tensor<10x7xf32>
  return %z : tensor<10x7xf32>
}
func.func @branch(%x: tensor<4xf32>, %c: i1) -> (tensor<4xf32>, tensor<4xf32>) {
  %y = arith.addf %x, %x : tensor<4xf32>
  %z = scf.if %c -> tensor<4xf32> {
    scf.yield %y : tensor<4xf32>
  } else {
    %q = arith.mulf %x, %y : tensor<4xf32>
    scf.yield %q : tensor<4xf32>
  }
  return %y, %z : tensor<4xf32>, tensor<4xf32>
}
func.func @swap(%x: tensor<4xf32>, %y: tensor<4xf32>, %n: index) -> (tensor<4xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %y) -> (tensor<4xf32>, tensor<4xf32>) {
    scf.yield %b, %a : tensor<4xf32>, tensor<4xf32>
  }
  return %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
}
func.func @narrow(%x: tensor<?xbf16>, %h: tensor<?xf16>) -> (tensor<?xbf16>, tensor<?xf16>) {
  %y = arith.addf %x, %x : tensor<?xbf16>
  %z = math.tanh %h : tensor<?xf16>
  return %y, %z : tensor<?xbf16>, tensor<?xf16>
}
func.func private @power(%n: index, %t: tensor<4xf32>) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.cmpi eq, %n, %c0 : index
  %r = scf.if %z -> tensor<4xf32> {
    scf.yield %t : tensor<4xf32>
  } else {
    %m = arith.subi %n, %c1 : index
    %u = arith.addf %t, %t : tensor<4xf32>
    %v = func.call @power(%m, %u) : (index, tensor<4xf32>) -> tensor<4xf32>
    scf.yield %v : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
func.func @recursive(%t: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant 3 : index
  %v = func.call @power(%c, %t) : (index, tensor<4xf32>) -> tensor<4xf32>
  return %v : tensor<4xf32>
}
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
func.func @gather(%table: tensor<?x8xf32>, %rows: tensor<?xi64>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %rows, %c0 : tensor<?xi64>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %g = linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%rows : tensor<?xi64>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%row: i64, %out: f32):
    %r = arith.index_cast %row : i64 to index
    %c = linalg.index 1 : index
    %v = tensor.extract %table[%r, %c] : tensor<?x8xf32>
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %g : tensor<?x8xf32>
}
// Two unknown sizes in one group.
func.func @expand(%x: tensor<?xf32>, %a: index, %b: index) -> tensor<?x?xf32> {
  %y = tensor.expand_shape %x [[0, 1]] output_shape [%a, %b] : tensor<?xf32> into tensor<?x?xf32>
  %z = arith.addf %y, %y : tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}
