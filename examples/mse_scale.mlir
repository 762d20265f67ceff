// First scales of 4-bit weights, one for each row: of ten between a tenth of
// what the largest weight asks for and all of it, the one that loses least.
func.func @init(%w: tensor<?x?xf32>, %steps: tensor<?xf32>) -> tensor<?xf32> {
  %max = quant_ste.absmax %w axes([0]) grad(first)
    : tensor<?x?xf32> -> tensor<?xf32>
  %start = arith.divf %max, %steps : tensor<?xf32>
  %scale = quant_ste.mse_scale %w, %start axes([0]) qmin(-7) qmax(7)
    candidates(10) grad(detached)
    : tensor<?x?xf32>, tensor<?xf32> -> tensor<?xf32>
  return %scale : tensor<?xf32>
}
