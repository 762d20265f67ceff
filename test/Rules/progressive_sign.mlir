// progressive_sign at temperature 0.5: a ramp from -0.5 to 0.5. The gradient passes
// unchanged.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.25,-0.25,0,-0,0.5,-0.75,inf,-inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,-0,inf \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.25,-0.25,0,-0,0.5,-0.75,inf,-inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,-0,inf \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0.5 -0.5 0 -0 1 -1 1 -1 nan{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 4 5 6 7 -0 inf{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.divf
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf ogt
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.progressive_sign %x temperature(5.000000e-01) grad(ste)
    : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: return %{{.*}}, %arg1
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.progressive_sign {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
