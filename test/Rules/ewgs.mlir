// ewgs with 3 levels: 0, 0.5 and 1. The cotangent is scaled by its sign and the
// rounding error; a cotangent of zero stays as it is.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=0,-0,0.125,0.25,0.375,0.75,1 \
// RUN:   --input=7xf32=1,-1,2,2,-2,-0,inf \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=0,-0,0.125,0.25,0.375,0.75,1 \
// RUN:   --input=7xf32=1,-1,2,2,-2,-0,inf \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 7xf32=0 -0 0 0 0.5 1 1{{$}}
// NUMBERS-NEXT: result[1]: 7xf32=1 -1 2.125 2.25 -2.125 -0 inf{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.mulf
// CHECK: math.roundeven
// CHECK: arith.divf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.ewgs %x levels(3) grad(ewgs(5.000000e-01)) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.subf
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// CHECK: arith.addf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.ewgs {{.*}} grad(ewgs(5.000000e-01))
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
