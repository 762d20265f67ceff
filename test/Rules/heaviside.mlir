// heaviside: +1 above zero, -1 from zero down (both zeros) and at NaN; the gradient
// passes on [-1, 1].
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.5,-0.5,0,-0,1,-1,1.5,inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,inf,-inf,7 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.5,-0.5,0,-0,1,-1,1.5,inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,inf,-inf,7 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=1 -1 -1 -1 1 -1 1 1 -1{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 4 5 6 0 0 0{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf ogt
// CHECK: arith.select
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.heaviside %x grad(window(-1.000000e+00, 1.000000e+00))
    : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.cmpf oge
// CHECK: arith.cmpf ole
// CHECK: arith.andi
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.heaviside {{.*}} grad(window(-1.000000e+00, 1.000000e+00))
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
