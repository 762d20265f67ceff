// tensor_clamp with the exact gradient, bounds per row: -1 .. 1 and, reversed,
// 2 .. -2, where the lower bound wins. x == bound passes to x; dy = inf on a
// clipped element flows to the bound and leaves dx 0.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=2x6xf32=0.5,-1,1,-2,3,nan,0,-3,3,2,-2,nan \
// RUN:   --input=2xf32=-1,2 \
// RUN:   --input=2xf32=1,-2 \
// RUN:   --input=2x6xf32=1,2,3,4,inf,6,7,8,9,10,11,12 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=2x6xf32=0.5,-1,1,-2,3,nan,0,-3,3,2,-2,nan \
// RUN:   --input=2xf32=-1,2 \
// RUN:   --input=2xf32=1,-2 \
// RUN:   --input=2x6xf32=1,2,3,4,inf,6,7,8,9,10,11,12 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 2x6xf32=[0.5 -1 1 -1 1 nan][2 2 2 2 2 nan]{{$}}
// NUMBERS-NEXT: result[1]: 2x6xf32=[1 2 3 0 0 6][0 0 0 0 0 12]{{$}}
// NUMBERS-NEXT: result[2]: 2xf32=4 45{{$}}
// NUMBERS-NEXT: result[3]: 2xf32=inf 0{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?x?xf32>, %min: tensor<?xf32>, %max: tensor<?xf32>) -> tensor<?x?xf32> {
  %y = quant_ste.tensor_clamp %x, %min axes([0]), %max axes([0]) grad(exact)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: arith.ori
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}) wrt [0, 1, 2] {
// RULE: quant_ste.tensor_clamp {{.*}} grad(exact)
func.func @gradient(%x: tensor<?x?xf32>, %min: tensor<?xf32>, %max: tensor<?xf32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:4 = quant_ste.vjp @forward(%x, %min, %max) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>), (tensor<?x?xf32>)
      -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2, %r#3
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>
}
