// binary_quant with scale 0.5: both zeros give +0.5, NaN -0.5; dx is scaled
// and has no mask.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=2,-2,0,-0,inf,-inf,nan \
// RUN:   --input=f32=0.5 \
// RUN:   --input=7xf32=1,2,3,4,5,6,-0 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=2,-2,0,-0,inf,-inf,nan \
// RUN:   --input=f32=0.5 \
// RUN:   --input=7xf32=1,2,3,4,5,6,-0 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 7xf32=0.5 -0.5 0.5 0.5 0.5 -0.5 -0.5{{$}}
// NUMBERS-NEXT: result[1]: 7xf32=0.5 1 1.5 2 2.5 3 -0{{$}}
// NUMBERS-NEXT: result[2]: f32=5{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf oge
// CHECK: arith.select
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.binary_quant %x, %scale grad(ste)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.mulf
// CHECK: arith.addf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.binary_quant {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @forward(%x, %scale) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
