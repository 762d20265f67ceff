// RUN: qopt-opt %s --quant-ste-fuse --split-input-file | FileCheck %s
// RUN: qopt-opt %s --quant-ste-fuse=max-ops=3 --split-input-file | FileCheck %s --check-prefix=CAP

#id = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func @chain
// CHECK: linalg.generic
// CHECK: math.floor
// CHECK: arith.negf
// CHECK-NOT: linalg.generic
// CAP-LABEL: func @chain
// CAP-COUNT-2: linalg.generic
func.func @chain(%x: tensor<?xf32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = math.floor %in : f32
    linalg.yield %a : f32
  } -> tensor<?xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%0 : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.negf %in : f32
    linalg.yield %a : f32
  } -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// Two users: nothing is computed twice.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @two_users
// CHECK-COUNT-3: linalg.generic
func.func @two_users(%x: tensor<?xf32>, %e: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = math.exp %in : f32
    linalg.yield %a : f32
  } -> tensor<?xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%0 : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.negf %in : f32
    linalg.yield %a : f32
  } -> tensor<?xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%0 : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.addf %in, %in : f32
    linalg.yield %a : f32
  } -> tensor<?xf32>
  return %1, %2 : tensor<?xf32>, tensor<?xf32>
}

// -----

// One value per row, used for each column: it stays computed once per row.
#row = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @broadcast
// CHECK-COUNT-2: linalg.generic
func.func @broadcast(%s: tensor<?xf32>, %x: tensor<?x?xf32>, %e: tensor<?xf32>) -> tensor<?x?xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%s : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = math.exp %in : f32
    linalg.yield %a : f32
  } -> tensor<?xf32>
  %1 = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%0 : tensor<?xf32>) outs(%x : tensor<?x?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.mulf %in, %out : f32
    linalg.yield %a : f32
  } -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// -----

// A quantizer is not computed again for each row of a product.
#id = affine_map<(d0, d1) -> (d0, d1)>
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
// CHECK-LABEL: func @product
// CHECK-COUNT-3: linalg.
func.func @product(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>, %c: tensor<4x4xf32>, %e: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = math.floor %in : f32
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  %1 = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %0 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%c : tensor<4x4xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  %2 = linalg.matmul ins(%x, %1 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%c : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1, %2 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A reduction takes its producer in; extrema of 16-bit floats are found in f32.

// CHECK-LABEL: func.func @absmax
// CHECK: %[[START:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%{{.*}} : tensor<?xf32>)
// CHECK: %[[MAX:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%arg0 : tensor<?x32xbf16>) outs(%[[START]] : tensor<?xf32>)
// CHECK: math.absf %{{.*}} : bf16
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: arith.maximumf %{{.*}}, %{{.*}} : f32
// CHECK: linalg.generic {{.*}} ins(%[[MAX]] : tensor<?xf32>) outs(%{{.*}} : tensor<?xbf16>)
// CHECK: arith.truncf
func.func @absmax(%x: tensor<?x32xbf16>, %empty: tensor<?x32xbf16>, %out: tensor<?xbf16>) -> tensor<?xbf16> {
  %zero = arith.constant 0.0 : bf16
  %abs = linalg.map { math.absf } ins(%x : tensor<?x32xbf16>) outs(%empty : tensor<?x32xbf16>)
  %start = linalg.fill ins(%zero : bf16) outs(%out : tensor<?xbf16>) -> tensor<?xbf16>
  %max = linalg.reduce { arith.maximumf } ins(%abs : tensor<?x32xbf16>) outs(%start : tensor<?xbf16>) dimensions = [1]
  return %max : tensor<?xbf16>
}

// -----

// Sums keep the type that they were given, as do other uses of the old value.

// CHECK-LABEL: func.func @sum
// CHECK: arith.addf %{{.*}}, %{{.*}} : bf16
// CHECK-NOT: arith.extf
// CHECK: arith.maximumf %{{.*}}, %{{.*}} : bf16
func.func @sum(%x: tensor<?x32xbf16>, %out: tensor<?xbf16>) -> (tensor<?xbf16>, tensor<?xbf16>) {
  %sum = linalg.reduce { arith.addf } ins(%x : tensor<?x32xbf16>) outs(%out : tensor<?xbf16>) dimensions = [1]
  %other = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x32xbf16>) outs(%out : tensor<?xbf16>) {
  ^bb0(%v: bf16, %o: bf16):
    %m = arith.maximumf %v, %o : bf16
    %r = arith.addf %m, %o : bf16
    linalg.yield %r : bf16
  } -> tensor<?xbf16>
  return %sum, %other : tensor<?xbf16>, tensor<?xbf16>
}

// -----

// A tensor of one scalar is that scalar: a learning rate costs no memory.

// CHECK-LABEL: func.func @splat
// CHECK-SAME: %[[P:.*]]: tensor<8xf32>, %[[G:.*]]: tensor<8xf32>, %[[RATE:.*]]: f32
// CHECK-NOT: tensor.splat
// CHECK: linalg.generic {{.*}} ins(%[[P]], %[[G]] :
// CHECK: arith.mulf %{{.*}}, %[[RATE]]
func.func @splat(%p: tensor<8xf32>, %g: tensor<8xf32>, %rate: f32) -> tensor<8xf32> {
  %r = tensor.splat %rate : tensor<8xf32>
  %next = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]} ins(%p, %g, %r : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) outs(%p : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %m = arith.mulf %b, %c : f32
    %s = arith.subf %a, %m : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %next : tensor<8xf32>
}
