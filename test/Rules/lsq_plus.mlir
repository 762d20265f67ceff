// lsq_plus on [0, 3] with scale 0.5 and offset -0.25: dbeta gets the cotangents
// of clipped elements, times grad_scale. NaN counts as in range.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0,0.2,-0.25,1.25,-1,3,inf,nan \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=f32=-0.25 \
// RUN:   --input=8xf32=1,2,3,4,5,6,-7,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0,0.2,-0.25,1.25,-1,3,inf,nan \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=f32=-0.25 \
// RUN:   --input=8xf32=1,2,3,4,5,6,-7,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 8xf32=-0.25 0.25 -0.25 1.25 -0.25 1.25 1.25 nan{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=1 2 0 0 0 0 0 8{{$}}
// NUMBERS-NEXT: result[2]: 8xf32=-0.25 0.100000024 0 6 0 9 -10.5 nan{{$}}
// NUMBERS-NEXT: result[3]: f32=5.5{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.subf
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.mulf
// CHECK: arith.addf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<?xf32>, %beta: tensor<f32>)
    -> tensor<?xf32> {
  %y = quant_ste.lsq_plus %x, %scale axes([0]), %beta
    qmin(0) qmax(3) grad_scale(5.000000e-01) grad(lsq)
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.cmpf ole
// CHECK: arith.cmpf oge
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}) wrt [0, 1, 2] {
// RULE: quant_ste.lsq_plus {{.*}} grad_scale(5.000000e-01) grad(lsq)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<?xf32>,
    %beta: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:4 = quant_ste.vjp @forward(%x, %scale, %beta) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?xf32>, tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2, %r#3
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
