// softplus: ln(1 + e^x); small results keep their digits. dx = dy / (1 + e^-x).
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=0,-0,1,-20,20,-100,100,inf,-inf,nan \
// RUN:   --input=10xf32=1,2,1,1,1,1,1,1,1,1 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=0,-0,1,-20,20,-100,100,inf,-inf,nan \
// RUN:   --input=10xf32=1,2,1,1,1,1,1,1,1,1 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 10xf32=0.6931472 0.6931472 1.3132616 2.0611537e-09 20 3.8e-44 100 inf 0 {{-?nan}}{{$}}
// NUMBERS-NEXT: result[1]: 10xf32=0.5 1 0.7310586 2.0611537e-09 1 3.8e-44 1 1 0 {{-?nan}}{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: math.absf
// CHECK: arith.truncf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.softplus %x grad(exact) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.divf
// CHECK: arith.truncf
// CHECK: arith.mulf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.softplus {{.*}} grad(exact)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
