// RUN: qopt-opt %s --canonicalize --split-input-file | FileCheck %s

// Ties, signed zeros, infinities and NaN, in every float type.
// CHECK-LABEL: func @round
// CHECK-DAG: dense<[0.000000e+00, -0.000000e+00, 2.000000e+00, 2.000000e+00, -0.000000e+00, 0x7F800000, 0x7FC00000]> : tensor<7xf32>
// CHECK-DAG: dense<2.000000e+00> : tensor<4xf16>
// CHECK-DAG: dense<-2.000000e+00> : tensor<1xbf16>
// CHECK-DAG: arith.constant 4.000000e+00 : f64
func.func @round() -> (tensor<7xf32>, tensor<4xf16>, tensor<1xbf16>, f64) {
  %a = arith.constant dense<[0.5, -0.5, 1.5, 2.5, -0.0, 0x7F800000, 0x7FC00000]> : tensor<7xf32>
  %b = arith.constant dense<1.5> : tensor<4xf16>
  %c = arith.constant dense<-2.5> : tensor<1xbf16>
  %d = arith.constant 3.5 : f64
  %0 = quant_ste.round %a grad(ste) : tensor<7xf32>
  %1 = quant_ste.round %b grad(ste) : tensor<4xf16>
  %2 = quant_ste.round %c grad(ste) : tensor<1xbf16>
  %3 = quant_ste.round %d grad(ste) : f64
  return %0, %1, %2, %3 : tensor<7xf32>, tensor<4xf16>, tensor<1xbf16>, f64
}

// -----

// CHECK-LABEL: func @roundings
// CHECK-DAG: dense<[-0.000000e+00, 0.000000e+00, -1.000000e+00, 0.000000e+00]> : tensor<4xf32>
// CHECK-DAG: dense<[-0.000000e+00, -0.000000e+00, -1.000000e+00, 0.000000e+00]> : tensor<4xf32>
func.func @roundings() -> (tensor<4xf32>, tensor<4xf32>) {
  %x = arith.constant dense<[-0.5, -0.0, -1.5, 0.5]> : tensor<4xf32>
  %0 = quant_ste.round_to_zero %x grad(ste) : tensor<4xf32>
  %1 = quant_ste.dpu_round %x grad(ste) : tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// NaN is -1 for the binary sign and 0 for the ternary one.
// CHECK-LABEL: func @signs
// CHECK-DAG: dense<[1.000000e+00, 1.000000e+00, -1.000000e+00, -1.000000e+00]> : tensor<4xf32>
// CHECK-DAG: dense<[0.000000e+00, 0.000000e+00, 0.000000e+00, -1.000000e+00]> : tensor<4xf32>
func.func @signs() -> (tensor<4xf32>, tensor<4xf32>) {
  %x = arith.constant dense<[0.0, -0.0, 0x7FC00000, -1.0e-40]> : tensor<4xf32>
  %0 = quant_ste.binary_sign %x grad(ste) : tensor<4xf32>
  %1 = quant_ste.ternary_sign %x grad(ste) : tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Whole bit widths are exact.
// CHECK-LABEL: func @ranges
// CHECK-DAG: arith.constant 2.14748365E+9 : f32
// CHECK-DAG: arith.constant -1.270000e+02 : f32
// CHECK-DAG: arith.constant 2.540000e+02 : f32
// CHECK-DAG: arith.constant 1.828427
func.func @ranges() -> (f32, f32, f32, f64) {
  %b32 = arith.constant 32.0 : f32
  %b8 = arith.constant 8.0 : f32
  %b25 = arith.constant 2.5 : f64
  %0 = quant_ste.max_int %b32 signed grad(exact) : f32
  %1 = quant_ste.min_int %b8 signed narrow_range grad(exact) : f32
  %2 = quant_ste.max_uint %b8 narrow_range grad(exact) : f32
  %3 = quant_ste.max_int %b25 signed grad(exact) : f64
  return %0, %1, %2, %3 : f32, f32, f32, f64
}

// -----

// Per channel: each row with its own scale.
// CHECK-LABEL: func @per_channel
// CHECK: dense<{{\[\[}}5.000000e-01, 1.000000e+00], [1.000000e+00, 1.000000e+00]]> : tensor<2x2xf32>
func.func @per_channel() -> tensor<2x2xf32> {
  %x = arith.constant dense<[[0.6, 0.8], [0.6, 0.8]]> : tensor<2x2xf32>
  %s = arith.constant dense<[0.5, 1.0]> : tensor<2xf32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %b = arith.constant dense<4.0> : tensor<f32>
  %0 = quant_ste.int_quant %x, %s axes([0]), %z, %b signed grad(clipped)
    : tensor<2x2xf32>, tensor<2xf32>, tensor<f32>, tensor<f32>
  return %0 : tensor<2x2xf32>
}

// -----

// f16 is computed in f32 and rounded once.
// CHECK-LABEL: func @widened
// CHECK: dense<5.000000e-01> : tensor<f16>
func.func @widened() -> tensor<f16> {
  %x = arith.constant dense<0.5> : tensor<f16>
  %alpha = arith.constant 0.5 : f32
  %0 = quant_ste.pact %x, %alpha bits(8) grad(pact) : tensor<f16>, f32
  return %0 : tensor<f16>
}

// -----

// Not constant, dynamic or large: left alone.
// CHECK-LABEL: func @left_alone
// CHECK: quant_ste.tensor_clamp
func.func @left_alone(%x: tensor<2xf32>) -> tensor<2xf32> {
  %lo = arith.constant dense<0.0> : tensor<f32>
  %hi = arith.constant dense<1.0> : tensor<f32>
  %0 = quant_ste.tensor_clamp %x, %lo, %hi grad(ste) : tensor<2xf32>, tensor<f32>, tensor<f32>
  return %0 : tensor<2xf32>
}
