// moving_average: a quarter of the way to what is observed, which is taken as it is
// where the state is infinite: nothing was seen before. No gradient.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=1,inf,-inf,2,nan,0.5,-0 \
// RUN:   --input=7xf32=3,7,-7,inf,1,nan,4 \
// RUN:   --input=7xf32=1,1,1,1,1,1,1 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=forward \
// RUN:   --input=7xf32=1,inf,-inf,2,nan,0.5,-0 \
// RUN:   --input=7xf32=3,7,-7,inf,1,nan,4 \
// RUN:   --reference | FileCheck %s --check-prefix=VALUE

// VALUE: result[0]: 7xf32=1.5 7 -7 inf nan {{-?nan}} 1{{$}}
// NUMBERS: result[0]: 7xf32=1.5 7 -7 inf nan {{-?nan}} 1{{$}}
// NUMBERS-NEXT: result[1]: 7xf32=0 0 0 0 0 0 0{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.absf
// CHECK: arith.cmpf oeq
// CHECK: arith.subf
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: arith.select
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %observed: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.moving_average %x, %observed axes([0]) constant(2.500000e-01) grad(detached)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// RULE-LABEL: func private @forward_vjp
// RULE-NOT: quant_ste.pullback
func.func @gradient(%x: tensor<?xf32>, %observed: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x, %observed) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
