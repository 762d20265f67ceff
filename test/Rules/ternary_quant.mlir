// ternary_quant with scale 2 and threshold 0.5: abs(x) == 1 is still 0, as is
// NaN.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=1,1.5,-1,-1.5,0,-0,inf,-inf,nan \
// RUN:   --input=f32=2 \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,8,inf \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=1,1.5,-1,-1.5,0,-0,inf,-inf,nan \
// RUN:   --input=f32=2 \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,8,inf \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0 2 -0 -2 0 0 2 -2 0{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=0 4 0 8 0 0 14 16 0{{$}}
// NUMBERS-NEXT: result[2]: f32=-3{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.absf
// CHECK: arith.cmpf ogt
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.ternary_quant %x, %scale threshold(5.000000e-01) grad(ste)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.cmpf ogt
// CHECK: arith.mulf
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.ternary_quant {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @forward(%x, %scale) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
