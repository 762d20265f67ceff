// tqt with 2 bits, signed, and a threshold of 2^0.3, rounded up to 2: steps of
// 1 from -2 to 1. The range is judged on the rounded value: -2.5 passes.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0,-0,0.25,1.25,1.5,-2.5,-3,inf,nan \
// RUN:   --input=9xf32=0.3,0.3,0.3,0.3,0.3,0.3,0.3,0.3,0.3 \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,-inf,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0,-0,0.25,1.25,1.5,-2.5,-3,inf,nan \
// RUN:   --input=9xf32=0.3,0.3,0.3,0.3,0.3,0.3,0.3,0.3,0.3 \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,-inf,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0 -0 0 1 1 -2 -2 1 nan{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 4 0 6 0 0 8{{$}}
// NUMBERS-NEXT: result[2]: 9xf32=0 0 -0.5198604 -0.6931472 3.465736 2.0794415 -9.704061 -inf nan{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.ceil
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf ogt
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %log2_threshold: tensor<?xf32>)
    -> tensor<?xf32> {
  %y = quant_ste.tqt %x, %log2_threshold axes([0]) bits(2) signed grad(tqt)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.ori
// CHECK: arith.select
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.tqt {{.*}} grad(tqt)
func.func @gradient(%x: tensor<?xf32>, %log2_threshold: tensor<?xf32>,
    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%x, %log2_threshold) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
