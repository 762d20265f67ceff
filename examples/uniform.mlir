// Random numbers from a seed and the number of the training step: pure, so that
// threads and recomputation see the same ones. They decide the rounding here.
func.func @forward(%x: tensor<?x4xf32>, %seed: i64, %step: i64)
    -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?x4xf32>
  %y = quant_ste.stochastic_round %x, %u axes([0, 1]) grad(ste)
    : tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
