// stochastic_round: up where u is below the fraction, so never for a whole x
// and not at u == fraction.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.25,0.25,0.25,-0.25,-0.25,-0,3,inf,nan \
// RUN:   --input=9xf32=0,0.25,0.75,0.5,0.75,0,0,0,0 \
// RUN:   --input=9xf32=1,2,3,4,5,6,-0,inf,nan \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.25,0.25,0.25,-0.25,-0.25,-0,3,inf,nan \
// RUN:   --input=9xf32=0,0.25,0.75,0.5,0.75,0,0,0,0 \
// RUN:   --input=9xf32=1,2,3,4,5,6,-0,inf,nan \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=1 0 0 0 -1 -0 3 inf nan{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 4 5 6 -0 inf nan{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.floor
// CHECK: arith.subf
// CHECK: arith.cmpf olt
// CHECK: arith.select
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %u: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.stochastic_round %x, %u axes([0]) grad(ste)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: return %{{.*}}, %arg2
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0] {
// RULE: quant_ste.stochastic_round {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %u: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x, %u) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
