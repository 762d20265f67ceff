// int_quant, 3 bits signed (-4 .. 3), one scale per row: 0.5 and 2. Range is judged
// on the rounded value: 3.49 steps pass, 3.5 is clipped. Clipped elements give dx
// 0, -dy * scale to the zero point, and through the bound a gradient to the bit
// width. NaN makes the gradient of its own scale NaN, and no other.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=2x6xf32=0.25,1.745,1.75,-2.25,-8,nan,1,3,-1,20,-20,0 \
// RUN:   --input=2xf32=0.5,2 \
// RUN:   --input=f32=0 \
// RUN:   --input=f32=3 \
// RUN:   --input=2x6xf32=1,2,4,8,16,32,1,2,4,8,16,32 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=2x6xf32=0.25,1.745,1.75,-2.25,-8,nan,1,3,-1,20,-20,0 \
// RUN:   --input=2xf32=0.5,2 \
// RUN:   --input=f32=0 \
// RUN:   --input=f32=3 \
// RUN:   --input=2x6xf32=1,2,4,8,16,32,1,2,4,8,16,32 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 2x6xf32=[0 1.5 1.5 -2 -2 nan][0 4 -0 6 -8 0]{{$}}
// NUMBERS-NEXT: result[1]: 2x6xf32=[1 2 0 8 0 32][1 2 4 0 0 32]{{$}}
// NUMBERS-NEXT: result[2]: 2xf32=nan -37.5{{$}}
// NUMBERS-NEXT: result[3]: f32=-58{{$}}
// NUMBERS-NEXT: result[4]: f32=-60.996952{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>, %zero_point: tensor<f32>, %bit_width: tensor<f32>) -> tensor<?x?xf32> {
  %y = quant_ste.int_quant %x, %scale axes([0]), %zero_point, %bit_width signed rounding(round) grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?x?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: math.roundeven
// CHECK: arith.ori
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) wrt [0, 1, 2, 3] {
// RULE: quant_ste.int_quant {{.*}} grad(clipped)
func.func @gradient(%x: tensor<?x?xf32>, %scale: tensor<?xf32>, %zero_point: tensor<f32>, %bit_width: tensor<f32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>) {
  %r:5 = quant_ste.vjp @forward(%x, %scale, %zero_point, %bit_width) cotangents(%dy) wrt [0, 1, 2, 3]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>), (tensor<?x?xf32>)
      -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>)
  return %r#0, %r#1, %r#2, %r#3, %r#4
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
}
