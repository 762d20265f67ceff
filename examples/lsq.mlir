// LSQ weights of 4 bits with one learned step size per output. 0.2182 is
// 1 / sqrt(N qmax) for rows of N = 3 elements and qmax = 7.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>)
    -> tensor<?x?xf32> {
  %y = quant_ste.lsq %x, %scale axes([0])
    qmin(-8) qmax(7) grad_scale(0.2182) grad(lsq)
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}

// dx strictly inside the range, dscale summed per output.
func.func @gradient(%x: tensor<?x?xf32>, %scale: tensor<?xf32>,
    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>) {
  %y, %dx, %dscale =
    quant_ste.vjp @forward(%x, %scale) cotangents(%dy) wrt [0, 1]
    : (tensor<?x?xf32>, tensor<?xf32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>)
  return %y, %dx, %dscale : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>
}
