// RUN: qopt-opt %s --quant-ste-order-stores | FileCheck %s

// CHECK-LABEL: llvm.func @serial
// CHECK: llvm.store {{.*}}nontemporal
// CHECK-NEXT: llvm.inline_asm has_side_effects
// CHECK: llvm.fence seq_cst
// CHECK-NEXT: llvm.return
llvm.func @serial(%v: vector<16xf32>, %p: !llvm.ptr) {
  llvm.store %v, %p {alignment = 64 : i64, nontemporal} : vector<16xf32>, !llvm.ptr
  llvm.return
}

// CHECK-LABEL: llvm.func @parallel
// CHECK: llvm.store {{.*}}nontemporal
// CHECK: llvm.fence seq_cst
// CHECK-NEXT: omp.terminator
// CHECK-NOT: llvm.fence
// CHECK: llvm.return
llvm.func @parallel(%v: vector<16xf32>, %p: !llvm.ptr) {
  omp.parallel {
    llvm.store %v, %p {alignment = 64 : i64, nontemporal} : vector<16xf32>, !llvm.ptr
    omp.terminator
  }
  llvm.return
}

// CHECK-LABEL: llvm.func @plain
// CHECK-NOT: llvm.inline_asm
// CHECK-NOT: llvm.fence
llvm.func @plain(%v: vector<16xf32>, %p: !llvm.ptr) {
  llvm.store %v, %p : vector<16xf32>, !llvm.ptr
  llvm.return
}
