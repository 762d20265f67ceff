// abs_binary_sign_grad: the absolute value; its gradient at both zeros is +dy, at
// NaN -dy.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=0.5,-0.5,0,-0,inf,-inf,nan \
// RUN:   --input=7xf32=1,2,3,4,inf,inf,7 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=0.5,-0.5,0,-0,inf,-inf,nan \
// RUN:   --input=7xf32=1,2,3,4,inf,inf,7 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 7xf32=0.5 0.5 0 0 inf inf nan{{$}}
// NUMBERS-NEXT: result[1]: 7xf32=1 -2 3 4 inf -inf -7{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.absf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.abs_binary_sign_grad %x grad(binary_sign) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.cmpf oge
// CHECK: arith.select
// CHECK: arith.mulf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.abs_binary_sign_grad {{.*}} grad(binary_sign)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
