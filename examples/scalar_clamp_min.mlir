// Clamp from below by a constant, straight through: dx = dy everywhere.
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.scalar_clamp_min %x min(1.0e-3) grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// y and, given the cotangent dy of y, the gradient dx.
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %y, %dx = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %y, %dx : tensor<?xf32>, tensor<?xf32>
}
