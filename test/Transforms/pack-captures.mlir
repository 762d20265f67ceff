// RUN: qopt-opt %s --quant-ste-pack-captures | FileCheck %s

llvm.func internal @task(%i: i64, %unused: i64, %size: i64, %x: !llvm.ptr) {
  %0 = llvm.add %i, %size : i64
  llvm.store %0, %x : i64, !llvm.ptr
  llvm.return
}

// CHECK-LABEL: llvm.func @loop
// CHECK-SAME: %[[N:.*]]: i64, %[[STRIDE:.*]]: i64, %[[X:.*]]: !llvm.ptr
// CHECK: %[[ALL:.*]] = llvm.alloca {{.*}} x !llvm.struct<(i64, ptr)>
// CHECK: llvm.store %[[N]]
// CHECK: llvm.store %[[X]]
// CHECK: omp.parallel {
// CHECK: %[[COUNT:.*]] = llvm.load {{.*}} -> i64
// CHECK: %[[P:.*]] = llvm.load {{.*}} -> !llvm.ptr
// CHECK: %[[C1:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: omp.loop_nest (%[[I:.*]]) : i64 = (%{{.*}}) to (%[[COUNT]]) step (%[[C1]])
// CHECK: %[[ANY:.*]] = llvm.mlir.poison : i64
// CHECK: llvm.call @task(%[[I]], %[[ANY]], %[[COUNT]], %[[P]])
llvm.func @loop(%n: i64, %stride: i64, %x: !llvm.ptr) {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  omp.parallel {
    omp.wsloop {
      omp.loop_nest (%i) : i64 = (%c0) to (%n) step (%c1) {
        llvm.call @task(%i, %stride, %n, %x) : (i64, i64, i64, !llvm.ptr) -> ()
        omp.yield
      }
    }
    omp.terminator
  }
  llvm.return
}

llvm.func @elsewhere(i64)

// What a function in another module uses is not known; one value is no dozen.
// CHECK-LABEL: llvm.func @one
// CHECK-SAME: %[[N:.*]]: i64
// CHECK-NOT: llvm.alloca
// CHECK: llvm.call @elsewhere(%[[N]])
llvm.func @one(%n: i64) {
  omp.parallel {
    llvm.call @elsewhere(%n) : (i64) -> ()
    omp.terminator
  }
  llvm.return
}

// Threads of threads take what LLVM gives them.
// CHECK-LABEL: llvm.func @nested
// CHECK: llvm.alloca
// CHECK: omp.parallel
// CHECK: omp.parallel
// CHECK-NOT: llvm.load
// CHECK: llvm.call @task
llvm.func @nested(%n: i64, %x: !llvm.ptr) {
  omp.parallel {
    omp.parallel {
      llvm.call @task(%n, %n, %n, %x) : (i64, i64, i64, !llvm.ptr) -> ()
      omp.terminator
    }
    omp.terminator
  }
  llvm.return
}
