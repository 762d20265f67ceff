// fake_quantize with torch's arithmetic: a reciprocal, the zero point added to
// the rounded value. Integers have no -0, NaN gives qmin, infinities saturate.
// Only x gets a gradient, and only where it was not saturated.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=-0,-0.1,0.25,0.75,-0.75,2,2.5,inf,-inf,nan \
// RUN:   --input=f32=0.5 \
// RUN:   --input=f32=3 \
// RUN:   --input=10xf32=1,2,3,4,5,6,inf,-7,8,9 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=-0,-0.1,0.25,0.75,-0.75,2,2.5,inf,-inf,nan \
// RUN:   --input=f32=0.5 \
// RUN:   --input=f32=3 \
// RUN:   --input=10xf32=1,2,3,4,5,6,inf,-7,8,9 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 10xf32=0 0 0 1 -1 2 2 2 -5.5 -5.5{{$}}
// NUMBERS-NEXT: result[1]: 10xf32=1 2 3 4 5 6 0 0 0 0{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.divf
// CHECK: arith.mulf
// CHECK: math.roundeven
// CHECK: arith.addf
// CHECK: arith.cmpf oge
// CHECK: arith.cmpf ogt
// CHECK: arith.subf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<f32>,
    %zero_point: tensor<f32>)
    -> tensor<?xf32> {
  %y = quant_ste.fake_quantize %x, %scale, %zero_point
    qmin(-8) qmax(7) scaling(reciprocal) zero_point(after) grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.andi
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}) wrt [0] {
// RULE: quant_ste.fake_quantize {{.*}} grad(clipped)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<f32>,
    %zero_point: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x, %scale, %zero_point) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
