// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --mlir-print-op-generic | qopt-opt | FileCheck %s

// CHECK-LABEL: func @scales
func.func @scales(%x: tensor<4x?xf32>, %a: tensor<4xf32>, %b: tensor<4xf32>,
                  %s: f32) {
  // CHECK: quant_ste.moving_average %{{.*}}, %{{.*}} axes([0]) constant(1.000000e-02) grad(detached) : tensor<4xf32>, tensor<4xf32>
  %0 = quant_ste.moving_average %a, %b axes([0]) constant(0.01) grad(detached)
    : tensor<4xf32>, tensor<4xf32>
  // CHECK: quant_ste.moving_average %{{.*}}, %{{.*}} constant(1.000000e-01) weighted grad(detached) : f32, f32
  %1 = quant_ste.moving_average %s, %s constant(0.1) weighted grad(detached) : f32, f32
  // CHECK: quant_ste.choose_qparams_scale %{{.*}}, %{{.*}} axes([0]) qmin(-8) qmax(7) symmetric grad(detached) : tensor<4xf32>, tensor<4xf32>
  %2 = quant_ste.choose_qparams_scale %a, %b axes([0]) qmin(-8) qmax(7) symmetric
    grad(detached) : tensor<4xf32>, tensor<4xf32>
  // CHECK: quant_ste.choose_qparams_zero_point %{{.*}}, %{{.*}} qmin(0) qmax(255) observer grad(detached) : f32, f32
  %3 = quant_ste.choose_qparams_zero_point %s, %s qmin(0) qmax(255) observer
    grad(detached) : f32, f32
  // CHECK: quant_ste.exp2 %{{.*}} grad(exact) : tensor<4xf32>
  %4 = quant_ste.exp2 %a grad(exact) : tensor<4xf32>
  // CHECK: quant_ste.softplus %{{.*}} grad(exact) : f32
  %5 = quant_ste.softplus %s grad(exact) : f32
  // CHECK: quant_ste.percentile %{{.*}} axes([0]) of_magnitudes q(9.990000e+01) rank(nearest) grad(detached) : tensor<4x?xf32> -> tensor<4xf32>
  %6 = quant_ste.percentile %x axes([0]) of_magnitudes q(99.9) grad(detached)
    : tensor<4x?xf32> -> tensor<4xf32>
  // CHECK: quant_ste.percentile %{{.*}} q(5.000000e+00) rank(ceil) grad(detached) : tensor<4x?xf32> -> tensor<f32>
  %7 = quant_ste.percentile %x q(5.0) rank(ceil) grad(detached)
    : tensor<4x?xf32> -> tensor<f32>
  // CHECK: quant_ste.mse_scale %{{.*}}, %{{.*}} axes([0]) qmin(-8) qmax(7) candidates(20) grad(detached) : tensor<4x?xf32>, tensor<4xf32> -> tensor<4xf32>
  %8 = quant_ste.mse_scale %x, %a axes([0]) qmin(-8) qmax(7) candidates(20)
    grad(detached) : tensor<4x?xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}
