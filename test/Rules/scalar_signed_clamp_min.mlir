// scalar_signed_clamp_min: abs(x) is 0.25 at least; both zeros give +0.25.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.125,-0.125,0,-0,0.25,-2,inf,-inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,-0,inf \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.125,-0.125,0,-0,0.25,-2,inf,-inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,-0,inf \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0.25 -0.25 0.25 0.25 0.25 -2 inf -inf {{-?nan}}{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 4 5 6 7 -0 inf{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf oge
// CHECK: math.absf
// CHECK: arith.cmpf olt
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.scalar_signed_clamp_min %x min(2.500000e-01) grad(ste)
    : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: return %{{.*}}, %arg1
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.scalar_signed_clamp_min {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
