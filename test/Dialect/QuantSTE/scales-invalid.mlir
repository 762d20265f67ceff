// RUN: qopt-opt %s --split-input-file --verify-diagnostics

func.func @constant(%a: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.moving_average' op expected a constant in [0, 1], got 1.5}}
  %0 = quant_ste.moving_average %a, %a constant(1.5) grad(detached) : tensor<f32>, tensor<f32>
  return
}

// -----

func.func @word(%a: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.moving_average' op expected gradient rule 'detached', got 'ste'}}
  %0 = quant_ste.moving_average %a, %a constant(0.5) grad(ste) : tensor<f32>, tensor<f32>
  return
}

// -----

func.func @one_integer(%a: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.choose_qparams_scale' op expected qmin < qmax, got 7 and 7}}
  %0 = quant_ste.choose_qparams_scale %a, %a qmin(7) qmax(7) grad(detached) : tensor<f32>, tensor<f32>
  return
}

// -----

func.func @zero_point_axes(%a: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.choose_qparams_zero_point' op expected 'max' to be one value for the whole tensor, as it has no axes([...]), got 'tensor<4xf32>'}}
  %0 = quant_ste.choose_qparams_zero_point %a, %a qmin(0) qmax(15) grad(detached) : tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @percentile_q(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.percentile' op expected q in [0, 100], got 1.001000e+02}}
  %0 = quant_ste.percentile %x q(100.1) grad(detached) : tensor<4xf32> -> tensor<f32>
  return
}

// -----

func.func @percentile_type(%x: tensor<4x5xf32>) {
  // expected-error@+1 {{'quant_ste.percentile' op expected a result of type 'tensor<5xf32>', the data's dimensions listed in axes, got 'tensor<4xf32>'}}
  %0 = quant_ste.percentile %x axes([1]) q(50.0) grad(detached) : tensor<4x5xf32> -> tensor<4xf32>
  return
}

// -----

func.func @percentile_word(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.percentile' op expected gradient rule 'detached', got 'first'}}
  %0 = quant_ste.percentile %x q(50.0) grad(first) : tensor<4xf32> -> tensor<f32>
  return
}

// -----

func.func @mse_start(%x: tensor<4x5xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.mse_scale' op expected 'start' of the result's type, 'tensor<4xf32>', got 'tensor<f32>'}}
  %0 = quant_ste.mse_scale %x, %s axes([0]) qmin(-8) qmax(7) candidates(20) grad(detached) : tensor<4x5xf32>, tensor<f32> -> tensor<4xf32>
  return
}

// -----

func.func @mse_candidates(%x: tensor<4x5xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.mse_scale' op expected 2 candidates or more, got 1}}
  %0 = quant_ste.mse_scale %x, %s qmin(-8) qmax(7) candidates(1) grad(detached) : tensor<4x5xf32>, tensor<f32> -> tensor<f32>
  return
}

// -----

func.func @mse_bounds(%x: tensor<4x5xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.mse_scale' op expected qmin <= qmax, got 7 and -8}}
  %0 = quant_ste.mse_scale %x, %s qmin(7) qmax(-8) candidates(9) grad(detached) : tensor<4x5xf32>, tensor<f32> -> tensor<f32>
  return
}
