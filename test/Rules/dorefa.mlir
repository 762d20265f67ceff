// dorefa with 2 bits: steps of 1/3 on [0, 1]; the gradient passes there and at NaN.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=-0.5,-0,0,0.125,0.5,1,1.5,inf,nan \
// RUN:   --input=9xf32=inf,2,3,4,5,6,inf,-inf,9 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=-0.5,-0,0,0.125,0.5,1,1.5,inf,nan \
// RUN:   --input=9xf32=inf,2,3,4,5,6,inf,-inf,9 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0 -0 0 0 0.6666667 1 1 1 nan{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=0 2 3 4 5 6 0 0 9{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf ogt
// CHECK: math.roundeven
// CHECK: arith.divf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.dorefa %x bits(2) grad(dorefa) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.ori
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.dorefa {{.*}} grad(dorefa)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
