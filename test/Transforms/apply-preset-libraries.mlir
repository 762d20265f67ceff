// RUN: qopt-opt %s --quant-ste-apply-preset="library=bitorch partial" 2>&1 \
// RUN:   | FileCheck %s --check-prefixes=CHECK,BITORCH
// RUN: qopt-opt %s --quant-ste-apply-preset="library=torch partial" 2>&1 \
// RUN:   | FileCheck %s --check-prefixes=CHECK,TORCH
// RUN: not qopt-opt %s --quant-ste-apply-preset=library=keras 2>&1 \
// RUN:   | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: expected library 'brevitas', 'bitorch' or 'torch', got 'keras'

// TORCH: remark: torch does not have this op
// BITORCH: remark: bitorch does not have this op
// TORCH: remark: torch does not have any element type but f32

// CHECK-LABEL: func @both
func.func @both(%x: tensor<?xf32>, %s: tensor<f32>, %d: tensor<f64>) {
  // BITORCH: quant_ste.binary_sign %{{.*}} nan_positive multiply_masks grad(approx_sign)
  // TORCH: quant_ste.binary_sign %{{.*}} grad(approx_sign)
  %0 = quant_ste.binary_sign %x grad(approx_sign) : tensor<?xf32>
  // BITORCH: quant_ste.fake_quantize {{.*}} scaling(divide) zero_point(after) grad(clipped)
  // TORCH: quant_ste.fake_quantize {{.*}} scaling(reciprocal) zero_point(after) multiply_masks grad(clipped)
  %1 = quant_ste.fake_quantize %x, %s, %s qmin(0) qmax(15) scaling(divide) grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  // BITORCH: quant_ste.pact {{.*}} multiply_masks grad(pact)
  // TORCH: quant_ste.pact {{.*}} bits(2) grad(pact)
  %2 = quant_ste.pact %x, %s bits(2) grad(pact) : tensor<?xf32>, tensor<f32>
  // TORCH: quant_ste.learnable_fake_quantize {{.*}} grad(unfused)
  %3 = quant_ste.learnable_fake_quantize %x, %s, %s qmin(0) qmax(15) grad_factor(1.0)
    grad(clipped) : tensor<?xf32>, tensor<f32>, tensor<f32>
  // CHECK: quant_ste.moving_average {{.*}} constant(1.000000e-01) weighted grad(detached)
  %4 = quant_ste.moving_average %d, %d constant(0.1) weighted grad(detached)
    : tensor<f64>, tensor<f64>
  return
}
