// Other numbers than those of the table of chips.

// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 unroll=2 min-blocks=7 max-blocks=99 stop-after=kernels" | FileCheck %s
// CHECK: arith.constant 99 : index
// CHECK: nvvm.minctasm = 7 : i32
// RUN: not qopt-opt %s --quant-ste-gpu-pipeline="unroll=99" 2>&1 | FileCheck %s --check-prefix=UNROLL
// UNROLL: error: expected unroll and min-blocks of at most 32, got 99 and 0
// RUN: not qopt-opt %s --quant-ste-gpu-pipeline="max-blocks=-1" 2>&1 | FileCheck %s --check-prefix=BLOCKS
// BLOCKS: error: expected max-blocks in 0..2147483647, got -1
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
