// mx_scale for e2m1, whose largest exponent is 2: the power of two at or below
// amax, over 4. e8m0 has no zero; what it clips has no gradient.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=4,6,3.9999998,0.3,0,2.3509887e-38,1.1754944e-38,-1,inf,nan \
// RUN:   --input=10xf32=1,2,3,4,5,6,7,8,9,10 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=10xf32=4,6,3.9999998,0.3,0,2.3509887e-38,1.1754944e-38,-1,inf,nan \
// RUN:   --input=10xf32=1,2,3,4,5,6,7,8,9,10 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 10xf32=1 1 0.5 0.0625 5.877472e-39 5.877472e-39 5.877472e-39 {{-?nan}} 1.7014118e+38 {{-?nan}}{{$}}
// NUMBERS-NEXT: result[1]: 10xf32=0.25 0.33333334 0.37500006 0.8333333 0 1.5 0 {{-?nan}} 0 {{-?nan}}{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: arith.bitcast
// CHECK: arith.truncf
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf ogt
// RULE-LABEL: func @forward
func.func @forward(%amax: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.mx_scale %amax element(e2m1) grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.ori
// CHECK: arith.mulf
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.mx_scale {{.*}} grad(ste)
func.func @gradient(%amax: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%amax) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
