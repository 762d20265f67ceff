// Code for other processors than this one, for several at once, and with lines.

// RUN: qopt-compile %s --target=aarch64 --pipeline=openmp=false -o %t.s
// RUN: FileCheck %s --check-prefix=NEON --input-file=%t.s
// NEON-LABEL: {{^}}f.generic:
// NEON-DAG: ldp q{{[0-9]+}}, q{{[0-9]+}}
// NEON-DAG: frintn v{{[0-9]+}}.4s
// NEON-LABEL: {{^}}f:
// NEON: bl f.generic
// RUN: qopt-compile %s --target=aarch64:neoverse-n1 -o %t.o
// RUN: llvm-readobj --file-headers %t.o | FileCheck %s --check-prefix=ELF
// ELF: Machine: EM_AARCH64

// One library for several processors; which one is found by cpuid when loaded.
// RUN: qopt-compile %s --target=x86_64:x86-64+x86-64-v3+x86-64-v4,avx512bf16 -o %t.levels.s
// RUN: FileCheck %s --check-prefix=LEVELS --input-file=%t.levels.s
// LEVELS-LABEL: "f_task.x86-64":
// LEVELS-NOT: ymm
// LEVELS-NOT: zmm
// LEVELS-LABEL: "f_task.x86-64-v3":
// LEVELS: vroundps {{.*}}ymm
// LEVELS-NOT: zmm
// LEVELS-LABEL: "f_task.x86-64-v4,avx512bf16":
// LEVELS: vrndscaleps {{.*}}zmm
// LEVELS-LABEL: {{^}}quant_ste.choose_level:
// LEVELS: cpuid
// LEVELS: xgetbv
// LEVELS: .section .init_array

// The entry itself runs on any processor.
// RUN: qopt-compile %s --target=x86_64:x86-64-v4 -o %t.ll
// RUN: FileCheck %s --check-prefix=LL --input-file=%t.ll
// LL: define internal void @f.x86-64-v4({{.*}} #[[LEVEL:[0-9]+]]
// LL: define {{.*}}i32 @f(ptr{{.*}} %x, i64{{.*}} %x_size0, ptr{{.*}} %y)
// LL: attributes #[[LEVEL]] = { {{.*}}"target-cpu"="x86-64-v4"

// Lines of this file, for gdb and perf.
// RUN: qopt-compile %s -g -o %t.lines.o
// RUN: llvm-dwarfdump --debug-line %t.lines.o | FileCheck %s --check-prefix=LINES
// LINES: name: "targets.mlir"
// LINES: 0x{{[0-9a-f]+}} [[@LINE+2]]
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
