// SAWB, Choi et al. 2018 (arXiv:1807.06964), weights of 2 bits: the levels -a, -a/3,
// a/3 and a, with
//   a = c1 * sqrt(E[w^2]) - c2 * E|w|
// from the first two moments; the paper fits c1 and c2 for each number of bits.
// Straight-through; a is computed, not learned, and gets no gradient.
quant_ste.rule @sawb
forward(%w: f32, %a: f32) {
  %one = arith.constant 1.0 : f32
  %minus = arith.constant -1.0 : f32
  %oneAndHalf = arith.constant 1.5 : f32
  %t = arith.divf %w, %a : f32
  %isBelow = arith.cmpf olt, %t, %minus : f32
  %t1 = arith.select %isBelow, %minus, %t : f32
  %isAbove = arith.cmpf ogt, %t1, %one : f32
  %t2 = arith.select %isAbove, %one, %t1 : f32
  %up = arith.addf %t2, %one : f32
  %position = arith.mulf %up, %oneAndHalf : f32
  %level = math.roundeven %position : f32
  %back = arith.divf %level, %oneAndHalf : f32
  %centered = arith.subf %back, %one : f32
  %y = arith.mulf %centered, %a : f32
  quant_ste.yield %y : f32
} partials(%w: f32, %a: f32, %y: f32) {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  quant_ste.yield %one, %zero : f32, f32
}

func.func @forward(%w: tensor<?xf32>, %c1: f32, %c2: f32) -> tensor<?xf32> {
  %0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %fixed = quant_ste.detach %w : tensor<?xf32>
  %e = tensor.empty() : tensor<f32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<f32>) -> tensor<f32>
  // Both sums in one pass.
  %sums:2 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>,
                                             affine_map<(i) -> ()>,
                                             affine_map<(i) -> ()>],
                            iterator_types = ["reduction"]}
    ins(%fixed : tensor<?xf32>) outs(%init, %init : tensor<f32>, tensor<f32>) {
  ^bb0(%wi: f32, %acc1: f32, %acc2: f32):
    %size = math.absf %wi : f32
    %square = arith.mulf %wi, %wi : f32
    %next1 = arith.addf %acc1, %size : f32
    %next2 = arith.addf %acc2, %square : f32
    linalg.yield %next1, %next2 : f32, f32
  } -> (tensor<f32>, tensor<f32>)
  %n = tensor.dim %w, %0 : tensor<?xf32>
  %nInt = arith.index_cast %n : index to i64
  %nFloat = arith.sitofp %nInt : i64 to f32
  %sum1 = tensor.extract %sums#0[] : tensor<f32>
  %sum2 = tensor.extract %sums#1[] : tensor<f32>
  %mean1 = arith.divf %sum1, %nFloat : f32
  %mean2 = arith.divf %sum2, %nFloat : f32
  %root = math.sqrt %mean2 : f32
  %term1 = arith.mulf %c1, %root : f32
  %term2 = arith.mulf %c2, %mean1 : f32
  %difference = arith.subf %term1, %term2 : f32
  %a = quant_ste.detach %difference : f32
  %y = quant_ste.apply @sawb(%w, %a) : tensor<?xf32>, f32
  return %y : tensor<?xf32>
}
func.func @gradient(%w: tensor<?xf32>, %c1: f32, %c2: f32, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%w, %c1, %c2) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, f32, f32), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1 : tensor<?xf32>, tensor<?xf32>
}
