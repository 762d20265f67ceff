// The reference evaluator gives what compiled code gives, without compiling.

// RUN: qopt-run %s --function=forward --input=7xf32=-1,0.5,0.25,nan,-0,2,9 --input=2 \
// RUN:   | FileCheck %s --check-prefix=FORWARD
// RUN: qopt-run %s --function=forward --input=7xf32=-1,0.5,0.25,nan,-0,2,9 --input=2 \
// RUN:   --reference | FileCheck %s --check-prefix=FORWARD
// FORWARD: result[0]: 7xf32=0 0.53333336 0.26666668 nan -0 2 2{{$}}
func.func @forward(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// Per channel, the gradient of a parameter is a sum; bf16 is computed in f32
// and rounded once.
// RUN: qopt-run %s --function=gradient --input=2x3xbf16=-1,2,0.5,3,1,0.1 \
// RUN:   --input=3xf32=1,2,0.5 --input=2x3xbf16=1,2,3,4,5,6 \
// RUN:   | FileCheck %s --check-prefix=GRADIENT
// RUN: qopt-run %s --function=gradient --input=2x3xbf16=-1,2,0.5,3,1,0.1 \
// RUN:   --input=3xf32=1,2,0.5 --input=2x3xbf16=1,2,3,4,5,6 --reference \
// RUN:   | FileCheck %s --check-prefix=GRADIENT
// GRADIENT:      result[0]: 2x3xbf16=[0 2 0.5][1 1.07 0.1]{{$}}
// GRADIENT-NEXT: result[1]: 2x3xbf16=[0 2 3][0 5 6]{{$}}
// GRADIENT-NEXT: result[2]: 3xf32=4 2 3{{$}}
func.func @gradient(%x: tensor<2x3xbf16>, %a: tensor<3xf32>,
                    %dy: tensor<2x3xbf16>)
    -> (tensor<2x3xbf16>, tensor<2x3xbf16>, tensor<3xf32>) {
  %y, %dx, %da = quant_ste.vjp @quantize(%x, %a) cotangents(%dy) wrt [0, 1]
    : (tensor<2x3xbf16>, tensor<3xf32>), (tensor<2x3xbf16>)
    -> (tensor<2x3xbf16>, tensor<2x3xbf16>, tensor<3xf32>)
  return %y, %dx, %da : tensor<2x3xbf16>, tensor<2x3xbf16>, tensor<3xf32>
}
func.func private @quantize(%x: tensor<2x3xbf16>, %a: tensor<3xf32>)
    -> tensor<2x3xbf16> {
  %y = quant_ste.pact %x, %a axes([1]) bits(4) grad(pact)
    : tensor<2x3xbf16>, tensor<3xf32>
  return %y : tensor<2x3xbf16>
}

// Forward mode: a tangent that is not there adds nothing, not even a zero (-0
// stays -0).
// RUN: qopt-run %s --function=tangent --input=3xf32=0.5,3,0.1 --input=1 \
// RUN:   --input=3xf32=-0,1,2 | FileCheck %s --check-prefix=TANGENT
// RUN: qopt-run %s --function=tangent --input=3xf32=0.5,3,0.1 --input=1 \
// RUN:   --input=3xf32=-0,1,2 --reference | FileCheck %s --check-prefix=TANGENT
// TANGENT: result[0]: 3xf32=-0 0 2{{$}}
func.func @tangent(%x: tensor<3xf32>, %a: tensor<f32>, %tx: tensor<3xf32>)
    -> tensor<3xf32> {
  %ty = quant_ste.pushforward(%tx) at(%x, %a) wrt [0] {
  ^bb0(%b: tensor<3xf32>, %c: tensor<f32>):
    %y = quant_ste.pact %b, %c bits(4) grad(pact) : tensor<3xf32>, tensor<f32>
    quant_ste.yield %y : tensor<3xf32>
  } : (tensor<3xf32>), (tensor<3xf32>, tensor<f32>) -> (tensor<3xf32>)
  return %ty : tensor<3xf32>
}

// Constants, calls, detach, plain floats.
// RUN: qopt-run %s --function=rest --input=1.5 | FileCheck %s --check-prefix=REST
// RUN: qopt-run %s --function=rest --input=1.5 --reference \
// RUN:   | FileCheck %s --check-prefix=REST
// REST:      result[0]: f32=2{{$}}
// REST-NEXT: result[1]: 2x2xf16=[1 2][-4 0]{{$}}
// REST-NEXT: result[2]: 3xi8=1 1 1{{$}}
// REST-NEXT: result[3]: i1=1{{$}}
func.func @rest(%x: f32) -> (f32, tensor<2x2xf16>, tensor<3xi8>, i1) {
  %c = arith.constant dense<[[1.0, 1.5], [-3.5, 0.5]]> : tensor<2x2xf16>
  %d = quant_ste.detach %c : tensor<2x2xf16>
  %y = func.call @round(%d) : (tensor<2x2xf16>) -> tensor<2x2xf16>
  %r = quant_ste.round %x grad(ste) : f32
  %i = arith.constant dense<1> : tensor<3xi8>
  %t = arith.constant true
  return %r, %y, %i, %t : f32, tensor<2x2xf16>, tensor<3xi8>, i1
}
func.func private @round(%x: tensor<2x2xf16>) -> tensor<2x2xf16> {
  %y = quant_ste.round %x grad(ste) : tensor<2x2xf16>
  return %y : tensor<2x2xf16>
}

// RUN: not qopt-run %s --function=unknown --input=2xf32 --reference 2>&1 \
// RUN:   | FileCheck %s --check-prefix=UNKNOWN
func.func @unknown(%x: tensor<?xf32>) -> tensor<?xf32> {
  // UNKNOWN: qopt-run-reference.mlir:[[#@LINE+1]]:8: error: the reference evaluator does not know 'math.exp'; it knows ops with a gradient rule
  %y = math.exp %x : tensor<?xf32>
  return %y : tensor<?xf32>
}
// RUN: not qopt-run %s --function=recursive --input=2xf32 --reference 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RECURSIVE
func.func @recursive(%x: tensor<?xf32>) -> tensor<?xf32> {
  // RECURSIVE: :[[#@LINE+1]]:8: error: the reference evaluator cannot end a recursion: @recursive calls itself
  %y = func.call @recursive(%x) : (tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
