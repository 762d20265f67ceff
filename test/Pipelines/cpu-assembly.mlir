// What the processor runs: whole vectors and masked tails, one rounding for each
// operation, and no call in a loop.

// RUN: qopt-opt %s --quant-ste-cpu-pipeline=openmp=false | mlir-translate --mlir-to-llvmir -o %t.ll

// RUN: opt -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -S %t.ll \
// RUN:   | llc -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 \
// RUN:   | FileCheck %s --check-prefix=V4 --implicit-check-not='{{v?fn?m(add|sub)}}' \
// RUN:     --implicit-check-not='call{{.*(round|floor|exp|trunc|extend|memcpy)}}' \
// RUN:     --implicit-check-not='{{rndscaless|roundss}}'
// RUN: opt -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -S %t.ll \
// RUN:   | llc -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 \
// RUN:   | FileCheck %s --check-prefix=V3 --implicit-check-not='{{v?fn?m(add|sub)}}' \
// RUN:     --implicit-check-not='call{{.*(round|floor|exp|trunc|extend|memcpy)}}' \
// RUN:     --implicit-check-not='{{rndscaless|roundss}}'
// RUN: opt -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v2 -S %t.ll \
// RUN:   | llc -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v2 \
// RUN:   | FileCheck %s --check-prefix=V2 \
// RUN:     --implicit-check-not='call{{.*(round|floor|exp|trunc|extend|memcpy)}}'
// RUN: opt -O2 -mtriple=aarch64-linux-gnu -S %t.ll \
// RUN:   | llc -O2 -mtriple=aarch64-linux-gnu \
// RUN:   | FileCheck %s --check-prefix=NEON --implicit-check-not=fmla \
// RUN:     --implicit-check-not='bl{{.*(round|floor|exp|trunc|extend|memcpy)}}'

func.func private @q(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// The masked tail comes in one vector of 16.
// V4-LABEL: {{^}}backward:
// V4: vdivss
// V4: vrndscaleps $8, %zmm
// V4: vmovntps %zmm
// V4: vmovups {{.*}}{%k{{[0-7]}}} {z}
// V4: vrndscaleps $8, %zmm
// V4: {{mfence|lock}}
// V3-LABEL: {{^}}backward:
// V3: vroundps $8, %ymm
// V3: vmovntps %ymm
// V3: vmaskmovps
// V2-LABEL: {{^}}backward:
// V2: roundps $8, %xmm
// V2: movntps %xmm
// NEON-LABEL: {{^}}backward:
// NEON: frintn v{{[0-9]+}}.4s
func.func @backward(%x: tensor<?xf32>, %a: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @q(%x, %a) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2 : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}

// Elementary functions run in vectors of doubles.
// V4-LABEL: {{^}}elementary:
// V4: vrndscalepd $8, %zmm
// V3-LABEL: {{^}}elementary:
// V3: vroundpd $8, %ymm
// V2-LABEL: {{^}}elementary:
// V2: roundpd $8, %xmm
// NEON-LABEL: {{^}}elementary:
// NEON: frintn v{{[0-9]+}}.2d
func.func @elementary(%x: tensor<?xbf16>) -> tensor<?xbf16> {
  %y = math.exp %x : tensor<?xbf16>
  return %y : tensor<?xbf16>
}
