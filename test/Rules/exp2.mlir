// exp2: exact for whole numbers; dx = dy y ln2.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=0,-0,1,-2,0.5,200,-200,inf,-inf,nan \
// RUN:   --input=10xf32=1,2,1,1,1,1,1,1,1,1 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=0,-0,1,-2,0.5,200,-200,inf,-inf,nan \
// RUN:   --input=10xf32=1,2,1,1,1,1,1,1,1,1 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 10xf32=1 1 2 0.25 1.4142135 inf 0 inf 0 nan{{$}}
// NUMBERS-NEXT: result[1]: 10xf32=0.6931472 1.3862944 1.3862944 0.1732868 0.9802581 inf 0 inf 0 nan{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: math.roundeven
// CHECK: arith.bitcast
// CHECK: arith.truncf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.exp2 %x grad(exact) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.mulf %{{.*}}, %cst
// CHECK: arith.mulf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.exp2 {{.*}} grad(exact)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
