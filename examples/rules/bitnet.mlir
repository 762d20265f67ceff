// BitNet b1.58, Ma et al. 2024 (arXiv:2402.17764): weights -1, 0 or 1 times their
// mean size g.
//   g = E|w|;   y = g * clip(round(w / (g + 1e-5)), -1, 1)
// Straight-through everywhere; no gradient flows through g.
quant_ste.rule @absmean
forward(%w: f32, %g: f32) {
  %epsilon = arith.constant 1.0e-5 : f32
  %one = arith.constant 1.0 : f32
  %minus = arith.constant -1.0 : f32
  %scale = arith.addf %g, %epsilon : f32
  %t = arith.divf %w, %scale : f32
  %r = math.roundeven %t : f32
  %isBelow = arith.cmpf olt, %r, %minus : f32
  %r1 = arith.select %isBelow, %minus, %r : f32
  %isAbove = arith.cmpf ogt, %r1, %one : f32
  %r2 = arith.select %isAbove, %one, %r1 : f32
  %y = arith.mulf %r2, %g : f32
  quant_ste.yield %y : f32
} partials(%w: f32, %g: f32, %y: f32) {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  quant_ste.yield %one, %zero : f32, f32
}

func.func @forward(%w: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %0 = arith.constant 0 : index
  %1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %fixed = quant_ste.detach %w : tensor<?x?xf32>
  %e = tensor.empty() : tensor<f32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>,
                                          affine_map<(i, j) -> ()>],
                         iterator_types = ["reduction", "reduction"]}
    ins(%fixed : tensor<?x?xf32>) outs(%init : tensor<f32>) {
  ^bb0(%wi: f32, %acc: f32):
    %size = math.absf %wi : f32
    %next = arith.addf %acc, %size : f32
    linalg.yield %next : f32
  } -> tensor<f32>
  %rows = tensor.dim %w, %0 : tensor<?x?xf32>
  %columns = tensor.dim %w, %1 : tensor<?x?xf32>
  %n = arith.muli %rows, %columns : index
  %nInt = arith.index_cast %n : index to i64
  %nFloat = arith.sitofp %nInt : i64 to f32
  %total = tensor.extract %sum[] : tensor<f32>
  %g = arith.divf %total, %nFloat : f32
  %y = quant_ste.apply @absmean(%w, %g) : tensor<?x?xf32>, f32
  return %y : tensor<?x?xf32>
}
func.func @gradient(%w: tensor<?x?xf32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %r:2 = quant_ste.vjp @forward(%w) cotangents(%dy) wrt [0]
    : (tensor<?x?xf32>), (tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %r#0, %r#1 : tensor<?x?xf32>, tensor<?x?xf32>
}
