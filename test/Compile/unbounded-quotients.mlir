// Whatever may be divided, and 16-bit floats, whose conversions take as long: by the
// instruction.
// RUN: qopt-compile %s --target=cpu:x86-64-v4 -o %t.s && FileCheck %s --input-file=%t.s --implicit-check-not=fmadd

// CHECK: vdivps
func.func @any(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.lsq %x, %s qmin(-8) qmax(7) grad_scale(1.0) grad(lsq) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
// CHECK: vcvtph2ps
// CHECK: vdivps
func.func @narrow(%x: tensor<?xf16>, %a: tensor<f16>) -> tensor<?xf16> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf16>, tensor<f16>
  return %y : tensor<?xf16>
}
