// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 stop-after=bufferize" | FileCheck %s --check-prefix=BUFFER
// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 stop-after=kernels" | FileCheck %s --check-prefix=KERNELS
// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 stop-after=nvvm" | FileCheck %s --check-prefix=NVVM
// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 stop-after=binary" | FileCheck %s --check-prefix=BINARY
// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90" | FileCheck %s --check-prefix=LLVM
// RUN: not qopt-opt %s --quant-ste-gpu-pipeline="stop-after=ptx" 2>&1 | FileCheck %s --check-prefix=PHASE
// RUN: not qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_70" 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 ptx=60" 2>&1 | FileCheck %s --check-prefix=PTX
// RUN: not qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 ptx=200" 2>&1 | FileCheck %s --check-prefix=NEWER

// PHASE: expected a phase (differentiate, linalg, fuse, bufferize, kernels, nvvm, binary, llvm), found 'ptx'
// CHIP: expected a chip (sm_75, {{.*}}, sm_121), got 'sm_70'
// PTX: expected a PTX version in 78..90 for 'sm_90', got 60
// NEWER: expected a PTX version in 78..90 for 'sm_90', got 200

// BUFFER: linalg.generic
// BUFFER-NOT: gpu.

// KERNELS-LABEL: func.func @f
// KERNELS-NOT: linalg
// KERNELS: %[[ALIGNED:.*]] = arith.cmpi eq
// KERNELS: scf.if %[[ALIGNED]]
// KERNELS: gpu.launch_func @quant_ste_kernels::@f_aligned blocks in (%[[BLOCKS:.*]], %c1, %c1) threads in (%c256, %c1, %c1)
// KERNELS: else
// KERNELS: gpu.launch_func @quant_ste_kernels::@f_any blocks in (%[[BLOCKS]], %c1, %c1)
// KERNELS: gpu.func @f_any(%{{.*}}: index, %{{.*}}: memref<f32> {llvm.noalias, llvm.readonly}
// KERNELS-SAME: nvvm.minctasm
// KERNELS: scf.for %{{.*}} = %block_id_x to %{{.*}} step
// KERNELS-COUNT-4: vector.load %{{.*}} : memref<?xf32, strided<[1]>>, vector<4xf32>
// KERNELS: vector.maskedload
// KERNELS: gpu.func @f_aligned
// KERNELS-COUNT-4: vector.load %{{.*}} {alignment = 16 : i64}

// NVVM: llvm.func @f_aligned(%{{.*}}: i64, %{{.*}}: !llvm.ptr {llvm.noalias, llvm.readonly}
// NVVM-NOT: __nv
// NVVM: llvm.call_intrinsic "llvm.roundeven"

// BINARY-LABEL: func.func @f
// BINARY: gpu.binary @quant_ste_kernels [#gpu.object<#nvvm.target<O = 3, chip = "sm_90">, assembly = "

// LLVM: llvm.mlir.global internal constant @quant_ste_kernels_image(
// LLVM: llvm.func @f(
// LLVM: llvm.call @quant_ste_cuda_malloc
// LLVM: llvm.call @quant_ste_cuda_launch(
// LLVM-NOT: @malloc
func.func @f(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
