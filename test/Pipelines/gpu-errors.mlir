// RUN: qopt-opt %s --split-input-file --verify-diagnostics --quant-ste-gpu-pipeline="chip=sm_90"

func.func @libm(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error@+1 {{expected math that a GPU has exact instructions or the dialect a polynomial for, got 'math.sin', a function of a library}}
  %y = math.sin %x : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// expected-error@+1 {{expected tensors of known rank, got 'memref<*xf32>'}}
func.func @unranked(%x: tensor<*xf32>) -> tensor<*xf32> {
  return %x : tensor<*xf32>
}
