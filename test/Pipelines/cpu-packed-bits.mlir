// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=vectorize | FileCheck %s

// The mask register goes to memory as bits, from the kernel that compares: no
// booleans in memory, no second pass.

// CHECK-LABEL: func @forward
// CHECK: scf.for
// CHECK: %[[X:.*]] = vector.load {{.*}} vector<64xf32>
// CHECK: %[[M:.*]] = arith.cmpf olt, %[[X]]
// CHECK: %[[B:.*]] = vector.bitcast %[[M]] : vector<64xi1> to vector<8xi8>
// CHECK: vector.store %[[B]]
// CHECK: vector.maskedstore {{.*}} vector<2xi1>, vector<2xi8>
// CHECK-NOT: memref.store
func.func @forward(%x: tensor<?x6xf32>) -> tensor<?xi8> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x6xf32>
  %e = tensor.empty(%n) : tensor<?x6xi1>
  %m = linalg.map ins(%x : tensor<?x6xf32>) outs(%e : tensor<?x6xi1>)
    (%v: f32, %o: i1) {
      %z = arith.constant 0.0 : f32
      %below = arith.cmpf olt, %v, %z : f32
      linalg.yield %below : i1
    }
  %p = quant_ste.pack_bits %m row_dims(2) : tensor<?x6xi1> -> tensor<?xi8>
  return %p : tensor<?xi8>
}
