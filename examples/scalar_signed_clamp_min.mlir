// A scale kept away from zero, on its own side of it.
func.func @forward(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = quant_ste.scalar_signed_clamp_min %x min(0.5) grad(ste)
    : tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// The gradient passes, also where x was raised.
func.func @gradient(%x: tensor<?x?xf32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %y, %dx
    = quant_ste.vjp @forward(%x) cotangents(%dy)
    wrt [0]
    : (tensor<?x?xf32>),
      (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %y, %dx
    : tensor<?x?xf32>, tensor<?x?xf32>
}
