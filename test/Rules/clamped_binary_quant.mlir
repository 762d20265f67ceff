// clamped_binary_quant with one scale per element, 0.5: at x == scale and x ==
// -scale dx passes; beyond, the bound adds scale to dscale.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0.5,-0.5,0.625,-0.625,-0,inf,-inf,nan \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=8xf32=1,2,3,4,5,6,7,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0.5,-0.5,0.625,-0.625,-0,inf,-inf,nan \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=8xf32=1,2,3,4,5,6,7,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 8xf32=0.5 -0.5 0.5 -0.5 0.5 0.5 -0.5 -0.5{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=0.5 1 0 0 2.5 0 0 4{{$}}
// NUMBERS-NEXT: result[2]: 8xf32=1 -2 4.5 -6 5 9 -10.5 -8{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.negf
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf oge
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.clamped_binary_quant %x, %scale axes([0]) grad(clipped)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.ori
// CHECK: arith.mulf
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.clamped_binary_quant {{.*}} grad(clipped)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%x, %scale) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
