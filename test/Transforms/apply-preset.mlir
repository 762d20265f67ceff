// RUN: qopt-opt %s --quant-ste-apply-preset=library=brevitas --split-input-file \
// RUN:   --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @narrow
func.func @narrow(%x: tensor<?xf16>, %s: tensor<f16>, %m: tensor<f16>) -> tensor<?xf16> {
  // CHECK: quant_ste.int_quant {{.*}} signed rounding(round) stepwise grad(unfused)
  %0 = quant_ste.int_quant %x, %s, %s, %s signed grad(clipped)
    : tensor<?xf16>, tensor<f16>, tensor<f16>, tensor<f16>
  // CHECK: quant_ste.round {{.*}} stepwise grad(ste)
  %1 = quant_ste.round %0 grad(ste) : tensor<?xf16>
  // CHECK: quant_ste.moving_average {{.*}} constant(1.000000e-01) weighted stepwise grad(detached)
  %2 = quant_ste.moving_average %s, %m constant(0.1) grad(detached) : tensor<f16>, tensor<f16>
  return %1 : tensor<?xf16>
}

// -----

// Nothing is rounded to a type that is computed in. Words that the library does
// not have are taken away.
// CHECK-LABEL: func @wide
func.func @wide(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32> {
  // CHECK: quant_ste.tensor_clamp %{{.*}}, %{{.*}}, %{{.*}} grad(exact)
  %0 = quant_ste.tensor_clamp %x, %s, %s stepwise multiply_masks grad(exact)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  // CHECK: quant_ste.ternary_quant {{.*}} multiply_masks grad(ste)
  %1 = quant_ste.ternary_quant %0, %s threshold(0.5) grad(ste) : tensor<?xf32>, tensor<f32>
  // CHECK: quant_ste.mx_scale {{.*}} element(int8) brevitas grad(ste)
  // expected-remark@+1 {{brevitas may differ in the last bits: it computes this with other elementary functions or in another order}}
  %2 = quant_ste.mx_scale %s element(int8) grad(ste) : tensor<f32>
  // A rule of one's own says its arithmetic itself.
  // CHECK: quant_ste.custom
  %3 = quant_ste.custom %1 : tensor<?xf32>
  forward(%a: f32) {
    quant_ste.yield %a : f32
  } partials(%a: f32, %r: f32) {
    %one = arith.constant 1.0 : f32
    quant_ste.yield %one : f32
  }
  return %3 : tensor<?xf32>
}

// -----

func.func @absent(%x: tensor<?xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{brevitas does not have this op}}
  %0 = quant_ste.lsq %x, %s qmin(-8) qmax(7) grad_scale(1.0) grad(lsq) : tensor<?xf32>, tensor<f32>
  // expected-error@+1 {{brevitas does not have gradient rule 'window', it has 'ste'}}
  %1 = quant_ste.round %x grad(window(-1.0, 1.0)) : tensor<?xf32>
  // expected-error@+1 {{brevitas does not have gradient rule 'ste', it has 'clipped' and 'unfused'}}
  %2 = quant_ste.int_quant %x, %s, %s, %s signed grad(ste)
    : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  // expected-error@+1 {{brevitas does not have 'nan_positive', which is bitorch's}}
  %3 = quant_ste.binary_sign %x nan_positive grad(ste) : tensor<?xf32>
  return
}

// -----

func.func @mixed(%x: tensor<?xf16>, %s: tensor<f32>) {
  // expected-error@+1 {{brevitas does not have parameters wider than its data: 'stepwise' rounds them}}
  %0 = quant_ste.binary_quant %x, %s grad(ste) : tensor<?xf16>, tensor<f32>
  return
}
