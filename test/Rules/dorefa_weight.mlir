// dorefa_weight with 2 bits and max = 0.5: steps of 2/3 on [-1, 1]. The gradient is
// that of tanh(x) / max; max gets none.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=0,-0,0.54,-0.54,0.1,inf,nan \
// RUN:   --input=f32=0.5 \
// RUN:   --input=7xf32=1,2,3,4,5,6,7 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=7xf32=0,-0,0.54,-0.54,0.1,inf,nan \
// RUN:   --input=f32=0.5 \
// RUN:   --input=7xf32=1,2,3,4,5,6,7 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 7xf32=0.33333337 0.33333337 1 -1 0.33333337 1.6666667 nan{{$}}
// NUMBERS-NEXT: result[1]: 7xf32=2 4 4.541777 6.0557027 9.900663 0 nan{{$}}

// CHECK-LABEL: func @forward
// CHECK: arith.extf
// CHECK: arith.divf
// CHECK: arith.truncf
// CHECK: math.roundeven
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %max: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.dorefa_weight %x, %max bits(2) grad(dorefa)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.extf
// CHECK: arith.subf
// CHECK: arith.divf
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0] {
// RULE: quant_ste.dorefa_weight {{.*}} grad(dorefa)
func.func @gradient(%x: tensor<?xf32>, %max: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x, %max) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1
    : tensor<?xf32>, tensor<?xf32>
}
