// trunc_int_quant, unsigned, from 4 bits to 2: integers 0..15 in steps of 0.5
// become 0..3 in steps of 2, rounded down.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.5,1.5,2,6,7.5,8,-0.5,inf,nan \
// RUN:   --input=9xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=f32=0 \
// RUN:   --input=f32=4 \
// RUN:   --input=f32=2 \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,8,9 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.5,1.5,2,6,7.5,8,-0.5,inf,nan \
// RUN:   --input=9xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=f32=0 \
// RUN:   --input=f32=4 \
// RUN:   --input=f32=2 \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,8,9 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0 0 2 6 6 6 0 6 nan{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 4 5 0 0 0 9{{$}}
// NUMBERS-NEXT: result[2]: 9xf32=-1 -6 0 0 -15 72 0 96 {{-?nan}}{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.divf
// CHECK: math.floor
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// CHECK: arith.subf
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<?xf32>, %zero_point: tensor<f32>, %input_bit_width: tensor<f32>, %output_bit_width: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.trunc_int_quant %x, %scale axes([0]), %zero_point, %input_bit_width, %output_bit_width unsigned rounding(floor) grad(clipped)
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.ori
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.trunc_int_quant {{.*}} grad(clipped)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<?xf32>, %zero_point: tensor<f32>, %input_bit_width: tensor<f32>, %output_bit_width: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%x, %scale, %zero_point, %input_bit_width, %output_bit_width) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
