// float_quant to e2m1 (0, 0.5, 1, 1.5, 2, 3, 4, 6): ties go to the even
// mantissa, 7 and infinity to 6. Where x was clipped dx is 0.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=11xf32=0.25,0.75,1.25,-1.75,2.5,3.5,5,-7,inf,-0,nan \
// RUN:   --input=11xf32=1,1,1,1,1,1,1,1,1,1,1 \
// RUN:   --input=11xf32=1,2,3,4,5,6,7,8,9,10,11 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=11xf32=0.25,0.75,1.25,-1.75,2.5,3.5,5,-7,inf,-0,nan \
// RUN:   --input=11xf32=1,1,1,1,1,1,1,1,1,1,1 \
// RUN:   --input=11xf32=1,2,3,4,5,6,7,8,9,10,11 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 11xf32=0 1 1 -2 2 4 4 -6 6 -0 nan{{$}}
// NUMBERS-NEXT: result[1]: 11xf32=1 2 3 4 5 6 7 0 0 10 11{{$}}
// NUMBERS-NEXT: result[2]: 11xf32=-0.25 0.5 -0.75 -1 -2.5 3 -7 -48 54 0 {{-?nan}}{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.absf
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: arith.andi %{{.*}}, %c2139095040
// CHECK: arith.addi %{{.*}}, %c-8388608
// CHECK: arith.bitcast %{{.*}} : i32 to f32
// The only division is by the scale: units have exact inverses.
// CHECK: arith.subi
// CHECK-NOT: arith.divf
// CHECK: math.roundeven
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.float_quant %x, %scale axes([0]) format(e2m1) signed saturating grad(clipped)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.ori
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.float_quant {{.*}} grad(clipped)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%x, %scale) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
