// int_quant with 3 bits, as an op and as a custom op that uses other ops of the
// dialect: the same linalg, and in the end the same loops.
//
// RUN: split-file %s %t
// RUN: qopt-opt %t/builtin.mlir --quant-ste-differentiate \
// RUN:   --convert-quant-ste-to-linalg --canonicalize --cse > %t/builtin
// RUN: qopt-opt %t/custom.mlir --quant-ste-differentiate \
// RUN:   --convert-quant-ste-to-linalg --canonicalize --cse > %t/custom
// RUN: diff %t/builtin %t/custom
// RUN: qopt-opt %t/builtin.mlir --quant-ste-cpu-pipeline=stop-after=vectorize \
// RUN:   > %t/builtin
// RUN: qopt-opt %t/custom.mlir --quant-ste-cpu-pipeline=stop-after=vectorize \
// RUN:   > %t/custom
// RUN: diff %t/builtin %t/custom
//
// An infinite cotangent stays out of dx and out of the masked dz of its element.
// RUN: qopt-run %t/custom.mlir --function=gradient \
// RUN:   --input=2x4xf32=0.25,1.745,1.75,-8,1,-1,20,0 --input=2xf32=0.5,2 \
// RUN:   --input=0 --input=2x4xf32=1,inf,4,8,inf,4,8,32 \
// RUN:   | FileCheck %t/custom.mlir
// RUN: qopt-run %t/custom.mlir --function=gradient --reference \
// RUN:   --input=2x4xf32=0.25,1.745,1.75,-8,1,-1,20,0 --input=2xf32=0.5,2 \
// RUN:   --input=0 --input=2x4xf32=1,inf,4,8,inf,4,8,32 \
// RUN:   | FileCheck %t/custom.mlir

//--- builtin.mlir
func.func @forward(%x: tensor<?x?xf32>, %s: tensor<?xf32>, %z: tensor<f32>) -> tensor<?x?xf32> {
  %bits = arith.constant dense<3.0> : tensor<f32>
  %y = quant_ste.int_quant %x, %s axes([0]), %z, %bits signed grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?x?xf32>
}
func.func @gradient(%x: tensor<?x?xf32>, %s: tensor<?xf32>, %z: tensor<f32>,
                    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:4 = quant_ste.vjp @forward(%x, %s, %z) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<f32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2, %r#3
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>
}
//--- custom.mlir
// CHECK: result[1]: 2x4xf32=[1 inf 0 0][inf 4 0 32]
// CHECK: result[3]: f32=-22{{$}}
func.func @forward(%x: tensor<?x?xf32>, %s: tensor<?xf32>, %z: tensor<f32>) -> tensor<?x?xf32> {
  %y = quant_ste.custom %x, %s axes([0]), %z
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>
  forward(%a: f32, %b: f32, %c: f32) {
    %bits = arith.constant 3.0 : f32
    %min = quant_ste.min_int %bits signed grad(exact) : f32
    %max = quant_ste.max_int %bits signed grad(exact) : f32
    %t = arith.divf %a, %b : f32
    %u = arith.addf %t, %c : f32
    %r = quant_ste.round %u grad(ste) : f32
    %q = quant_ste.tensor_clamp %r, %min, %max grad(exact) : f32, f32, f32
    %w = arith.subf %q, %c : f32
    %y = arith.mulf %w, %b : f32
    quant_ste.yield %y : f32
  } partials(%a: f32, %b: f32, %c: f32, %y: f32) {
    %bits = arith.constant 3.0 : f32
    %true = arith.constant true
    %min = quant_ste.min_int %bits signed grad(exact) : f32
    %max = quant_ste.max_int %bits signed grad(exact) : f32
    %t = arith.divf %a, %b : f32
    %u = arith.addf %t, %c : f32
    %r = quant_ste.round %u grad(ste) : f32
    %isAbove = arith.cmpf ogt, %r, %max : f32
    %upper = arith.select %isAbove, %max, %r : f32
    %isBelow = arith.cmpf olt, %upper, %min : f32
    %q = arith.select %isBelow, %min, %upper : f32
    %w = arith.subf %q, %c : f32
    %error = arith.subf %w, %t : f32
    %isClipped = arith.ori %isAbove, %isBelow : i1
    %isInside = arith.xori %isClipped, %true : i1
    %ds = arith.select %isClipped, %w, %error : f32
    %minus = arith.negf %b : f32
    %dz = quant_ste.masked %isClipped, %minus : f32
    quant_ste.yield %isInside, %ds, %dz : i1, f32, f32
  }
  return %y : tensor<?x?xf32>
}
func.func @gradient(%x: tensor<?x?xf32>, %s: tensor<?xf32>, %z: tensor<f32>,
                    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:4 = quant_ste.vjp @forward(%x, %s, %z) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<f32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2, %r#3
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>
}
