// A function of more arrays than can be checked in one piece: the same errors,
// and code that takes linear time to generate.

// RUN: rm -rf %t && mkdir %t
// RUN: qopt-compile %s --pipeline=openmp=false -o %t/many.o
// RUN: %cc %S/Inputs/many.c -std=c99 -Wall -Werror -I%t %t/many.o -lm -o %t/main
// RUN: %t/main | FileCheck %s
// RUN: qopt-compile %s --pipeline=openmp=false --strides -o %t/many.o
// RUN: %cc %S/Inputs/many.c -DSTRIDES -std=c99 -Wall -Werror -I%t %t/many.o -lm -o %t/strides
// RUN: %t/strides | FileCheck %s
// RUN: qopt-compile %s --pipeline=openmp=false -o %t/many.ll && FileCheck %s --check-prefix=PARTS --input-file=%t/many.ll
// PARTS: define internal {{.*}} @many.part

// CHECK: ok: 0 no error
// CHECK-NEXT: 1 3 11 12
// CHECK-NEXT: negative: 2 many: x5_size0: expected no negative size
// CHECK-NEXT: unequal: 2 many: x11_size0: expected x0_size0
// CHECK-NEXT: null: 1 many: x7: expected a pointer, got NULL
// CHECK-NEXT: null result: 1 many: y11: expected a pointer, got NULL
// CHECK-NEXT: alignment: {{[0-9]+}} many: x9: expected an address that is a multiple of 4
func.func @many(
    %x0: tensor<?xf32> {quant_ste.name = "x0"}, %a0: tensor<f32> {quant_ste.name = "a0"},
    %x1: tensor<?xf32> {quant_ste.name = "x1"}, %a1: tensor<f32> {quant_ste.name = "a1"},
    %x2: tensor<?xf32> {quant_ste.name = "x2"}, %a2: tensor<f32> {quant_ste.name = "a2"},
    %x3: tensor<?xf32> {quant_ste.name = "x3"}, %a3: tensor<f32> {quant_ste.name = "a3"},
    %x4: tensor<?xf32> {quant_ste.name = "x4"}, %a4: tensor<f32> {quant_ste.name = "a4"},
    %x5: tensor<?xf32> {quant_ste.name = "x5"}, %a5: tensor<f32> {quant_ste.name = "a5"},
    %x6: tensor<?xf32> {quant_ste.name = "x6"}, %a6: tensor<f32> {quant_ste.name = "a6"},
    %x7: tensor<?xf32> {quant_ste.name = "x7"}, %a7: tensor<f32> {quant_ste.name = "a7"},
    %x8: tensor<?xf32> {quant_ste.name = "x8"}, %a8: tensor<f32> {quant_ste.name = "a8"},
    %x9: tensor<?xf32> {quant_ste.name = "x9"}, %a9: tensor<f32> {quant_ste.name = "a9"},
    %x10: tensor<?xf32> {quant_ste.name = "x10"}, %a10: tensor<f32> {quant_ste.name = "a10"},
    %x11: tensor<?xf32> {quant_ste.name = "x11"}, %a11: tensor<f32> {quant_ste.name = "a11"})
    -> (tensor<?xf32> {quant_ste.name = "y0"},
        tensor<?xf32> {quant_ste.name = "y1"},
        tensor<?xf32> {quant_ste.name = "y2"},
        tensor<?xf32> {quant_ste.name = "y3"},
        tensor<?xf32> {quant_ste.name = "y4"},
        tensor<?xf32> {quant_ste.name = "y5"},
        tensor<?xf32> {quant_ste.name = "y6"},
        tensor<?xf32> {quant_ste.name = "y7"},
        tensor<?xf32> {quant_ste.name = "y8"},
        tensor<?xf32> {quant_ste.name = "y9"},
        tensor<?xf32> {quant_ste.name = "y10"},
        tensor<?xf32> {quant_ste.name = "y11"}) {
  %p0 = quant_ste.pact %x0, %a0 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y0 = arith.addf %p0, %x0 : tensor<?xf32>
  %p1 = quant_ste.pact %x1, %a1 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y1 = arith.addf %p1, %x0 : tensor<?xf32>
  %p2 = quant_ste.pact %x2, %a2 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y2 = arith.addf %p2, %x0 : tensor<?xf32>
  %p3 = quant_ste.pact %x3, %a3 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y3 = arith.addf %p3, %x0 : tensor<?xf32>
  %p4 = quant_ste.pact %x4, %a4 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y4 = arith.addf %p4, %x0 : tensor<?xf32>
  %p5 = quant_ste.pact %x5, %a5 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y5 = arith.addf %p5, %x0 : tensor<?xf32>
  %p6 = quant_ste.pact %x6, %a6 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y6 = arith.addf %p6, %x0 : tensor<?xf32>
  %p7 = quant_ste.pact %x7, %a7 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y7 = arith.addf %p7, %x0 : tensor<?xf32>
  %p8 = quant_ste.pact %x8, %a8 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y8 = arith.addf %p8, %x0 : tensor<?xf32>
  %p9 = quant_ste.pact %x9, %a9 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y9 = arith.addf %p9, %x0 : tensor<?xf32>
  %p10 = quant_ste.pact %x10, %a10 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y10 = arith.addf %p10, %x0 : tensor<?xf32>
  %p11 = quant_ste.pact %x11, %a11 bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %y11 = arith.addf %p11, %x0 : tensor<?xf32>
  return %y0, %y1, %y2, %y3, %y4, %y5, %y6, %y7, %y8, %y9, %y10, %y11
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
