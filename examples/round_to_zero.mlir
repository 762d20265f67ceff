// Round toward zero, straight through: dx = dy.
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round_to_zero %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// y and, given the cotangent dy of y, the gradient dx.
func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %y, %dx = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %y, %dx : tensor<?xf32>, tensor<?xf32>
}
