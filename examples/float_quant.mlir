// Weights as OCP FP8 (e4m3), with one scale per column; 448 is the largest
// number. Above it, saturate.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>) ->
    tensor<?x?xf32> {
  %y = quant_ste.float_quant %x, %scale axes([1]) format(e4m3_ocp) signed
    saturating grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// dx = dy in range; a scale gets the rounding errors in range, and the clipped
// value where clipped.
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
