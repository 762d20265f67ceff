// Rows of 49 with a scale each: vectors of one row, then one of two rows, whose
// lanes are chosen by a mask; both are stored past the caches.

// RUN: qopt-compile %s --target=x86_64:x86-64-v4 --pipeline=openmp=false -o %t.v4.s
// RUN: FileCheck %s --check-prefix=V4 --input-file=%t.v4.s
// RUN: qopt-compile %s --target=x86_64:x86-64-v3 --pipeline=openmp=false -o %t.v3.s
// RUN: FileCheck %s --check-prefix=V3 --input-file=%t.v3.s
// RUN: qopt-compile %s --target=x86_64:x86-64-v2 --pipeline=openmp=false -o %t.v2.s
// RUN: FileCheck %s --check-prefix=V2 --input-file=%t.v2.s
// RUN: qopt-compile %s --target=aarch64 --pipeline=openmp=false -o %t.neon.s
// RUN: FileCheck %s --check-prefix=NEON --input-file=%t.neon.s

// V4-LABEL: {{^"?}}rows.{{.*}}:
// V4-DAG: vbroadcastss {{.*}}%zmm{{[0-9]+}} {%k{{[1-7]}}}
// V4-DAG: vmovntps %zmm
// V3-LABEL: {{^"?}}rows.{{.*}}:
// V3-DAG: vblendvps %ymm
// V3-DAG: vmovntps %ymm
// V2-LABEL: {{^"?}}rows.{{.*}}:
// V2: divps
// V2: movntps %xmm
// NEON-LABEL: {{^"?}}rows{{.*}}:
// NEON-DAG: fdiv v{{[0-9]+}}.4s
// NEON-DAG: {{bsl|bif|bit}} v
func.func @rows(%x: tensor<256x2048x49xf32>, %s: tensor<2048xf32>, %z: tensor<f32>, %b: tensor<f32>)
    -> tensor<256x2048x49xf32> {
  %y = quant_ste.int_quant %x, %s axes([1]), %z, %b signed rounding(round) grad(clipped)
    : tensor<256x2048x49xf32>, tensor<2048xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<256x2048x49xf32>
}
