// Compiled code is kept on disk, and a damaged entry is made again.

// RUN: rm -rf %t.cache
// RUN: env QUANT_STE_CACHE_DIR=%t.cache qopt-run %s --function=f --cache --time --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,MISS
// RUN: env QUANT_STE_CACHE_DIR=%t.cache qopt-run %s --function=f --cache --time --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,HIT
// Other options, other code.
// RUN: env QUANT_STE_CACHE_DIR=%t.cache qopt-run %s --function=f --cache --time -O1 --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,MISS
// RUN: bash -c 'for f in %t.cache/llvmcache-*; do printf x | dd of=$f bs=1 seek=3000 conv=notrunc; done' 2> %t.dd
// RUN: env QUANT_STE_CACHE_DIR=%t.cache qopt-run %s --function=f --cache --time --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,MISS
// RUN: env QUANT_STE_CACHE_DIR=%t.cache qopt-run %s --function=f --cache --time --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,HIT
// RUN: bash -c 'for f in %t.cache/llvmcache-*; do : > $f; done'
// RUN: env QUANT_STE_CACHE_DIR=%t.cache qopt-run %s --function=f --cache --time --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,MISS
// The arguments are checked as ever.
// RUN: env QUANT_STE_CACHE_DIR=%t.cache not qopt-run %s --function=f --cache --input=2x2xf32 2>&1 | FileCheck %s --check-prefix=ARGUMENT
// A directory that cannot be written is as good as none.
// RUN: env QUANT_STE_CACHE_DIR=/dev/null/nowhere qopt-run %s --function=f --cache --time --input=3xf32=0.4,1.6,2.5 2>&1 | FileCheck %s --check-prefixes=CHECK,MISS

// CHECK-DAG: result[0]: 3xf32=0 2 2
// MISS-DAG: compile {{[0-9.]+}} ms, run
// HIT-DAG: compile {{[0-9.]+}} ms (from the cache), run
// ARGUMENT: error: argument #0 of @f: expected ?xf32, got 2x2xf32
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Many processes at once: one entry, and the right result in each.
// RUN: rm -rf %t.cache
// RUN: bash -c 'export QUANT_STE_CACHE_DIR=%t.cache; for i in 1 2 3 4; do qopt-run %s --function=f --cache --input=3xf32=0.4,1.6,2.5 & done; wait' | FileCheck %s --check-prefix=MANY
// MANY-COUNT-4: result[0]: 3xf32=0 2 2
// RUN: ls %t.cache | FileCheck %s --check-prefix=ONE
// ONE: llvmcache-{{[0-9a-f]+$}}
// ONE-NOT: llvmcache-
