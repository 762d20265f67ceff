// learnable_fake_quantize: a zero point of -3.4 counts as -3 in both passes.
// x = 0.25 is a tie: the forward pass rounds 0.5 to 0 and then adds -3, the
// backward pass rounds 0.5 - 3 to -2.
//
// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0,-0.1,0.25,0.75,5,6,-3,inf \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=8xf32=-3.4,-3.4,-3.4,-3.4,-3.4,-3.4,-3.4,-3.4 \
// RUN:   --input=8xf32=1,2,3,4,5,inf,7,-8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=0,-0.1,0.25,0.75,5,6,-3,inf \
// RUN:   --input=8xf32=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5 \
// RUN:   --input=8xf32=-3.4,-3.4,-3.4,-3.4,-3.4,-3.4,-3.4,-3.4 \
// RUN:   --input=8xf32=1,2,3,4,5,inf,7,-8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 8xf32=0 0 0 1 5 5 -2.5 5{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=1 2 3 4 5 0 0 0{{$}}
// NUMBERS-NEXT: result[2]: 8xf32=0 0.2 0.75 -1 0 inf -17.5 -40{{$}}
// NUMBERS-NEXT: result[3]: 8xf32=0 0 0 0 0 -inf -1.75 2{{$}}

// CHECK-LABEL: func @forward
// CHECK: math.roundeven
// CHECK: arith.divf
// CHECK: arith.mulf
// CHECK: math.roundeven
// CHECK: arith.addf
// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %scale: tensor<?xf32>,
    %zero_point: tensor<?xf32>)
    -> tensor<?xf32> {
  %y = quant_ste.learnable_fake_quantize %x, %scale axes([0]),
    %zero_point axes([0])
    qmin(-8) qmax(7) grad_factor(5.000000e-01) grad(clipped)
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func private @forward_vjp
// CHECK: arith.addf
// CHECK: math.roundeven
// CHECK: arith.andi
// CHECK: arith.select
// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}) wrt [0, 1, 2] {
// RULE: quant_ste.learnable_fake_quantize {{.*}} grad_factor(5.000000e-01) grad(clipped)
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<?xf32>,
    %zero_point: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %r:4 = quant_ste.vjp @forward(%x, %scale, %zero_point) cotangents(%dy)
    wrt [0, 1, 2]
    : (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2, %r#3
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
