// RUN: qopt-opt %s --split-input-file --verify-diagnostics --quant-ste-lower-assertions | FileCheck %s

// One declaration; a message for each assertion, behind its line.
// CHECK: llvm.func @quant_ste_assertion_failed(!llvm.ptr)
// CHECK-LABEL: func @two
// CHECK-SAME: %[[A:[a-z0-9]+]]: i1, %[[B:[a-z0-9]+]]: i1
// CHECK: cf.cond_br %[[A]], ^[[OK:bb[0-9]+]], ^[[FAIL:bb[0-9]+]]
// CHECK: ^[[OK]]:
// CHECK: cf.cond_br %[[B]],
// CHECK: ^[[FAIL]]:
// CHECK-NEXT: %[[P:.*]] = llvm.mlir.addressof @[[M0:quant_ste_assertion.*]] : !llvm.ptr
// CHECK-NEXT: llvm.call @quant_ste_assertion_failed(%[[P]])
// CHECK-NEXT: llvm.unreachable
// CHECK: llvm.mlir.addressof @[[M1:quant_ste_assertion.*]] :
func.func @two(%a: i1, %b: i1) {
  cf.assert %a, "expected n > 0"
  cf.assert %b, "expected n > 1" loc(unknown)
  return
}
// CHECK: llvm.mlir.global internal constant @[[M0]]("{{.*}}lower-assertions.mlir:[[#@LINE-4]]:3: expected n > 0\00")
// CHECK: llvm.mlir.global internal constant @[[M1]]("expected n > 1\00")

// -----

func.func @parallel(%a: i1) {
  omp.parallel {
    // expected-error@+1 {{expected assertions outside of parallel loops: threads cannot leave one}}
    cf.assert %a, "expected n > 0"
    omp.terminator
  }
  return
}
