// The distribution's mlir-opt knows the dialect, its passes and its pipelines
// by the plugin.
//
// REQUIRES: plugin
// RUN: mlir-opt %s --load-dialect-plugin=%plugin | FileCheck %s --check-prefix=DIALECT
// RUN: mlir-opt %s --load-dialect-plugin=%plugin --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline="builtin.module(quant-ste-differentiate,convert-quant-ste-to-linalg)" \
// RUN:   | FileCheck %s --check-prefix=PASSES
// RUN: mlir-opt %s --load-dialect-plugin=%plugin --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline="builtin.module(quant-ste-cpu-pipeline)" \
// RUN:   | FileCheck %s --check-prefix=PIPELINE
// RUN: not mlir-opt %s --load-dialect-plugin=%plugin 2>&1 --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline="builtin.module(quant-ste-cpu-pipeline{stop-after=later})" \
// RUN:   | FileCheck %s --check-prefix=OPTION

// DIALECT: quant_ste.vjp @f

// PASSES: func private @f_vjp
// PASSES: linalg.generic
// PASSES: func @df
// PASSES-NEXT: call @f_vjp

// PIPELINE: llvm.func @df
// PIPELINE-NOT: quant_ste.

// OPTION: expected a phase (differentiate, linalg, fuse, bufferize, vectorize, llvm), found 'later'

func.func private @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @df(%x: tensor<?xf32>, %dy: tensor<?xf32>) -> tensor<?xf32> {
  %y, %dx = quant_ste.vjp @f(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}
