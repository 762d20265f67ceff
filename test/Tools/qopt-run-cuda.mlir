// RUN: env QUANT_STE_LIBCUDA=/nowhere/libcuda.so not qopt-run %s --target=cuda:sm_90 --input=2xf32=1,2 2>&1 | FileCheck %s
// RUN: not qopt-run %s --target=cuda:sm_1 --input=2xf32=1,2 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not qopt-run %s --target=opencl --input=2xf32=1,2 2>&1 | FileCheck %s --check-prefix=TARGET
// CHECK: there is no CUDA driver on this machine: /nowhere/libcuda.so: cannot open shared object file
// CHIP: expected a chip (sm_75, {{.*}}), got 'sm_1'
// TARGET: expected a target (cpu, cuda, cuda:<chip>), got 'opencl'
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
