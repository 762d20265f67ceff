// pact with 2 bits: three steps on [0, alpha]. At x == 0 dx gets dy; at x == alpha
// dx and dalpha both do; NaN passes dy to dx. dy = inf on a clipped element stays
// out of dx.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS
// As published, x == alpha gives to dalpha alone.
// RUN: qopt-run %s --function=gradient_paper \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 \
// RUN:   | FileCheck %s --check-prefix=PAPER

// NUMBERS: result[0]: 8xf32=0 -0 0 0 1 1.5 1.5 nan{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=0 2 3 4 5 6 0 8{{$}}
// NUMBERS-NEXT: result[2]: f32=13{{$}}

// PAPER: result[0]: 8xf32=0 -0 0 0 1 1.5 1.5 nan{{$}}
// PAPER-NEXT: result[1]: 8xf32=0 2 3 4 5 0 0 8{{$}}
// PAPER-NEXT: result[2]: f32=13{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf ogt
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.divf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(2) grad(pact)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: math.roundeven
// CHECK: linalg.generic
// CHECK: arith.cmpf oge
// CHECK: arith.select
// CHECK: arith.select
// CHECK: arith.addf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.pact {{.*}} grad(pact)
func.func @gradient(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @forward(%x, %alpha) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}

func.func @paper(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(2) grad(pact_paper)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @paper_vjp
// CHECK: math.roundeven
// CHECK: linalg.generic
// CHECK: arith.cmpf oge
// CHECK-NOT: arith.cmpf ogt
// CHECK: arith.select
func.func @gradient_paper(%x: tensor<?xf32>, %alpha: tensor<f32>,
    %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @paper(%x, %alpha) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
