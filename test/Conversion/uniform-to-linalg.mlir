// uniform: each element from its own row-major index. The sizes that the index
// needs are operands of the generic, not captured by it.
//
// RUN: qopt-opt %s --convert-quant-ste-to-linalg | FileCheck %s
// The first test vector published for Philox 4x32-10, 6627e8d5 e169c58d bc57ac4c
// 9b00dbd8: the upper 24 bits of each, over 2^24.
// RUN: qopt-run %s --function=vector --input=i64=0 --input=i64=0 \
// RUN:   | FileCheck %s --check-prefix=NUMBERS
// RUN: qopt-run %s --function=vector --input=i64=0 --input=i64=0 --reference \
// RUN:   | FileCheck %s --check-prefix=NUMBERS

// NUMBERS: result[0]: 4xf32=0.39904642 0.88052016 0.73571277 0.6054818{{$}}

// CHECK-LABEL: func @vector
// CHECK-SAME: (%[[SEED:.*]]: i64, %[[STEP:.*]]: i64)
// CHECK: linalg.generic {{.*}} ins(%[[SEED]], %[[STEP]] : i64, i64)
// CHECK: linalg.index 0
// CHECK: arith.muli
// CHECK: arith.xori
// CHECK: arith.sitofp
// CHECK: linalg.yield
func.func @vector(%seed: i64, %step: i64) -> tensor<4xf32> {
  %u = quant_ste.uniform seed(%seed) step(%step) : tensor<4xf32>
  return %u : tensor<4xf32>
}

// CHECK-LABEL: func @dynamic
// CHECK-SAME: %[[N:[^ ]*]]: index, %[[M:[^ ]*]]: index)
// CHECK: tensor.empty(%[[N]], %[[M]]) : tensor<?x3x?xf32>
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[M]] : i64, i64, index)
func.func @dynamic(%seed: i64, %step: i64, %n: index, %m: index)
    -> tensor<?x3x?xf32> {
  %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n, %m)
    : tensor<?x3x?xf32>
  return %u : tensor<?x3x?xf32>
}
