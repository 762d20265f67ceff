// RUN: qopt-opt %s --quant-ste-vectorize --canonicalize --cse --split-input-file --remarks-filter=".*" 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t

// What depends on the parameter alone is computed once, before the tasks.
// CHECK-LABEL: func @elementwise
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?xf32>, %[[A:[a-z0-9]+]]: memref<f32>, %[[Y:[a-z0-9]+]]: memref<?xf32>
// CHECK: %[[ALPHA:.*]] = memref.load %[[A]][]
// CHECK: %[[INV:.*]] = arith.divf %{{.*}}, %[[ALPHA]] : f32
// CHECK: scf.forall
// CHECK:   scf.for {{.*}} step %c64
// CHECK:     %[[V:.*]] = vector.load %[[X]]{{.*}} vector<64xf32>
// CHECK:     %[[B:.*]] = vector.broadcast %[[INV]] : f32 to vector<64xf32>
// CHECK:     %[[P:.*]] = arith.mulf %[[V]], %[[B]] : vector<64xf32>
// CHECK:     vector.store %[[P]], %[[Y]]
// CHECK:   scf.for {{.*}} step %c16
// CHECK:     %[[M:.*]] = vector.create_mask %{{.*}} : vector<16xi1>
// CHECK:     vector.maskedload %[[X]]{{.*}}, %[[M]]
// CHECK:     vector.maskedstore %[[Y]]{{.*}}, %[[M]]
// CHECK-NOT: linalg
#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
func.func @elementwise(%x: memref<?xf32>, %a: memref<f32>, %y: memref<?xf32>) {
  %one = arith.constant 1.0 : f32
  linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]}
      ins(%x, %a : memref<?xf32>, memref<f32>) outs(%y : memref<?xf32>) {
  ^bb0(%in: f32, %alpha: f32, %out: f32):
    %inv = arith.divf %one, %alpha : f32
    %p = arith.mulf %in, %inv : f32
    linalg.yield %p : f32
  }
  return
}

// -----

