// Scales of 8-bit weights, one for each row, as torch chooses them.
func.func @scale(%w: tensor<?x?xf32>) -> tensor<?xf32> {
  %min = quant_ste.minimum %w axes([0]) grad(first)
    : tensor<?x?xf32> -> tensor<?xf32>
  %max = quant_ste.maximum %w axes([0]) grad(first)
    : tensor<?x?xf32> -> tensor<?xf32>
  %scale = quant_ste.choose_qparams_scale %min, %max axes([0]) qmin(-128)
    qmax(127) symmetric grad(detached) : tensor<?xf32>, tensor<?xf32>
  return %scale : tensor<?xf32>
}
