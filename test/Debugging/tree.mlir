// One file per pass.
//
// RUN: rm -rf %t && qopt-opt %s --quant-ste-cpu-pipeline=stop-after=linalg \
// RUN:   --mlir-print-ir-after-all --mlir-print-ir-tree-dir=%t -o /dev/null
// RUN: FileCheck %s < %t/builtin_module_no-symbol-name/1_quant-ste-differentiate.mlir
// CHECK: quant_ste.pullback

// The graph of ops, for Graphviz.
//
// RUN: qopt-opt %s --view-op-graph -o /dev/null 2>&1 | FileCheck %s --check-prefix=GRAPH
// GRAPH: digraph G {
// GRAPH: quant_ste.round

// What a pass counted, and how long each took.
//
// RUN: qopt-opt %s --quant-ste-cpu-pipeline --mlir-pass-statistics --mlir-timing \
// RUN:   -o /dev/null 2>&1 | FileCheck %s --check-prefix=COUNTS
// COUNTS-DAG: Pass statistics report
// COUNTS-DAG: Execution time report
// COUNTS-DAG: QuantSTEVectorizePass

func.func private @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @df(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  %y, %dx = quant_ste.vjp @f(%x) cotangents(%t) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}
