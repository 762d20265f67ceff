// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=vectorize | FileCheck %s

// The mask register goes to memory as bits, from the kernel that compares: no
// booleans in memory, no second pass.

// CHECK-LABEL: func @forward
// CHECK: %[[X:.*]] = vector.load {{.*}} vector<64xf32>
// CHECK: %[[M:.*]] = arith.cmpf olt, %[[X]]
// CHECK: %[[B:.*]] = vector.bitcast %[[M]] : vector<64xi1> to vector<8xi8>
// CHECK: vector.store %[[B]]
// CHECK: vector.maskedstore {{.*}} vector<2xi1>, vector<2xi8>
// CHECK-NOT: memref.store
// CHECK: return
#id = affine_map<(i, j) -> (i, j)>
func.func @forward(%x: tensor<?x6xf32>) -> tensor<?xi8> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x6xf32>
  %e = tensor.empty(%n) : tensor<?x6xi1>
  %m = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x6xf32>) outs(%e : tensor<?x6xi1>) {
  ^bb0(%v: f32, %o: i1):
    %below = arith.cmpf olt, %v, %zero : f32
    linalg.yield %below : i1
  } -> tensor<?x6xi1>
  %p = quant_ste.pack_bits %m row_dims(2) : tensor<?x6xi1> -> tensor<?xi8>
  return %p : tensor<?xi8>
}
