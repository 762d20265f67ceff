// RUN: qopt-opt %s --canonicalize | FileCheck %s

// Bit k of a byte is element k; the bits after the end of a row are 0.
// CHECK-LABEL: func @constant
// CHECK-DAG: arith.constant dense<{{\[}}[5, 1], [0, 0]]> : tensor<2x2xi8>
// CHECK-DAG: arith.constant dense<[true, false, true]> : tensor<3xi1>
func.func @constant() -> (tensor<2x2xi8>, tensor<3xi1>) {
  %m = arith.constant dense<[[true, false, true, false, false, false, false, false, true],
                             [false, false, false, false, false, false, false, false, false]]> : tensor<2x9xi1>
  %p = quant_ste.pack_bits %m : tensor<2x9xi1> -> tensor<2x2xi8>
  %b = arith.constant dense<-3> : tensor<1xi8>
  %u = quant_ste.unpack_bits %b : tensor<1xi8> -> tensor<3xi1>
  return %p, %u : tensor<2x2xi8>, tensor<3xi1>
}

// Packing clears bits that unpacking ignores, so that only whole bytes come
// back as they are.
// CHECK-LABEL: func @inverse
// CHECK-SAME: %[[M:.*]]: tensor<3xi1>, %[[P:.*]]: tensor<1xi8>, %[[Q:.*]]: tensor<2xi8>)
// CHECK-NOT: pack_bits %[[M]]
// CHECK: %[[U:.*]] = quant_ste.unpack_bits %[[P]]
// CHECK: %[[R:.*]] = quant_ste.pack_bits %[[U]]
// CHECK: return %[[M]], %[[R]], %[[Q]]
func.func @inverse(%m: tensor<3xi1>, %p: tensor<1xi8>, %q: tensor<2xi8>)
    -> (tensor<3xi1>, tensor<1xi8>, tensor<2xi8>) {
  %0 = quant_ste.pack_bits %m : tensor<3xi1> -> tensor<1xi8>
  %1 = quant_ste.unpack_bits %0 : tensor<1xi8> -> tensor<3xi1>
  %2 = quant_ste.unpack_bits %p : tensor<1xi8> -> tensor<3xi1>
  %3 = quant_ste.pack_bits %2 : tensor<3xi1> -> tensor<1xi8>
  %4 = quant_ste.unpack_bits %q : tensor<2xi8> -> tensor<16xi1>
  %5 = quant_ste.pack_bits %4 : tensor<16xi1> -> tensor<2xi8>
  return %1, %3, %5 : tensor<3xi1>, tensor<1xi8>, tensor<2xi8>
}
