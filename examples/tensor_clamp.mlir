// Clamp to bounds given as values: here one lower bound per row and one upper
// bound for all. grad(exact): x gets the gradient where nothing clips, a bound
// where it clips; the sums run over what a bound was broadcast along.
func.func @forward(%x: tensor<?x?xf32>, %min: tensor<?xf32>, %max: tensor<f32>)
    -> tensor<?x?xf32> {
  %y = quant_ste.tensor_clamp %x, %min axes([0]), %max grad(exact)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>
  return %y : tensor<?x?xf32>
}

func.func @gradient(%x: tensor<?x?xf32>, %min: tensor<?xf32>, %max: tensor<f32>,
    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>) {
  %y, %dx, %dmin, %dmax = quant_ste.vjp @forward(%x, %min, %max)
    cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<f32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>)
  return %y, %dx, %dmin, %dmax
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>
}
