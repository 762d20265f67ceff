// torch.fake_quantize_per_channel_affine on the channels of [N, C].
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>,
    %zero_point: tensor<?xf32>) -> tensor<?x?xf32> {
  %y = quant_ste.fake_quantize %x, %scale axes([1]), %zero_point axes([1])
    qmin(-128) qmax(127) scaling(reciprocal) zero_point(after)
    grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// dx where nothing was saturated; the parameters are fixed.
func.func @gradient(%x: tensor<?x?xf32>, %scale: tensor<?xf32>,
    %zero_point: tensor<?xf32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %y, %dx =
    quant_ste.vjp @forward(%x, %scale, %zero_point) cotangents(%dy) wrt [0]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %y, %dx : tensor<?x?xf32>, tensor<?x?xf32>
}
