// A scale as a power of two, for shifts in place of multiplications: the next
// one up.
func.func @forward(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = quant_ste.power_of_two %x rounding(ceil) grad(ste)
    : tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// Only the rounding is straight through: dx = dy * y / x.
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
