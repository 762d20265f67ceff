// Arguments and results may be one buffer, or a constant of the program: each
// array comes back once, and what was passed in stays as it was.

// RUN: qopt-run %s --function=aliases --input=3xf32=1,2,3 | FileCheck %s
// CHECK:      result[0]: 3xf32=1 2 3{{$}}
// CHECK-NEXT: result[1]: 3xf32=1 2 3{{$}}
// CHECK-NEXT: result[2]: 3xf32=2 4 6{{$}}
// CHECK-NEXT: result[3]: 3xf32=2 4 6{{$}}
// CHECK-NEXT: result[4]: 2xi8=-1 5{{$}}
// CHECK-NEXT: result[5]: 2xi8=-1 5{{$}}
func.func @aliases(%x: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
        tensor<2xi8>, tensor<2xi8>) {
  %y = arith.addf %x, %x : tensor<?xf32>
  %c = arith.constant dense<[-1, 5]> : tensor<2xi8>
  return %x, %x, %y, %y, %c, %c
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
      tensor<2xi8>, tensor<2xi8>
}

// A result that is a part of an argument.
// RUN: qopt-run %s --function=slices --input=4x3xi32=1,2,3,4,5,6,7,8,9,10,11,12 \
// RUN:   | FileCheck %s --check-prefix=SLICES
// SLICES:      result[0]: 2x3xi32=[4 5 6][7 8 9]{{$}}
// SLICES-NEXT: result[1]: 4xi32=2 5 8 11{{$}}
// SLICES-NEXT: result[2]: 3x4xi32=[1 4 7 10][2 5 8 11][3 6 9 12]{{$}}
func.func @slices(%x: tensor<4x3xi32>)
    -> (tensor<2x3xi32>, tensor<4xi32>, tensor<3x4xi32>) {
  %rows = tensor.extract_slice %x[1, 0] [2, 3] [1, 1]
    : tensor<4x3xi32> to tensor<2x3xi32>
  %column = tensor.extract_slice %x[0, 1] [4, 1] [1, 1]
    : tensor<4x3xi32> to tensor<4xi32>
  %e = tensor.empty() : tensor<3x4xi32>
  %t = linalg.transpose ins(%x : tensor<4x3xi32>) outs(%e : tensor<3x4xi32>)
    permutation = [1, 0]
  return %rows, %column, %t : tensor<2x3xi32>, tensor<4xi32>, tensor<3x4xi32>
}

// `?` says nothing about which sizes are equal, but the body does: a wrong size
// is refused, not read past the end.
// RUN: not qopt-run %s --function=add --input=4xf32 --input=3xf32 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ADD
// ADD: error: argument #1 of @add: expected dimension 0 to be 4, that of dimension 0 of argument #0 of @add, got 3xf32
func.func @add(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
  %c = arith.addf %a, %b : tensor<?xf32>
  return %c : tensor<?xf32>
}

// RUN: not qopt-run %s --function=channels --input=2x5xf32 --input=4xf32=1 \
// RUN:   --input=2x5xf32 2>&1 | FileCheck %s --check-prefix=CHANNELS
// CHANNELS: error: argument #1 of @channels: expected dimension 0 to be 5, that of dimension 1 of argument #0 of @channels, got 4xf32
// RUN: not qopt-run %s --function=channels --input=2x5xf32 --input=5xf32=1 \
// RUN:   --input=3x5xf32 2>&1 | FileCheck %s --check-prefix=COTANGENT
// COTANGENT: error: argument #2 of @channels: expected dimension 0 to be 2, {{.*}} got 3x5xf32
func.func @channels(%x: tensor<?x?xf32>, %alpha: tensor<?xf32>,
                    %dy: tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  %dx, %da = quant_ste.pullback(%dy) at(%x, %alpha) wrt [0, 1] {
  ^bb0(%a: tensor<?x?xf32>, %b: tensor<?xf32>):
    %y = quant_ste.pact %a, %b axes([1]) bits(4) grad(pact)
      : tensor<?x?xf32>, tensor<?xf32>
    quant_ste.yield %y : tensor<?x?xf32>
  } : (tensor<?x?xf32>), (tensor<?x?xf32>, tensor<?xf32>)
    -> (tensor<?x?xf32>, tensor<?xf32>)
  return %dx, %da : tensor<?x?xf32>, tensor<?xf32>
}

// The same for the cotangent of a function that is differentiated.
// RUN: not qopt-run %s --function=vjp --input=5xf32 --input=f32=1 \
// RUN:   --input=4xf32 2>&1 | FileCheck %s --check-prefix=VJP
// VJP: error: argument #2 of @vjp: expected dimension 0 to be 5, that of dimension 0 of argument #0 of @vjp, got 4xf32
func.func @vjp(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<f32>) {
  %y, %dx, %da = quant_ste.vjp @pact(%x, %alpha) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %dx, %da : tensor<?xf32>, tensor<f32>
}
// RUN: not qopt-run %s --function=jvp --input=5xf32 --input=f32=1 \
// RUN:   --input=4xf32 2>&1 | FileCheck %s --check-prefix=JVP
// JVP: error: argument #2 of @jvp: expected dimension 0 to be 5, {{.*}} got 4xf32
func.func @jvp(%x: tensor<?xf32>, %alpha: tensor<f32>, %tx: tensor<?xf32>)
    -> tensor<?xf32> {
  %y, %ty = quant_ste.jvp @pact(%x, %alpha) tangents(%tx) wrt [0]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>)
  return %ty : tensor<?xf32>
}
func.func private @pact(%x: tensor<?xf32>, %alpha: tensor<f32>)
    -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// The same through linalg, a constant size, and a call.
// RUN: not qopt-run %s --function=matmul --input=2x3xf32 --input=4x8xf32 2>&1 \
// RUN:   | FileCheck %s --check-prefix=MATMUL
// MATMUL: error: argument #1 of @matmul: expected dimension 0 to be 3, {{.*}} got 4x8xf32
// RUN: not qopt-run %s --function=matmul --input=2x3xf32 --input=3x7xf32 2>&1 \
// RUN:   | FileCheck %s --check-prefix=COLUMNS
// COLUMNS: error: argument #1 of @matmul: expected dimension 1 to be 8, as the function needs, got 3x7xf32
func.func @matmul(%a: tensor<2x?xf32>, %b: tensor<?x?xf32>) -> tensor<2x8xf32> {
  %c = func.call @product(%a, %b)
    : (tensor<2x?xf32>, tensor<?x?xf32>) -> tensor<2x8xf32>
  return %c : tensor<2x8xf32>
}
func.func private @product(%a: tensor<2x?xf32>, %b: tensor<?x?xf32>)
    -> tensor<2x8xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x8xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<2x8xf32>) -> tensor<2x8xf32>
  %c = linalg.matmul ins(%a, %b : tensor<2x?xf32>, tensor<?x?xf32>)
    outs(%f : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %c : tensor<2x8xf32>
}
