// round_to_zero: sgn0(x) * floor(abs(x)); unlike trunc, -0 gives +0 and -0.5
// gives -0. The gradient passes unchanged.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=0.5,-0.5,1.5,-1.5,-2.5,0,-0,inf,-inf,nan \
// RUN:   --input=10xf32=1,2,3,4,5,6,7,-0,inf,-inf \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=0.5,-0.5,1.5,-1.5,-2.5,0,-0,inf,-inf,nan \
// RUN:   --input=10xf32=1,2,3,4,5,6,7,-0,inf,-inf \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 10xf32=0 -0 1 -1 -2 0 0 inf -inf nan{{$}}
// NUMBERS-NEXT: result[1]: 10xf32=1 2 3 4 5 6 7 -0 inf -inf{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf ogt
// CHECK: math.absf
// CHECK: math.floor
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round_to_zero %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: return %{{.*}}, %arg1
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.round_to_zero {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
