// dpu_round: half to even, except that negative ties go up. The gradient passes
// unchanged.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=11xf32=0.5,-0.5,1.5,2.5,-1.5,-2.5,0,-0,inf,-inf,nan \
// RUN:   --input=11xf32=1,2,3,4,5,6,7,-0,inf,-inf,nan \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=11xf32=0.5,-0.5,1.5,2.5,-1.5,-2.5,0,-0,inf,-inf,nan \
// RUN:   --input=11xf32=1,2,3,4,5,6,7,-0,inf,-inf,nan \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 11xf32=0 -0 2 2 -1 -2 0 -0 inf -inf nan{{$}}
// NUMBERS-NEXT: result[1]: 11xf32=1 2 3 4 5 6 7 -0 inf -inf nan{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.floor
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf oeq
// CHECK: math.ceil
// CHECK: math.roundeven
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.dpu_round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: return %{{.*}}, %arg1
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.dpu_round {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
