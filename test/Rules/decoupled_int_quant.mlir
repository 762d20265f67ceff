// decoupled_int_quant, signed 3 bits (-4..3): steps of 0.5 from zero point 1
// in, steps of 1 from zero point 0 out. Range is judged on the rounded value.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0.25,0.75,-2.75,1.25,1,-3,inf,nan \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=f32=1 \
// RUN:   --input=f32=1 \
// RUN:   --input=f32=0 \
// RUN:   --input=f32=3 \
// RUN:   --input=8xf32=1,2,3,inf,5,6,7,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0.25,0.75,-2.75,1.25,1,-3,inf,nan \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=f32=1 \
// RUN:   --input=f32=1 \
// RUN:   --input=f32=0 \
// RUN:   --input=f32=3 \
// RUN:   --input=8xf32=1,2,3,inf,5,6,7,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 8xf32=2 2 -4 3 3 -4 3 nan{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=2 4 6 0 10 0 0 16{{$}}
// NUMBERS-NEXT: result[2]: 8xf32=-1 -6 33 0 -20 0 0 {{-?nan}}{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.divf
// CHECK: arith.addf
// CHECK: math.roundeven
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// CHECK: arith.subf
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %pre_scale: tensor<?xf32>, %pre_zero_point: tensor<f32>, %scale: tensor<f32>, %zero_point: tensor<f32>, %bit_width: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.decoupled_int_quant %x, %pre_scale axes([0]), %pre_zero_point, %scale, %zero_point, %bit_width signed rounding(round) grad(clipped)
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.divf
// CHECK: arith.ori
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.decoupled_int_quant {{.*}} grad(clipped)
func.func @gradient(%x: tensor<?xf32>, %pre_scale: tensor<?xf32>, %pre_zero_point: tensor<f32>, %scale: tensor<f32>, %zero_point: tensor<f32>, %bit_width: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%x, %pre_scale, %pre_zero_point, %scale, %zero_point, %bit_width) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
