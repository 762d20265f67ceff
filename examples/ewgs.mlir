// The discretizer of EWGS on [0, 1], with four levels.
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.ewgs %x
    levels(4) grad(ewgs(0.1))
    : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Cotangents are scaled up or down by their sign and the rounding error.
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %y, %dx = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>)
  return %y, %dx : tensor<?xf32>, tensor<?xf32>
}
