// ReCU, Xu et al. 2021 (arXiv:2103.12369): weights clamped to a quantile +-q, then
// their sign; the gradient passes where -q <= w <= q. For a Laplace distribution
// q(tau) = -E|w| * ln(2 - 2 tau); here tau = 0.85, and ln(0.3) = -1.2039728. The
// quantile is detached: no gradient flows through the statistics.
quant_ste.rule @recu
forward(%w: f32, %q: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %minus = arith.constant -1.0 : f32
  %isPositive = arith.cmpf oge, %w, %zero : f32
  %y = arith.select %isPositive, %one, %minus : f32
  quant_ste.yield %y : f32
} partials(%w: f32, %q: f32, %y: f32) {
  %zero = arith.constant 0.0 : f32
  %size = math.absf %w : f32
  %isAlive = arith.cmpf ole, %size, %q : f32
  quant_ste.yield %isAlive, %zero : i1, f32
}

func.func @forward(%w: tensor<?xf32>) -> tensor<?xf32> {
  %0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %factor = arith.constant 1.2039728043259361 : f32
  %fixed = quant_ste.detach %w : tensor<?xf32>
  %e = tensor.empty() : tensor<f32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>,
                                          affine_map<(i) -> ()>],
                         iterator_types = ["reduction"]}
    ins(%fixed : tensor<?xf32>) outs(%init : tensor<f32>) {
  ^bb0(%wi: f32, %acc: f32):
    %size = math.absf %wi : f32
    %next = arith.addf %acc, %size : f32
    linalg.yield %next : f32
  } -> tensor<f32>
  %n = tensor.dim %w, %0 : tensor<?xf32>
  %nInt = arith.index_cast %n : index to i64
  %nFloat = arith.sitofp %nInt : i64 to f32
  %total = tensor.extract %sum[] : tensor<f32>
  %mean = arith.divf %total, %nFloat : f32
  %q = arith.mulf %mean, %factor : f32
  %y = quant_ste.apply @recu(%w, %q) : tensor<?xf32>, f32
  return %y : tensor<?xf32>
}
func.func @gradient(%w: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%w) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1 : tensor<?xf32>, tensor<?xf32>
}
