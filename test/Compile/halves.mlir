// Rounding to bf16 and f16 by the instructions that processors have for it, and
// their results past the caches.

// RUN: qopt-compile %s --target=x86_64:znver4 --pipeline=openmp=false -o %t.znver4.s
// RUN: FileCheck %s --check-prefix=BF16 --input-file=%t.znver4.s
// RUN: FileCheck %s --check-prefix=TAIL --input-file=%t.znver4.s
// RUN: FileCheck %s --check-prefixes=F16,V4 --input-file=%t.znver4.s
// RUN: qopt-compile %s --target=x86_64:x86-64-v4 --pipeline=openmp=false -o %t.v4.s
// RUN: FileCheck %s --check-prefix=INTEGER --input-file=%t.v4.s --implicit-check-not=vcvtne
// RUN: FileCheck %s --check-prefixes=F16,V4 --input-file=%t.v4.s
// RUN: qopt-compile %s --target=x86_64:x86-64-v3 --pipeline=openmp=false -o %t.v3.s
// RUN: FileCheck %s --check-prefixes=F16,V3 --input-file=%t.v3.s

// Where there are none, on integers: no element costs a call.
// RUN: qopt-compile %s --target=x86_64:x86-64-v2 --pipeline=openmp=false -o %t.v2.s
// RUN: FileCheck %s --check-prefix=LANES --input-file=%t.v2.s \
// RUN:     --implicit-check-not='call{{.*(extend|trunc|round)}}'
// RUN: qopt-compile %s --target=x86_64:x86-64 --pipeline=openmp=false -o %t.v1.s
// RUN: FileCheck %s --check-prefix=LANES --input-file=%t.v1.s \
// RUN:     --implicit-check-not='call{{.*(extend|trunc|round)}}'

// Denormals and NaN are looked for first: the instruction has its own view of
// them.
// Neighbours share 32 bits: a shift and a mask widen them.
// BF16-LABEL: {{^"?}}bf16.{{.*}}:
// BF16: vpslld $16, %zmm
// BF16: vpandq %zmm
// BF16: vfpclassps $161, %zmm
// BF16: jne
// BF16: vcvtne2ps2bf16 %zmm
// BF16: vpermw %zmm
// TAIL: vcvtneps2bf16 %zmm
// INTEGER-LABEL: {{^"?}}bf16.{{.*}}:
// INTEGER: vpsrld $16, %zmm
// INTEGER: vmovntdq %zmm
func.func @bf16(%x: tensor<?xbf16>, %a: tensor<f32>) -> tensor<?xbf16> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xbf16>, tensor<f32>
  return %y : tensor<?xbf16>
}

// F16-LABEL: {{^"?}}f16.{{.*}}:
// V4-DAG: vmovnt{{dq|ps}} %zmm
// V4-DAG: vcvtps2ph $0, %zmm
// V3-DAG: vcvtps2ph $0, %ymm
// V3-DAG: vmovnt{{dq|ps}} %ymm
func.func @f16(%x: tensor<?xf16>, %a: tensor<f32>) -> tensor<?xf16> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf16>, tensor<f32>
  return %y : tensor<?xf16>
}

// The sum is made of f32. The gradient is the cotangent or zero, which needs no
// rounding.
// F16-LABEL: {{^"?}}f16_backward.{{.*}}:
// V4: vcvtph2ps {{.*}}%zmm
// V3: vcvtph2ps {{.*}}%ymm
// F16-NOT: vcvtps2ph
// F16-LABEL: {{^"?}}bf16_backward.{{.*}}:
// BF16-LABEL: {{^"?}}bf16_backward.{{.*}}:
// BF16-NOT: vcvtne
// BF16: vpord %zmm
// BF16-NOT: vcvtne
// BF16-LABEL: {{^"?}}absmax{{.*}}:
// LANES-LABEL: {{^"?}}f16_backward.{{.*}}:
// LANES: cvtdq2ps
func.func @f16_backward(%x: tensor<?xf16>, %a: tensor<f32>, %dy: tensor<?xf16>) -> (tensor<?xf16>, tensor<f32>) {
  %y, %dx, %da = quant_ste.vjp @f16(%x, %a) cotangents(%dy) wrt [0, 1]
      : (tensor<?xf16>, tensor<f32>), (tensor<?xf16>) -> (tensor<?xf16>, tensor<?xf16>, tensor<f32>)
  return %dx, %da : tensor<?xf16>, tensor<f32>
}

func.func @bf16_backward(%x: tensor<?xbf16>, %a: tensor<f32>, %dy: tensor<?xbf16>) -> (tensor<?xbf16>, tensor<f32>) {
  %y, %dx, %da = quant_ste.vjp @bf16(%x, %a) cotangents(%dy) wrt [0, 1]
      : (tensor<?xbf16>, tensor<f32>), (tensor<?xbf16>) -> (tensor<?xbf16>, tensor<?xbf16>, tensor<f32>)
  return %dx, %da : tensor<?xbf16>, tensor<f32>
}

// An extremum is found without a call, too.
// LANES-LABEL: absmax{{.*}}:
func.func @absmax(%x: tensor<?x32xbf16>, %e: tensor<?xbf16>) -> tensor<?xbf16> {
  %abs = math.absf %x : tensor<?x32xbf16>
  %max = linalg.reduce { arith.maximumf } ins(%abs : tensor<?x32xbf16>) outs(%e : tensor<?xbf16>) dimensions = [1]
  return %max : tensor<?xbf16>
}
