// lsq on [-2, 1] with scale 0.5. The range is open: at t == -2 (x = -1) and
// t == 1 (x = 0.5) dx is 0 and dscale gets the bound. grad_scale multiplies
// dscale alone.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.25,0.2,-0,0.5,-1,-0.75,3,-inf,0.7 \
// RUN:   --input=9xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=9xf32=1,2,3,4,5,6,inf,-7,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=0.25,0.2,-0,0.5,-1,-0.75,3,-inf,0.7 \
// RUN:   --input=9xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=9xf32=1,2,3,4,5,6,inf,-7,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=0 0 -0 0.5 -1 -1 0.5 -1 0.5{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 2 3 0 0 6 0 0 0{{$}}
// NUMBERS-NEXT: result[2]: 9xf32=-0.25 -0.4 0 2 -5 -1.5 inf 7 4{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.divf
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf ogt
// CHECK: math.roundeven
// CHECK: arith.mulf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.lsq %x, %scale axes([0])
    qmin(-2) qmax(1) grad_scale(5.000000e-01) grad(lsq)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.cmpf ole
// CHECK: arith.cmpf oge
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.lsq {{.*}} grad_scale(5.000000e-01) grad(lsq)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<?xf32>,
    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%x, %scale) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
