// RUN: qopt-opt %s --quant-ste-reuse-buffers --split-input-file | FileCheck %s

#id = affine_map<(i) -> (i)>
// A gradient is written over the residual that it is made of.
// CHECK-LABEL: @over_residual(
// CHECK-SAME: %[[X:.*]]: memref<8xf32>, %[[DX:.*]]: memref<8xf32>)
// CHECK: %[[A:.*]] = memref.alloc() {bufferization.manual_deallocation}
// CHECK: linalg.generic {{.*}} ins(%[[X]] : {{.*}}) outs(%[[A]] :
// CHECK: linalg.generic {{.*}} ins(%[[A]] : {{.*}}) outs(%[[A]] :
// CHECK-NOT: memref.alloc
// CHECK: memref.copy %[[A]], %[[DX]]
// CHECK-NEXT: memref.dealloc %[[A]] {bufferization.manual_deallocation}
// CHECK-NEXT: return
func.func @over_residual(%x: memref<8xf32>, %dx: memref<8xf32>) {
  %a = memref.alloc() : memref<8xf32>
  %b = memref.alloc() : memref<8xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<8xf32>) outs(%a : memref<8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %w = math.exp %v : f32
    linalg.yield %w : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : memref<8xf32>) outs(%b : memref<8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %w = arith.mulf %v, %v : f32
    linalg.yield %w : f32
  }
  memref.copy %b, %dx : memref<8xf32> to memref<8xf32>
  return
}

// -----

#id = affine_map<(i) -> (i)>

// Not while somebody reads it later, be it through a view.
// CHECK-LABEL: @still_alive(
// CHECK: %[[A:.*]] = memref.alloc()
// CHECK: %[[B:.*]] = memref.alloc()
// CHECK: linalg.generic {{.*}} ins(%[[A]] : {{.*}}) outs(%[[B]] :
// CHECK: memref.copy %[[B]]
// CHECK-NEXT: memref.dealloc %[[B]]
// CHECK: memref.copy %{{.*}}, %{{.*}} : memref<4xf32, strided<[1]>>
// CHECK-NEXT: memref.dealloc %[[A]]
func.func @still_alive(%x: memref<8xf32>, %dx: memref<8xf32>, %y: memref<4xf32>) {
  %a = memref.alloc() : memref<8xf32>
  %v = memref.subview %a[0] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1]>>
  %b = memref.alloc() : memref<8xf32>
  memref.copy %x, %a : memref<8xf32> to memref<8xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : memref<8xf32>) outs(%b : memref<8xf32>) {
  ^bb0(%s: f32, %o: f32):
    %w = arith.mulf %s, %s : f32
    linalg.yield %w : f32
  }
  memref.copy %b, %dx : memref<8xf32> to memref<8xf32>
  memref.copy %v, %y : memref<4xf32, strided<[1]>> to memref<4xf32>
  return
}

// -----

#flip = affine_map<(i, j) -> (j, i)>
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#one = affine_map<(i) -> (i)>

// Not where an element is read after it was written: by another map, twice, in
// the body, or because the new one is added to.
// CHECK-LABEL: @other_elements(
// CHECK-COUNT-5: memref.alloc
func.func @other_elements(%x: memref<8x8xf32>, %y: memref<8xf32>, %z: memref<8x8xf32>) {
  %a = memref.alloc() : memref<8x8xf32>
  %b = memref.alloc() : memref<8x8xf32>
  %c = memref.alloc() : memref<8xf32>
  %d = memref.alloc() : memref<8xf32>
  %e = memref.alloc() : memref<8xf32>
  %i0 = arith.constant 0 : index
  memref.copy %x, %a : memref<8x8xf32> to memref<8x8xf32>
  linalg.generic {indexing_maps = [#flip, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<8x8xf32>) outs(%b : memref<8x8xf32>) {
  ^bb0(%s: f32, %o: f32):
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%b : memref<8x8xf32>) outs(%c : memref<8xf32>) {
  ^bb0(%s: f32, %o: f32):
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]}
      ins(%c : memref<8xf32>) outs(%d : memref<8xf32>) {
  ^bb0(%s: f32, %o: f32):
    %first = memref.load %c[%i0] : memref<8xf32>
    %w = arith.addf %s, %first : f32
    linalg.yield %w : f32
  }
  linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]}
      ins(%d : memref<8xf32>) outs(%e : memref<8xf32>) {
  ^bb0(%s: f32, %o: f32):
    %w = arith.addf %s, %o : f32
    linalg.yield %w : f32
  }
  linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%e : memref<8xf32>) outs(%z : memref<8x8xf32>) {
  ^bb0(%s: f32, %o: f32):
    linalg.yield %s : f32
  }
  memref.copy %c, %y : memref<8xf32> to memref<8xf32>
  return
}

