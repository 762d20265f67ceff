// PACT with 2 bits, written as a custom op: the IR and the numbers are those of
// quant_ste.pact (pact.mlir), forward, reverse and forward mode.
//
// RUN: sed '/^func.func @tangent/,$d' %s > %t.mlir
// RUN: qopt-opt %t.mlir --quant-ste-differentiate \
// RUN:   --convert-quant-ste-to-linalg --canonicalize --cse > %t.custom
// RUN: sed '/^func.func @paper/,$d' %S/pact.mlir > %t.builtin.mlir
// RUN: qopt-opt %t.builtin.mlir --quant-ste-differentiate \
// RUN:   --convert-quant-ste-to-linalg --canonicalize --cse > %t.pact
// RUN: diff %t.custom %t.pact
// The same loops come out at the end.
// RUN: qopt-opt %t.mlir --quant-ste-cpu-pipeline=stop-after=vectorize > %t.custom
// RUN: qopt-opt %t.builtin.mlir --quant-ste-cpu-pipeline=stop-after=vectorize \
// RUN:   > %t.pact
// RUN: diff %t.custom %t.pact
// RUN: FileCheck %s < %t.custom
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=RULE
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// The reading on constants gives the same numbers.
// RUN: qopt-run %s --function=gradient \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 \
// RUN:   --reference | FileCheck %s --check-prefix=NUMBERS
// Forward mode: the tangent inside, alpha's from alpha on; both at alpha.
// RUN: qopt-run %s --function=tangent \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 --input=f32=100 \
// RUN:   | FileCheck %s --check-prefix=TANGENT
// RUN: qopt-run %s --function=tangent \
// RUN:   --input=8xf32=-1,-0,0,0.25,0.75,1.5,2,nan \
// RUN:   --input=f32=1.5 \
// RUN:   --input=8xf32=inf,2,3,4,5,6,7,8 --input=f32=100 \
// RUN:   --reference | FileCheck %s --check-prefix=TANGENT

// NUMBERS: result[0]: 8xf32=0 -0 0 0 1 1.5 1.5 nan{{$}}
// NUMBERS-NEXT: result[1]: 8xf32=0 2 3 4 5 6 0 8{{$}}
// NUMBERS-NEXT: result[2]: f32=13{{$}}

// TANGENT: result[0]: 8xf32=0 2 3 4 5 106 100 8{{$}}

// One loop makes both gradients.
// CHECK-LABEL: func @gradient
// CHECK: math.roundeven
// CHECK: arith.cmpf oge
// CHECK: arith.select
// CHECK: arith.addf

// RULE-LABEL: func @forward
func.func @forward(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.custom %x, %alpha : tensor<?xf32>, tensor<f32>
  forward(%a: f32, %b: f32) {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %levels = arith.constant 3.0 : f32
    %isBelow = arith.cmpf olt, %a, %zero : f32
    %low = arith.select %isBelow, %zero, %a : f32
    %isAbove = arith.cmpf ogt, %low, %b : f32
    %clipped = arith.select %isAbove, %b, %low : f32
    %inverse = arith.divf %one, %b : f32
    %steps = arith.mulf %inverse, %levels : f32
    %position = arith.mulf %clipped, %steps : f32
    %whole = math.roundeven %position : f32
    %q = arith.divf %whole, %steps : f32
    quant_ste.yield %q : f32
  } partials(%a: f32, %b: f32, %q: f32) {
    %zero = arith.constant 0.0 : f32
    %true = arith.constant true
    %isBelow = arith.cmpf olt, %a, %zero : f32
    %isSaturated = arith.cmpf oge, %a, %b : f32
    %isAbove = arith.cmpf ogt, %a, %b : f32
    %isClipped = arith.ori %isBelow, %isAbove : i1
    %isInside = arith.xori %isClipped, %true : i1
    quant_ste.yield %isInside, %isSaturated : i1, i1
  }
  return %y : tensor<?xf32>
}

// RULE-LABEL: func private @forward_vjp
// RULE: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
// RULE: quant_ste.custom
func.func @gradient(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @forward(%x, %alpha) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}

func.func @tangent(%x: tensor<?xf32>, %alpha: tensor<f32>, %tx: tensor<?xf32>,
                   %talpha: tensor<f32>) -> tensor<?xf32> {
  %r:2 = quant_ste.jvp @forward(%x, %alpha) tangents(%tx, %talpha) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>, tensor<f32>)
      -> (tensor<?xf32>, tensor<?xf32>)
  return %r#1 : tensor<?xf32>
}
