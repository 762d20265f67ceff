// One-bit activations: x is clamped to the scale of its column, then only its
// sign counts.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>) ->
    tensor<?x?xf32> {
  %y = quant_ste.clamped_binary_quant %x, %scale axes([1]) grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// Clipped elements get no dx, but move the bound, and with it the scale.
func.func @gradient(%x: tensor<?x?xf32>, %scale: tensor<?xf32>,
    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>) {
  %y, %dx, %dscale
    = quant_ste.vjp @forward(%x, %scale) cotangents(%dy)
    wrt [0, 1]
    : (tensor<?x?xf32>, tensor<?xf32>),
      (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>)
  return %y, %dx, %dscale
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>
}
