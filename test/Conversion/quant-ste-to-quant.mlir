// RUN: qopt-opt %s --split-input-file --convert-quant-ste-to-quant --verify-diagnostics | FileCheck %s
// RUN: qopt-opt %s --split-input-file --convert-quant-ste-to-quant=partial 2>&1 | FileCheck %s --check-prefix=PARTIAL

// CHECK-LABEL: func @per_tensor
// CHECK: %[[Q:.*]] = quant.qcast %{{.*}} : tensor<?xf32> to tensor<?x!quant.uniform<i8<-127:127>:f32, 5.000000e-01>>
// CHECK: quant.dcast %[[Q]] : tensor<?x!quant.uniform<i8<-127:127>:f32, 5.000000e-01>> to tensor<?xf32>
func.func @per_tensor(%x: tensor<?xf32>) -> tensor<?xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %b = arith.constant dense<8.0> : tensor<f32>
  // expected-remark @+1 {{differs: NaN stays NaN here, quant's integers have none; ties go to even, quant leaves its roundings open (lower-quant-ops truncates)}}
  %y = quant_ste.int_quant %x, %s, %z, %b signed narrow_range grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func @per_axis
// CHECK: quant.qcast %{{.*}} : tensor<2x?xf32> to tensor<2x?x!quant.uniform<u4:f32:0, {5.000000e-01:3,2.500000e-01:3}>>
func.func @per_axis(%x: tensor<2x?xf32>) -> tensor<2x?xf32> {
  %s = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %z = arith.constant dense<3.0> : tensor<f32>
  // expected-remark @+1 {{differs: x is multiplied by 1 / scale, quant divides; the zero point is added after rounding, quant adds it before; ties go to even}}
  %y = quant_ste.fake_quantize %x, %s axes([0]), %z qmin(0) qmax(15) grad(clipped)
    : tensor<2x?xf32>, tensor<2xf32>, tensor<f32>
  return %y : tensor<2x?xf32>
}

// CHECK-LABEL: func @plain
// CHECK: quant.qcast %{{.*}} : f16 to !quant.uniform<i8:f16, 5.000000e-01:-1>
func.func @plain(%x: f16) -> f16 {
  %s = arith.constant 0.5 : f32
  %z = arith.constant -1.0 : f32
  // expected-remark @+1 {{differs: it computes in f32, quant in f16; ties go to even}}
  %y = quant_ste.fake_quantize %x, %s, %z qmin(-128) qmax(127) scaling(divide)
    zero_point(before) grad(clipped) : f16, f32, f32
  return %y : f16
}

// -----

// PARTIAL: remark: stays: expected a constant 'scale'
// PARTIAL: quant_ste.int_quant
func.func @run_time(%x: f32, %s: f32) -> f32 {
  %z = arith.constant 0.0 : f32
  %b = arith.constant 8.0 : f32
  // expected-error @+1 {{has no form in quant: expected a constant 'scale'}}
  %y = quant_ste.int_quant %x, %s, %z, %b signed grad(clipped) : f32, f32, f32, f32
  return %y : f32
}

// -----

func.func @fraction(%x: f32) -> f32 {
  %s = arith.constant 1.0 : f32
  %z = arith.constant 0.5 : f32
  %b = arith.constant 8.0 : f32
  // expected-error @+1 {{has no form in quant: expected a whole zero point in [-128, 127], got 0.50}}
  %y = quant_ste.int_quant %x, %s, %z, %b signed grad(clipped) : f32, f32, f32, f32
  return %y : f32
}

// -----

func.func @floor(%x: f32) -> f32 {
  %s = arith.constant 1.0 : f32
  %z = arith.constant 0.0 : f32
  %b = arith.constant 8.0 : f32
  // expected-error @+1 {{has no form in quant: quant says no rounding(floor)}}
  %y = quant_ste.int_quant %x, %s, %z, %b signed rounding(floor) grad(clipped) : f32, f32, f32, f32
  return %y : f32
}

// -----

func.func @negative(%x: f32) -> f32 {
  %s = arith.constant -1.0 : f32
  %z = arith.constant 0.0 : f32
  %b = arith.constant 8.0 : f32
  // expected-error @+1 {{has no form in quant: scale out of expressed type range}}
  %y = quant_ste.int_quant %x, %s, %z, %b signed grad(clipped) : f32, f32, f32, f32
  return %y : f32
}

// -----

func.func @pact(%x: f32, %a: f32) -> f32 {
  // expected-error @+1 {{has no form in quant: quant has uniform types only, with a scale, a zero point and bounds}}
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : f32, f32
  return %y : f32
}
