// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=differentiate | FileCheck %s --check-prefix=DIFF
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=linalg | FileCheck %s --check-prefix=LINALG
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=fuse | FileCheck %s --check-prefix=FUSE
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=bufferize | FileCheck %s --check-prefix=BUF
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=vectorize | FileCheck %s --check-prefix=VEC
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=llvm | FileCheck %s --check-prefix=LLVM
// RUN: qopt-opt %s --quant-ste-cpu-pipeline | FileCheck %s --check-prefix=LLVM
// RUN: not qopt-opt %s --quant-ste-cpu-pipeline=stop-after=lunch 2>&1 | FileCheck %s --check-prefix=BAD

// BAD: expected a phase (differentiate, linalg, fuse, bufferize, vectorize, llvm), found 'lunch'

// DIFF: quant_ste.pact
// DIFF: call @quantize

// LINALG-LABEL: func.func @net
// LINALG-NOT: quant_ste
// LINALG-NOT: call @quantize
// LINALG: linalg.generic
// LINALG: math.roundeven

// FUSE-LABEL: func.func @net
// FUSE: linalg.generic

// BUF-LABEL: func.func @net
// BUF-SAME: memref<?xf32>
// BUF-SAME: attributes {llvm.emit_c_interface}
// BUF: memref.alloc
// BUF: linalg.generic

// VEC-LABEL: func.func @net
// VEC-NOT: linalg
// VEC: scf.for

// LLVM: llvm.func @net
// LLVM: llvm.func @_mlir_ciface_net
// LLVM-NOT: builtin.unrealized_conversion_cast
func.func private @quantize(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @net(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = func.call @quantize(%x, %a) : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
