// The code rounds to nearest and keeps denormals, whatever the caller has set,
// and leaves that as it was.

// REQUIRES: x86_64-host
// RUN: rm -rf %t && mkdir %t
// RUN: qopt-compile %s --pipeline=openmp=false -o %t/float-state.o
// RUN: %cc %S/Inputs/float-state.c -O0 -Wall -Werror -I%t %t/float-state.o -lm -o %t/main
// RUN: %t/main | FileCheck %s
// CHECK: 0 1 1 1
func.func @divide(%x: tensor<f32>, %y: tensor<f32>) -> tensor<f32> {
  %z = arith.divf %x, %y : tensor<f32>
  return %z : tensor<f32>
}

// RUN: qopt-compile %s --target=aarch64 -o %t/float-state.s
// RUN: FileCheck %s --check-prefix=AARCH64 --input-file=%t/float-state.s
// AARCH64-LABEL: {{^}}divide:
// AARCH64: mrs [[SAVED:x[0-9]+]], FPCR
// AARCH64: msr FPCR, xzr
// AARCH64: bl
// AARCH64: msr FPCR, [[SAVED]]
