// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=vectorize --remarks-filter=".*" 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK --allow-empty < %t

// A softmax in a program's own code: extremum, exponential and sum of each row
// are vector loops, without a call.
// REMARK-NOT: left to plain loops
// CHECK-LABEL: func.func @softmax
// CHECK-NOT: math.exp
// CHECK: arith.maximumf {{.*}} vector<64xf32>
// CHECK: math.roundeven {{.*}} vector<64xf64>
// CHECK: arith.addf {{.*}} vector<64xf32>
// CHECK: arith.divf {{.*}} vector<64xf32>
// CHECK-NOT: math.exp
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @softmax(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x?xf32>
  %low = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %er = tensor.empty(%n) : tensor<?xf32>
  %lows = linalg.fill ins(%low : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
  %max = linalg.reduce {arith.maximumf} ins(%x : tensor<?x?xf32>) outs(%lows : tensor<?xf32>) dimensions = [1]
  %e = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %max : tensor<?x?xf32>, tensor<?xf32>) outs(%x : tensor<?x?xf32>) {
  ^bb0(%v: f32, %m: f32, %o: f32):
    %d = arith.subf %v, %m : f32
    %y = math.exp %d : f32
    linalg.yield %y : f32
  } -> tensor<?x?xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.reduce {arith.addf} ins(%e : tensor<?x?xf32>) outs(%zeros : tensor<?xf32>) dimensions = [1]
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%e, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%x : tensor<?x?xf32>) {
  ^bb0(%v: f32, %m: f32, %o: f32):
    %y = arith.divf %v, %m : f32
    linalg.yield %y : f32
  } -> tensor<?x?xf32>
  return %p : tensor<?x?xf32>
}
