// Two-bit weights: elements within half a scale of zero become zero.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>) ->
    tensor<?x?xf32> {
  %y = quant_ste.ternary_quant %x, %scale axes([1]) threshold(0.5) grad(ste)
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// Only elements that are not zeroed get and give a gradient.
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
