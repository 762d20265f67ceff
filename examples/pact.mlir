// PACT activations with one learned bound per channel: x is clipped to
// [0, alpha] and rounded to 16 levels.
func.func @forward(%x: tensor<?x?xf32>, %alpha: tensor<?xf32>)
    -> tensor<?x?xf32> {
  %y = quant_ste.pact %x, %alpha axes([1]) bits(4) grad(pact)
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// dx on [0, alpha], dalpha on x >= alpha, summed per channel.
func.func @gradient(%x: tensor<?x?xf32>, %alpha: tensor<?xf32>,
    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>) {
  %y, %dx, %dalpha = quant_ste.vjp @forward(%x, %alpha) cotangents(%dy)
    wrt [0, 1]
    : (tensor<?x?xf32>, tensor<?xf32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>)
  return %y, %dx, %dalpha : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>
}