// -----

// What the function returns takes the place of a dead buffer, and is not freed;
// sizes must be the same values.
// CHECK-LABEL: @returned(
// CHECK: %[[A:.*]] = memref.alloc(%[[N:.*]]) : memref<?xf32>
// CHECK: %[[B:.*]] = memref.alloc(%{{.*}}) {bufferization.manual_deallocation}
// CHECK-NOT: memref.alloc
// CHECK: memref.dealloc %[[B]]
// CHECK-NOT: memref.dealloc
// CHECK: return %[[A]]
func.func @returned(%x: memref<?xf32>, %n: index, %m: index) -> memref<?xf32> {
  %zero = arith.constant 0.0 : f32
  %a = memref.alloc(%n) : memref<?xf32>
  memref.copy %x, %a : memref<?xf32> to memref<?xf32>
  memref.copy %a, %x : memref<?xf32> to memref<?xf32>
  %b = memref.alloc(%m) : memref<?xf32>
  memref.copy %x, %b : memref<?xf32> to memref<?xf32>
  memref.copy %b, %x : memref<?xf32> to memref<?xf32>
  %c = memref.alloc(%n) : memref<?xf32>
  linalg.fill ins(%zero : f32) outs(%c : memref<?xf32>)
  return %c : memref<?xf32>
}

// -----

// What is carried by a loop, passed to a function, or used in another block
// stays what it is.
// CHECK-LABEL: @unknown(
// CHECK-COUNT-3: memref.alloc() : memref<8xf32>
// CHECK-NOT: memref.dealloc
func.func private @g(memref<8xf32>)
func.func @unknown(%x: memref<8xf32>, %n: index) {
  %i0 = arith.constant 0 : index
  %i1 = arith.constant 1 : index
  %a = memref.alloc() : memref<8xf32>
  %b = memref.alloc() : memref<8xf32>
  %c = memref.alloc() : memref<8xf32>
  %r = scf.for %i = %i0 to %n step %i1 iter_args(%v = %a) -> (memref<8xf32>) {
    memref.copy %v, %x : memref<8xf32> to memref<8xf32>
    scf.yield %v : memref<8xf32>
  }
  call @g(%b) : (memref<8xf32>) -> ()
  cf.br ^next
^next:
  memref.copy %c, %x : memref<8xf32> to memref<8xf32>
  return
}

// -----

#id = affine_map<(i) -> (i)>

// A donated argument holds what comes next, but nothing that is returned; one
// that is not donated holds nothing.
// CHECK-LABEL: @donated(
// CHECK-SAME: %[[R:.*]]: memref<8xf32> {quant_ste.donated}, %[[X:.*]]: memref<8xf32>, %[[OUT:[^:]*]]: memref<8xf32>)
// CHECK-NOT: memref.alloc
// CHECK: linalg.generic {{.*}} ins(%[[R]], %[[X]] : {{.*}}) outs(%[[R]] :
// CHECK: linalg.generic {{.*}} ins(%[[R]], %[[X]] : {{.*}}) outs(%[[OUT]] :
// CHECK: %[[A:.*]] = memref.alloc() : memref<8xf32>
// CHECK: return %[[A]]
func.func @donated(%r: memref<8xf32> {quant_ste.donated}, %x: memref<8xf32>,
                   %out: memref<8xf32>) -> memref<8xf32> {
  %zero = arith.constant 0.0 : f32
  %a = memref.alloc() : memref<8xf32>
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%r, %x : memref<8xf32>, memref<8xf32>) outs(%a : memref<8xf32>) {
  ^bb0(%s: f32, %t: f32, %o: f32):
    %w = arith.mulf %s, %t : f32
    linalg.yield %w : f32
  }
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a, %x : memref<8xf32>, memref<8xf32>) outs(%out : memref<8xf32>) {
  ^bb0(%s: f32, %t: f32, %o: f32):
    %w = arith.mulf %s, %t : f32
    linalg.yield %w : f32
  }
  %b = memref.alloc() : memref<8xf32>
  linalg.fill ins(%zero : f32) outs(%b : memref<8xf32>)
  return %b : memref<8xf32>
}
