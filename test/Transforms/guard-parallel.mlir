// RUN: qopt-opt %s --convert-scf-to-openmp --quant-ste-guard-parallel --canonicalize | FileCheck %s

// CHECK-LABEL: func @loop
// CHECK-SAME: %[[N:[a-z0-9]+]]: index
// CHECK: %[[C1:.*]] = arith.constant 1 : index
// CHECK: %[[SEVERAL:.*]] = arith.cmpi sgt, %[[N]], %[[C1]]
// CHECK: omp.parallel if(%[[SEVERAL]])
func.func @loop(%n: index, %x: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v = arith.constant 1.0 : f32
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %v, %x[%i] : memref<?xf32>
  }
  return
}

func.func private @work()

// A condition that is there already stays.
// CHECK-LABEL: func @given
// CHECK-SAME: %[[C:[a-z0-9]+]]: i1
// CHECK: omp.parallel if(%[[C]])
func.func @given(%c: i1, %x: memref<?xf32>) {
  omp.parallel if(%c) {
    func.call @work() : () -> ()
    omp.terminator
  }
  return
}
