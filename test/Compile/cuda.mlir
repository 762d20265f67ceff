// Host code for a GPU: a stream as last parameter, the kernels as a constant.

// RUN: qopt-compile %s --target=cuda:sm_90 -o %t.ll --header=%t.h
// RUN: FileCheck %s --check-prefix=LL --input-file=%t.ll
// RUN: FileCheck %s --check-prefix=H --input-file=%t.h
// LL: @quant_ste_kernels_image = internal constant {{.*}}.version 7.8\0A.target sm_90
// LL-LABEL: define {{.*}}i32 @f(ptr{{.*}} %x, i64{{.*}} %x_size0, ptr{{.*}} %y, ptr{{.*}} %stream)
// LL: %[[OLD:.*]] = {{.*}}call ptr @quant_ste_cuda_enter(ptr %stream)
// LL: call void @f.cuda(
// LL: call i1 @quant_ste_cuda_leave(ptr %[[OLD]])
// H: Pointers are addresses in the memory of the GPU
// H: QUANT_STE_ERROR_DEVICE = 7
// H: int f(const float *x, int64_t x_size0, float *y, void *stream);

// RUN: not qopt-compile %s --target=cuda:sm_91 -o %t.so 2>&1 | FileCheck %s --check-prefix=CHIP
// CHIP: error: --target: expected a chip (sm_75, {{.*}}, sm_121), got 'sm_91'
// RUN: not qopt-compile %s --target=cuda --pipeline=ptx=12 -o %t.ptx 2>&1 | FileCheck %s --check-prefix=PTX
// PTX: error: expected a PTX version in 70..90 for 'sm_80', got 12
// RUN: not qopt-compile %s --target=cuda --strides -o %t.so 2>&1 | FileCheck %s --check-prefix=STRIDES
// STRIDES: error: --strides: expected a processor as target, got 'cuda': arrays on a GPU are row-major
// RUN: not qopt-compile %s --target=cuda -o %t.exe 2>&1 | FileCheck %s --check-prefix=SUFFIX
// SUFFIX: error: -o: expected a file that ends in .o, .so, .s, .ll, .ptx, .cubin or .fatbin, got '{{.*}}.exe'
// RUN: not qopt-compile %s --target=cpu -o %t.ptx 2>&1 | FileCheck %s --check-prefix=CPU
// CPU: error: -o: expected a file that ends in .o, .so, .s or .ll, got '{{.*}}.ptx'
// RUN: not qopt-compile %s --target=cuda --runtime=/nowhere/runtime.a -o %t.so 2>&1 | FileCheck %s --check-prefix=RUNTIME
// RUNTIME: error: expected the runtime of quant_ste at '/nowhere/runtime.a'; give its path by --runtime, or write an object

func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
