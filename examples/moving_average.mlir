// What a quantizer has seen so far: a tenth of the way to the largest magnitude
// of each row. Before the first step the state is infinite.
func.func @step(%x: tensor<?x?xf32>, %state: tensor<?xf32>) -> tensor<?xf32> {
  %max = quant_ste.absmax %x axes([0]) grad(first)
    : tensor<?x?xf32> -> tensor<?xf32>
  %next = quant_ste.moving_average %state, %max axes([0]) constant(0.1)
    grad(detached) : tensor<?xf32>, tensor<?xf32>
  return %next : tensor<?xf32>
}