// A small tensor is one unit: no task, no partial results.
// CHECK-LABEL: func @small
// CHECK-NOT: scf.forall
// CHECK-NOT: memref.alloc
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}) -> (vector<64xf32>)
// CHECK: vector.shuffle {{.*}} : vector<64xf32>, vector<64xf32>
// CHECK: vector.shuffle {{.*}} : vector<2xf32>, vector<2xf32>
// CHECK: arith.addf %{{.*}}, %{{.*}} : f32
// CHECK: memref.store
#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
func.func @small(%x: memref<1000xf32>, %s: memref<f32>) {
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<1000xf32>) outs(%s : memref<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// A sum over many units: partial results, allocated outside of the caller's
// loop, added in f64.
// CHECK-LABEL: func @partial
// CHECK: %[[P:.*]] = memref.alloc() {{.*}} : memref<7xf32>
// CHECK: scf.for
// CHECK-NOT: memref.alloc
// CHECK:   scf.forall
// CHECK:     memref.store %{{.*}}, %[[P]]
// CHECK:   scf.for {{.*}} -> (f64)
// CHECK:     %[[L:.*]] = memref.load %[[P]]
// CHECK:     %[[W:.*]] = arith.extf %[[L]] : f32 to f64
// CHECK:     arith.addf %{{.*}}, %[[W]] : f64
// CHECK: memref.dealloc %[[P]]
#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
func.func @partial(%x: memref<100000xf32>, %s: memref<f32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
        ins(%x : memref<100000xf32>) outs(%s : memref<f32>) {
    ^bb0(%in: f32, %acc: f32):
      %0 = arith.addf %acc, %in : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

// Loops that all operands see as one are one: [N, C, H] with a scale per
// channel has three, without one it has one.
// CHECK-LABEL: func @collapse
// CHECK: memref.collapse_shape %{{.*}} {{\[\[}}0, 1, 2]]
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @collapse(%x: memref<4x8x49xf32>, %y: memref<4x8x49xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : memref<4x8x49xf32>) outs(%y : memref<4x8x49xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Columns: lanes are columns, and the sum goes down the rows.
// CHECK-LABEL: func @columns
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<16x80xf32>
// CHECK: scf.for %[[J:[a-z0-9]+]] = {{.*}} step %c32
// CHECK:   scf.for %[[I:[a-z0-9]+]] = {{.*}} -> (vector<32xf32>)
// CHECK:     vector.load %[[X]][%[[I]], %[[J]]]
// CHECK:   vector.store
#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>
func.func @columns(%x: memref<16x80xf32>, %s: memref<80xf32>) {
  linalg.generic {indexing_maps = [#id, #col], iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<16x80xf32>) outs(%s : memref<80xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Long columns: the sums so far are in memory, and in registers for several
// rows. Of rows that are neither short nor in pages of their own, for one.
// CHECK-LABEL: func @long_columns
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?x?xf32>
// CHECK: %[[FEW:.*]] = arith.divui %c128, %{{.*}}
// CHECK: %[[SHORT:.*]] = arith.minui %[[FEW]], %c16
// CHECK: %[[SOME:.*]] = arith.maxui %[[SHORT]], %c1
// CHECK: %[[LONG:.*]] = arith.cmpi uge, %{{.*}}, %c1024
// CHECK: %[[ROWS:.*]] = arith.select %[[LONG]], %c4, %[[SOME]]
// CHECK: scf.for {{.*}} step %[[ROWS]]
// CHECK:   scf.for %[[J:[a-z0-9]+]] = {{.*}} step %c32
// CHECK:     vector.load
// CHECK:     scf.for %[[I:[a-z0-9]+]] = {{.*}} -> (vector<32xf32>)
// CHECK:       vector.load %[[X]][%[[I]], %[[J]]]
// CHECK:     vector.store
#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>
func.func @long_columns(%x: memref<?x?xf32>, %s: memref<?xf32>) {
  linalg.generic {indexing_maps = [#id, #col], iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<?x?xf32>) outs(%s : memref<?xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// What the columns of long rows have of their own is loaded once for several.
// CHECK-LABEL: func @columns_of_rows
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<64x4096xf32>, %[[S:[a-z0-9]+]]: memref<4096xf32>
// CHECK: scf.for %{{.*}} step %c8
// CHECK:   scf.for %[[J:[a-z0-9]+]] = {{.*}} step %c64
// CHECK:     vector.load %[[S]][%[[J]]]
// CHECK:     scf.for %[[I:[a-z0-9]+]] =
// CHECK-NEXT:  vector.load %[[X]][%[[I]], %[[J]]]
// CHECK-NOT:   vector.load
#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>
func.func @columns_of_rows(%x: memref<64x4096xf32>, %s: memref<4096xf32>, %y: memref<64x4096xf32>) {
  linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<64x4096xf32>, memref<4096xf32>) outs(%y : memref<64x4096xf32>) {
  ^bb0(%in: f32, %scale: f32, %out: f32):
    %0 = arith.mulf %in, %scale : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Of a row of 65, one element is in a masked vector.
// CHECK-LABEL: func @short_rows
// CHECK: vector.load {{.*}} vector<64xf32>
// CHECK-NOT: mask
// CHECK: vector.constant_mask [1]
// CHECK-NOT: scf.for
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
func.func @short_rows(%x: memref<8x65xf32>, %s: memref<8xf32>) {
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<8x65xf32>) outs(%s : memref<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %out, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Where rows of less than 64 elements are summed, vectors run on from row to row
// as well. A row's lanes begin where it begins in a vector: stored twice, they
// are loaded from there on, for sixteen rows at a time.
// CHECK-LABEL: func @flat_sums
// CHECK-SAME: %[[X:.*]]: memref<7x49xf32>, %[[S:.*]]: memref<7xf32>
// CHECK: %[[LANES:.*]] = memref.alloca() {{.*}}: memref<16x32xf32>
// CHECK: %[[XF:.*]] = memref.collapse_shape %[[X]] {{.*}} into memref<343xf32>
// CHECK: scf.for %[[ROW:.*]] = %c0 to %c7 step %c1
// CHECK:   scf.for {{.*}} step %c16
// CHECK:     vector.load %[[XF]]
// CHECK:     arith.addf
// CHECK:   scf.for {{.*}} step %c16
// CHECK:     %[[TWO:.*]] = vector.load %[[XF]]
// CHECK:     %[[HERE:.*]] = arith.addf %[[ACC:.*]], %[[TWO]]
// CHECK:     %[[IN:.*]] = vector.create_mask
// CHECK:     arith.select %[[IN]], %[[HERE]], %[[ACC]]
// CHECK:     %[[THERE:.*]] = arith.addf %[[NEXT:.*]], %[[TWO]]
// CHECK:     arith.select %[[IN]], %[[NEXT]], %[[THERE]]
// CHECK:   vector.store %[[SUM:.*]], %[[LANES]][%[[ROW]], %c0]
// CHECK:   vector.store %[[SUM]], %[[LANES]][%[[ROW]], %c16]
// CHECK: vector.constant_mask [7]
// CHECK: vector.load %[[LANES]][%c0, %c0]
// CHECK: vector.load %[[LANES]][%c1, %c1]
// CHECK: vector.load %[[LANES]][%c15, %c15]
// CHECK-COUNT-15: arith.addf {{.*}} vector<16xf32>
// CHECK: vector.maskedstore %[[S]]
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
func.func @flat_sums(%x: memref<7x49xf32>, %s: memref<7xf32>) {
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<7x49xf32>) outs(%s : memref<7xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %out, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Without sums, vectors run on from row to row: those of a row alone have its
// value in all lanes, and one each has lanes of two rows.
// CHECK-LABEL: func @flat_rows
// CHECK-SAME: %[[X:.*]]: memref<8x49xf32>, %[[S:.*]]: memref<8xf32>, %[[Y:.*]]: memref<8x49xf32>
// CHECK-DAG: %[[XF:.*]] = memref.collapse_shape %[[X]] {{.*}} into memref<392xf32>
// CHECK-DAG: %[[YF:.*]] = memref.collapse_shape %[[Y]] {{.*}} into memref<392xf32>
// CHECK: scf.for %[[ROW:.*]] = %c0 to %c8 step %c1
// CHECK:   %[[HERE:.*]] = memref.load %[[S]]
// CHECK:   scf.for
// CHECK:     vector.load %[[XF]]
// CHECK:     vector.broadcast %[[HERE]]
// CHECK:   scf.for
// CHECK:     %[[IN:.*]] = vector.create_mask
// CHECK:     %[[SCALES:.*]] = arith.select %[[IN]]
// CHECK:     %[[LANES:.*]] = vector.load %[[XF]]
// CHECK:     %[[R:.*]] = arith.mulf %[[LANES]], %[[SCALES]]
// CHECK:     vector.store %[[R]], %[[YF]]
// CHECK: vector.constant_mask [8]
// CHECK-NOT: scf.for
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
func.func @flat_rows(%x: memref<8x49xf32>, %s: memref<8xf32>, %y: memref<8x49xf32>) {
  linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<8x49xf32>, memref<8xf32>) outs(%y : memref<8x49xf32>) {
  ^bb0(%in: f32, %scale: f32, %out: f32):
    %0 = arith.mulf %in, %scale : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// So whole lines are stored past the caches, although no row is made of them.
// CHECK-LABEL: func @huge_flat_rows
// CHECK: scf.forall
// CHECK: vector.store {{.*}}{alignment = 64 : i64, nontemporal = true} : memref<25690112xi16>, vector<32xi16>
// CHECK: arith.select {{.*}} vector<32xi1>, vector<32xf32>
// CHECK: vector.store {{.*}}{alignment = 64 : i64, nontemporal = true}
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#channel = affine_map<(d0, d1, d2) -> (d1)>
func.func @huge_flat_rows(%x: memref<256x2048x49xbf16>, %s: memref<2048xf32>,
                          %y: memref<256x2048x49xbf16>) {
  linalg.generic {indexing_maps = [#id, #channel, #id],
                  iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %s : memref<256x2048x49xbf16>, memref<2048xf32>)
      outs(%y : memref<256x2048x49xbf16>) {
  ^bb0(%in: bf16, %scale: f32, %out: bf16):
    %0 = arith.extf %in : bf16 to f32
    %1 = arith.mulf %0, %scale : f32
    %2 = arith.truncf %1 : f32 to bf16
    linalg.yield %2 : bf16
  }
  return
}

// -----

// What costs a division or more and depends on some loops only is computed once
// for these, into a buffer. What is cheap is computed again.
// CHECK-LABEL: func @parameters
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?x?xf32>, %[[S:[a-z0-9]+]]: memref<?xf32>
// CHECK: %[[INV:.*]] = memref.alloc(%{{.*}}) {{.*}} : memref<?xf32>
// CHECK: %[[L:.*]] = vector.load %[[S]]
// CHECK: %[[D:.*]] = arith.divf %{{.*}}, %[[L]]
// CHECK: vector.store %[[D]], %[[INV]]
// CHECK: vector.load %[[INV]]
// CHECK-NOT: arith.divf
// CHECK: arith.negf
// CHECK-NOT: arith.divf
// CHECK: vector.load %[[X]]
// CHECK-NOT: arith.divf
// CHECK: memref.dealloc %[[INV]]
#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>
func.func @parameters(%x: memref<?x?xf32>, %s: memref<?xf32>, %y: memref<?x?xf32>) {
  %one = arith.constant 1.0 : f32
  linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<?x?xf32>, memref<?xf32>) outs(%y : memref<?x?xf32>) {
  ^bb0(%in: f32, %scale: f32, %out: f32):
    %inv = arith.divf %one, %scale : f32
    %p = arith.mulf %in, %inv : f32
    %n = arith.negf %scale : f32
    %q = arith.addf %p, %n : f32
    linalg.yield %q : f32
  }
  return
}

// -----

// A result that the caches could not keep is stored past them, where it is made
// of whole lines.
// CHECK-LABEL: func @huge
// CHECK-SAME: %{{.*}}: memref<33554432xf32>, %[[Y:[a-z0-9]+]]: memref<33554432xf32>
// CHECK: %[[P:.*]] = memref.extract_aligned_pointer_as_index %[[Y]]
// CHECK: %[[ODD:.*]] = arith.andi %[[P]], %c63
// CHECK: %[[WHOLE:.*]] = arith.cmpi eq, %[[ODD]], %c0
// CHECK: scf.if %[[WHOLE]]
// CHECK:   vector.store {{.*}}{alignment = 64 : i64, nontemporal = true} : memref<33554432xf32>, vector<64xf32>
// CHECK: else
// CHECK:   vector.store %{{.*}}, %[[Y]][%{{.*}}] : memref<33554432xf32>, vector<64xf32>
#id = affine_map<(d0) -> (d0)>
func.func @huge(%x: memref<33554432xf32>, %y: memref<33554432xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<33554432xf32>) outs(%y : memref<33554432xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// A product: one vector of the second factor for four rows of the first, added
// in the order of k.
// CHECK-LABEL: func @product
// CHECK-SAME: %[[A:[a-z0-9]+]]: memref<64x16xf32>, %[[B:[a-z0-9]+]]: memref<16x32xf32>
// CHECK: scf.for {{.*}} step %c4
// CHECK:   scf.for %[[K:[a-z0-9]+]] = {{.*}} -> (vector<32xf32>, vector<32xf32>, vector<32xf32>, vector<32xf32>)
// CHECK:     vector.load %[[B]][%[[K]], %{{.*}}]
// CHECK-NOT: vector.load
// CHECK-COUNT-4: memref.load %[[A]][%{{.*}}, %[[K]]]
// CHECK-NOT: vector.fma
func.func @product(%a: memref<64x16xf32>, %b: memref<16x32xf32>, %c: memref<64x32xf32>) {
  linalg.matmul ins(%a, %b : memref<64x16xf32>, memref<16x32xf32>) outs(%c : memref<64x32xf32>)
  return
}

// -----

// bf16 moves as i16, and i1 as bytes.
// CHECK-LABEL: func @storage
// CHECK: vector.load %{{.*}} : memref<?xi16>, vector<64xi16>
// CHECK: arith.bitcast %{{.*}} : vector<64xi16> to vector<64xbf16>
// CHECK: arith.extui %{{.*}} : vector<64xi1> to vector<64xi8>
// CHECK: vector.store %{{.*}} : memref<?xi8>, vector<64xi8>
#id = affine_map<(d0) -> (d0)>
func.func @storage(%x: memref<?xbf16>, %m: memref<?xi1>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xbf16>) outs(%m : memref<?xi1>) {
  ^bb0(%in: bf16, %out: i1):
    %w = arith.extf %in : bf16 to f32
    %0 = arith.cmpf ogt, %w, %zero : f32
    linalg.yield %0 : i1
  }
  return
}

// -----

// A copy that is not contiguous would be a call of MLIR's run-time library.
// CHECK-LABEL: func @copy
// CHECK-NOT: memref.copy
// CHECK: vector.load
// CHECK: vector.store
func.func @copy(%x: memref<8x128xf32, strided<[256, 1]>>, %y: memref<8x128xf32>) {
  memref.copy %x, %y : memref<8x128xf32, strided<[256, 1]>> to memref<8x128xf32>
  return
}

// -----

// A large copy is a kernel like any other: on all threads, and past the caches.
// CHECK-LABEL: func @large_copy
// CHECK-SAME: %{{.*}}: memref<?x4xf32>, %{{.*}}: memref<?x4xf32>, %[[A:[a-z0-9]+]]: memref<8xf32>, %[[B:[a-z0-9]+]]: memref<8xf32>
// CHECK: scf.forall
// CHECK: vector.store {{.*}} nontemporal = true
// CHECK: memref.copy %[[A]], %[[B]]
func.func @large_copy(%x: memref<?x4xf32>, %y: memref<?x4xf32>, %a: memref<8xf32>, %b: memref<8xf32>) {
  memref.copy %x, %y : memref<?x4xf32> to memref<?x4xf32>
  memref.copy %a, %b : memref<8xf32> to memref<8xf32>
  return
}

// -----

// Left to plain loops, each for its reason.
// REMARK: Function=calls {{.*}}'math.sin' is a call of a library function
// REMARK: Function=gather {{.*}}'memref.load' cannot be applied to a vector
// REMARK: Function=transpose {{.*}}no loop runs along memory in all operands
// REMARK: Function=product_sum {{.*}}neither elementwise nor a reduction
// REMARK: Function=divide {{.*}}'arith.divsi' must not be executed for elements that do not exist
// REMARK: Function=across {{.*}}its products would have to be added in another order
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @calls
// CHECK: linalg.generic
func.func @calls(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.sin %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @gather
// CHECK: linalg.generic
func.func @gather(%i: memref<?xindex>, %x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%i : memref<?xindex>) outs(%y : memref<?xf32>) {
  ^bb0(%at: index, %out: f32):
    %0 = memref.load %x[%at] : memref<?xf32>
    linalg.yield %0 : f32
  }
  return
}

// -----

// CHECK-LABEL: func @transpose
// CHECK: linalg.generic
func.func @transpose(%x: memref<4x8xf32>, %y: memref<8x4xf32>) {
  linalg.transpose ins(%x : memref<4x8xf32>) outs(%y : memref<8x4xf32>) permutation = [1, 0]
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
// CHECK-LABEL: func @product_sum
// CHECK: linalg.generic
func.func @product_sum(%x: memref<?xf32>, %s: memref<f32>) {
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<?xf32>) outs(%s : memref<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.mulf %acc, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @divide
// CHECK: linalg.generic
func.func @divide(%x: memref<?xi32>, %y: memref<?xi32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xi32>) outs(%y : memref<?xi32>) {
  ^bb0(%in: i32, %out: i32):
    %0 = arith.divsi %out, %in : i32
    linalg.yield %0 : i32
  }
  return
}

// -----

// CHECK-LABEL: func @across
// CHECK: linalg.generic
func.func @across(%a: memref<4x8xf32>, %b: memref<8xf32>, %c: memref<4xf32>) {
  linalg.matvec ins(%a, %b : memref<4x8xf32>, memref<8xf32>) outs(%c : memref<4xf32>)
  return
}
