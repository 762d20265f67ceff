// Upstream folds a pair of casts away, and the quantizer with it; the op here is
// never folded. docs/bridges.md tells of this; so the bridge comes last.
//
// RUN: qopt-opt %s --canonicalize | FileCheck %s --check-prefix=OURS
// RUN: qopt-opt %s --convert-quant-ste-to-quant --canonicalize 2>/dev/null \
// RUN:   | FileCheck %s --check-prefix=UPSTREAM

// OURS: quant_ste.fake_quantize
// UPSTREAM: func @f(%[[X:.*]]: tensor<?xf32>)
// UPSTREAM-NEXT: return %[[X]]
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %y = quant_ste.fake_quantize %x, %s, %z qmin(-128) qmax(127) grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}
