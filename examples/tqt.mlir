// TQT weights of 4 bits: the learned logarithm of the threshold is rounded up,
// so that the scale is a power of two.
func.func @forward(%x: tensor<?xf32>, %log2_threshold: tensor<f32>)
    -> tensor<?xf32> {
  %y = quant_ste.tqt %x, %log2_threshold
    bits(4) signed grad(tqt)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// The ceil passes the gradient of the logarithm.
func.func @gradient(%x: tensor<?xf32>, %log2_threshold: tensor<f32>,
    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %y, %dx, %dlog2_threshold =
    quant_ste.vjp @forward(%x, %log2_threshold) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %y, %dx, %dlog2_threshold : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
