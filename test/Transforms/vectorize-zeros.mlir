// RUN: qopt-opt %s --quant-ste-vectorize --canonicalize --cse | FileCheck %s

#id = affine_map<(d0) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
#last = affine_map<(d0, d1) -> (d1)>
#none = affine_map<(d0) -> ()>

// The sums of columns are stored; nothing is made zero, read or added to.
// CHECK-LABEL: func @columns
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?x?xf32>, %[[S:[a-z0-9]+]]: memref<?xf32>
// CHECK-NOT: %[[S]]
// CHECK: %[[TOTAL:.*]] = arith.truncf
// CHECK-NEXT: vector.store %[[TOTAL]], %[[S]]
// CHECK-NOT: load %[[S]]
// CHECK: return
func.func @columns(%x: memref<?x?xf32>, %s: memref<?xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%s : memref<?xf32>)
  linalg.generic {indexing_maps = [#all, #last], iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<?x?xf32>) outs(%s : memref<?xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// Another kernel in between does not matter, if it looks elsewhere.
// CHECK-LABEL: func @whole
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<1000xf32>, %[[Y:[a-z0-9]+]]: memref<1000xf32>, %[[S:[a-z0-9]+]]: memref<f32>
// CHECK-NOT: %[[S]]
// CHECK: %[[SUM:.*]] = vector.extract
// CHECK-NEXT: memref.store %[[SUM]], %[[S]][]
// CHECK-NEXT: return
func.func @whole(%x: memref<1000xf32>, %y: memref<1000xf32>, %s: memref<f32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%s : memref<f32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<1000xf32>) outs(%y : memref<1000xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<1000xf32>) outs(%s : memref<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// Here it looks at the zero; and a sum may start elsewhere.
// CHECK-LABEL: func @read
// CHECK-SAME: memref<1000xf32>, %[[S:[a-z0-9]+]]: memref<f32>, %[[T:[a-z0-9]+]]: memref<f32>
// CHECK: linalg.generic {{.*}} outs(%[[S]]
// CHECK: memref.load %[[S]][]
// CHECK: memref.load %[[S]][]
// CHECK: memref.store %{{.*}}, %[[S]][]
// CHECK: linalg.generic {{.*}} outs(%[[T]]
// CHECK: memref.load %[[T]][]
func.func @read(%x: memref<1000xf32>, %y: memref<1000xf32>, %s: memref<f32>, %t: memref<f32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%s : memref<f32>)
  linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]}
      ins(%x, %s : memref<1000xf32>, memref<f32>) outs(%y : memref<1000xf32>) {
  ^bb0(%in: f32, %k: f32, %out: f32):
    %0 = arith.addf %in, %k : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<1000xf32>) outs(%s : memref<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  %one = arith.constant 1.0 : f32
  linalg.fill ins(%one : f32) outs(%t : memref<f32>)
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<1000xf32>) outs(%t : memref<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}
