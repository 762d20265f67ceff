// RUN: qopt-opt %s --split-input-file --convert-quant-to-quant-ste --verify-diagnostics | FileCheck %s
// RUN: qopt-opt %s --split-input-file --convert-quant-to-quant-ste=partial 2>&1 | FileCheck %s --check-prefix=PARTIAL

// CHECK-LABEL: func @per_tensor
// CHECK-DAG: %[[S:.*]] = arith.constant dense<5.000000e-01> : tensor<f32>
// CHECK-DAG: %[[Z:.*]] = arith.constant dense<-3.000000e+00> : tensor<f32>
// CHECK: quant_ste.fake_quantize %{{.*}}, %[[S]], %[[Z]] qmin(-127) qmax(127) scaling(divide) zero_point(before) grad(clipped) : tensor<?xf32>, tensor<f32>, tensor<f32>
func.func @per_tensor(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-remark @+1 {{exact: of the roundings that quant leaves open, ties to even}}
  %q = quant.qcast %x : tensor<?xf32> to tensor<?x!quant.uniform<i8<-127:127>:f32, 0.5:-3>>
  %y = quant.dcast %q : tensor<?x!quant.uniform<i8<-127:127>:f32, 0.5:-3>> to tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func @per_axis
// CHECK: quant_ste.fake_quantize %{{.*}}, %{{.*}} axes([1]), %{{.*}} axes([1]) qmin(0) qmax(15) {{.*}} : tensor<?x2xbf16>, tensor<2xf32>, tensor<2xf32>
func.func @per_axis(%x: tensor<?x2xbf16>) -> tensor<?x2xbf16> {
  // expected-remark @+1 {{exact}}
  %q = quant.qcast %x : tensor<?x2xbf16> to tensor<?x2x!quant.uniform<u4:bf16:1, {0.5:1, 0.25:2}>>
  %y = quant.dcast %q : tensor<?x2x!quant.uniform<u4:bf16:1, {0.5:1, 0.25:2}>> to tensor<?x2xbf16>
  return %y : tensor<?x2xbf16>
}

// CHECK-LABEL: func @blocks
// CHECK-DAG: %[[S:.*]] = arith.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK: %[[X:.*]] = tensor.expand_shape %{{.*}} {{\[\[}}0, 1], [2, 3]] {{.*}} : tensor<2x6xf32> into tensor<2x1x2x3xf32>
// CHECK: %[[Y:.*]] = quant_ste.fake_quantize %[[X]], %[[S]] axes([0, 2]), %{{.*}} axes([0, 2]) qmin(-128)
// CHECK: tensor.collapse_shape %[[Y]] {{\[\[}}0, 1], [2, 3]] : tensor<2x1x2x3xf32> into tensor<2x6xf32>
func.func @blocks(%x: tensor<2x6xf32>) -> tensor<2x6xf32> {
  // expected-remark @+1 {{exact}}
  %q = quant.qcast %x : tensor<2x6xf32> to tensor<2x6x!quant.uniform<i8:f32:{0:1, 1:3}, {{1.0, 2.0}, {3.0, 4.0}}>>
  %y = quant.dcast %q : tensor<2x6x!quant.uniform<i8:f32:{0:1, 1:3}, {{1.0, 2.0}, {3.0, 4.0}}>> to tensor<2x6xf32>
  return %y : tensor<2x6xf32>
}

// -----

// PARTIAL: remark: stays: expected its results to go to quant.dcast alone
func.func @integers(%x: f32) -> i8 {
  // expected-error @+2 {{has no form in quant_ste: expected its results to go to quant.dcast alone}}
  // expected-remark @+1 {{its integers go to quant.scast}}
  %q = quant.qcast %x : f32 to !quant.uniform<i8:f32, 0.5>
  %i = quant.scast %q : !quant.uniform<i8:f32, 0.5> to i8
  return %i : i8
}

// -----

func.func @lone(%q: !quant.uniform<i8:f32, 0.5>) -> f32 {
  // expected-error @+1 {{has no form in quant_ste: its input does not come from a quant.qcast}}
  %y = quant.dcast %q : !quant.uniform<i8:f32, 0.5> to f32
  return %y : f32
}

// -----

func.func @dynamic_blocks(%x: tensor<?x6xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{has no form in quant_ste: expected a static shape to split into blocks, got tensor<?x6xf32>}}
  %q = quant.qcast %x : tensor<?x6xf32> to tensor<?x6x!quant.uniform<i8:f32:{1:3}, {{1.0, 2.0}}>>
  %y = quant.dcast %q : tensor<?x6x!quant.uniform<i8:f32:{1:3}, {{1.0, 2.0}}>> to tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
