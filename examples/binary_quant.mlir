// One-bit weights: the sign of x times the scale of its column.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>) ->
    tensor<?x?xf32> {
  %y = quant_ste.binary_quant %x, %scale axes([1]) grad(ste)
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// dx is scaled too; a scale gets the gradients times the signs.
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
