// min_int: -2^(bits - 1), + 1 for a narrow range; the gradient is the true one.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=5xf32=1,2,4,8,16 \
// RUN:   --input=5xf32=1,1,1,0,-1 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=5xf32=1,2,4,8,16 \
// RUN:   --input=5xf32=1,1,1,0,-1 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 5xf32=0 -1 -7 -127 -32767{{$}}
// NUMBERS-NEXT: result[1]: 5xf32=-0.6931472 -1.3862944 -5.5451775 -0 22713.047{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: arith.bitcast
// CHECK: arith.negf
// CHECK: arith.addf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.min_int %x signed narrow_range grad(exact) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.negf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0] {
// RULE: quant_ste.min_int {{.*}} grad(exact)
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
