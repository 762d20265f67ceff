// A clamped whole number is divided by a reciprocal and its correction, with the
// bits of the division, where the processor has fused multiply-adds.
// RUN: qopt-compile %s --target=cpu:x86-64-v4 -o %t.s && FileCheck %s --check-prefixes=FMA --input-file=%t.s
// RUN: qopt-compile %s --target=cpu:x86-64-v3 -o %t.s && FileCheck %s --check-prefixes=FMA --input-file=%t.s
// RUN: qopt-compile %s --target=cpu:x86-64-v2 -o %t.s && FileCheck %s --check-prefix=NONE --input-file=%t.s \
// RUN:   --implicit-check-not=fmadd --implicit-check-not=fmaf

// FMA: vdivss
// FMA: {{vround|vrndscale}}ps
// FMA: vf{{n?}}madd{{[0-9]+}}ps
// NONE: divps
func.func @f(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
