// power_of_two, rounding up: 4 stays, the next number above it gives 8. dx is
// dy y/x.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=4,4.0000005,3,0.3,1,0,-1,inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,8,9 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=9xf32=4,4.0000005,3,0.3,1,0,-1,inf,nan \
// RUN:   --input=9xf32=1,2,3,4,5,6,7,8,9 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 9xf32=4 8 4 0.5 1 0 nan inf nan{{$}}
// NUMBERS-NEXT: result[1]: 9xf32=1 3.9999995 4 6.6666665 5 {{-?nan}} {{-?nan}} {{-?nan}} {{-?nan}}{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: arith.bitcast
// CHECK: arith.cmpf ogt
// CHECK: arith.truncf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.power_of_two %x rounding(ceil) grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.divf
// CHECK: arith.mulf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.power_of_two {{.*}} grad(ste)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
