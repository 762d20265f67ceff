// choose_qparams_zero_point: the middle for a range around 0 (-0.5, to even), the end
// that holds 0 otherwise. No gradient.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=-1,-0.5,0.25,-2,0,-1e-04,nan,-3 \
// RUN:   --input=8xf32=1,2,3,-1,0,1e-04,1,inf \
// RUN:   --input=8xf32=1,1,1,1,1,1,1,1 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=forward \
// RUN:   --input=8xf32=-1,-0.5,0.25,-2,0,-1e-04,nan,-3 \
// RUN:   --input=8xf32=1,2,3,-1,0,1e-04,1,inf \
// RUN:   --reference | FileCheck %s --check-prefix=VALUE

// VALUE: result[0]: 8xf32=0 0 -128 127 127 0 {{-?nan}} 0{{$}}
// NUMBERS: result[0]: 8xf32=0 0 -128 127 127 0 {{-?nan}} 0{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=0 0 0 0 0 0 0 0{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: arith.cmpf olt
// CHECK: math.roundeven
// CHECK: arith.truncf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %max: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.choose_qparams_zero_point %x, %max axes([0]) qmin(-128) qmax(127) symmetric grad(detached)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// RULE-LABEL: func private @forward_vjp
// RULE-NOT: quant_ste.pullback
func.func @gradient(%x: tensor<?xf32>, %max: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x, %max) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
