// RUN: qopt-opt %s --split-input-file --verify-diagnostics --quant-ste-gpu-pipeline="chip=sm_90"

func.func @libm(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error@+1 {{expected math that a GPU has exact instructions for, got a function of a library}}
  %y = math.exp %x : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @element(%x: tensor<4xf32>, %i: index) -> f32 {
  // expected-error@+1 {{expected tensors to be read and written by kernels only, got an access to one element from the host}}
  %y = tensor.extract %x[%i] : tensor<4xf32>
  return %y : f32
}

// -----

func.func @table(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@+1 {{expected constants of one value, got a table}}
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %y = arith.addf %x, %c : tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

// expected-error@+1 {{expected tensors of known rank, got 'memref<*xf32>'}}
func.func @unranked(%x: tensor<*xf32>) -> tensor<*xf32> {
  return %x : tensor<*xf32>
}
