// Stochastic rounding: u says which way, one for each element.
func.func @forward(%x: tensor<?xf32>, %u: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.stochastic_round %x, %u axes([0])
    grad(ste)
    : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// dx = dy, whichever way x was rounded.
func.func @gradient(%x: tensor<?xf32>, %u: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %y, %dx = quant_ste.vjp @forward(%x, %u) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>)
  return %y, %dx : tensor<?xf32>, tensor<?xf32>
}
