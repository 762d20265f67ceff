// A quantized classifier: 4-bit weights per output channel, 4-bit PACT
// activations, biases, mean softmax cross-entropy.

#ik = affine_map<(i, k) -> (i, k)>
#i = affine_map<(i, k) -> (i)>
#s = affine_map<(i, k) -> ()>

func.func private @net(%x: tensor<?x12xf32>, %w0: tensor<12x16xf32>,
    %b0: tensor<16xf32>, %s0: tensor<16xf32>, %w1: tensor<16x8xf32>,
    %b1: tensor<8xf32>, %s1: tensor<8xf32>, %w2: tensor<8x5xf32>,
    %b2: tensor<5xf32>, %s2: tensor<5xf32>, %a0: tensor<f32>, %a1: tensor<f32>)
    -> tensor<?x5xf32> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x12xf32>

  %q0 = quant_ste.int_quant %w0, %s0 axes([1]), %zero, %bits signed narrow_range rounding(round) grad(clipped)
    : tensor<12x16xf32>, tensor<16xf32>, tensor<f32>, tensor<f32>
  %e0 = tensor.empty(%n) : tensor<?x16xf32>
  %t0 = linalg.broadcast ins(%b0 : tensor<16xf32>) outs(%e0 : tensor<?x16xf32>) dimensions = [0]
  %m0 = linalg.matmul ins(%x, %q0 : tensor<?x12xf32>, tensor<12x16xf32>) outs(%t0 : tensor<?x16xf32>) -> tensor<?x16xf32>
  %h0 = quant_ste.pact %m0, %a0 bits(4) grad(pact) : tensor<?x16xf32>, tensor<f32>

  %q1 = quant_ste.int_quant %w1, %s1 axes([1]), %zero, %bits signed narrow_range rounding(round) grad(clipped)
    : tensor<16x8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>
  %e1 = tensor.empty(%n) : tensor<?x8xf32>
  %t1 = linalg.broadcast ins(%b1 : tensor<8xf32>) outs(%e1 : tensor<?x8xf32>) dimensions = [0]
  %m1 = linalg.matmul ins(%h0, %q1 : tensor<?x16xf32>, tensor<16x8xf32>) outs(%t1 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %h1 = quant_ste.pact %m1, %a1 bits(4) grad(pact) : tensor<?x8xf32>, tensor<f32>

  %q2 = quant_ste.int_quant %w2, %s2 axes([1]), %zero, %bits signed narrow_range rounding(round) grad(clipped)
    : tensor<8x5xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>
  %e2 = tensor.empty(%n) : tensor<?x5xf32>
  %t2 = linalg.broadcast ins(%b2 : tensor<5xf32>) outs(%e2 : tensor<?x5xf32>) dimensions = [0]
  %m2 = linalg.matmul ins(%h1, %q2 : tensor<?x8xf32>, tensor<8x5xf32>) outs(%t2 : tensor<?x5xf32>) -> tensor<?x5xf32>
  return %m2 : tensor<?x5xf32>
}

func.func private @xent(%logits: tensor<?x5xf32>, %labels: tensor<?xi64>) -> tensor<f32> {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %logits, %c0 : tensor<?x5xf32>
  %ni = arith.index_cast %n : index to i64
  %nf = arith.sitofp %ni : i64 to f32
  %inverse = arith.divf %one, %nf : f32
  // The maximum only shifts: no gradient flows through it.
  %e = tensor.empty(%n) : tensor<?xf32>
  %start = linalg.fill ins(%lowest : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %top = linalg.reduce { arith.maximumf } ins(%logits : tensor<?x5xf32>) outs(%start : tensor<?xf32>) dimensions = [1]
  %max = quant_ste.detach %top : tensor<?xf32>
  %none = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [#ik, #i, #i], iterator_types = ["parallel", "reduction"]}
    ins(%logits, %max : tensor<?x5xf32>, tensor<?xf32>) outs(%none : tensor<?xf32>) {
  ^bb0(%l: f32, %m: f32, %o: f32):
    %d = arith.subf %l, %m : f32
    %p = math.exp %d : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  %e1 = tensor.empty() : tensor<f32>
  %none1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {indexing_maps = [#ik, #i, #i, #i, #s], iterator_types = ["reduction", "reduction"]}
    ins(%logits, %max, %sum, %labels : tensor<?x5xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>)
    outs(%none1 : tensor<f32>) {
  ^bb0(%l: f32, %m: f32, %su: f32, %label: i64, %o: f32):
    %k = linalg.index 1 : index
    %c = arith.index_cast %label : i64 to index
    %hit = arith.cmpi eq, %k, %c : index
    %lg = math.log %su : f32
    %d = arith.subf %l, %m : f32
    %nl = arith.subf %lg, %d : f32
    %t = arith.mulf %nl, %inverse : f32
    %v = arith.select %hit, %t, %zero : f32
    %r = arith.addf %o, %v : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %loss : tensor<f32>
}

func.func private @loss(%x: tensor<?x12xf32>, %y: tensor<?xi64>,
    %w0: tensor<12x16xf32>, %b0: tensor<16xf32>, %s0: tensor<16xf32>,
    %w1: tensor<16x8xf32>, %b1: tensor<8xf32>, %s1: tensor<8xf32>,
    %w2: tensor<8x5xf32>, %b2: tensor<5xf32>, %s2: tensor<5xf32>,
    %a0: tensor<f32>, %a1: tensor<f32>) -> tensor<f32> {
  %logits = func.call @net(%x, %w0, %b0, %s0, %w1, %b1, %s1, %w2, %b2, %s2, %a0, %a1)
    : (tensor<?x12xf32>, tensor<12x16xf32>, tensor<16xf32>, tensor<16xf32>,
       tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8x5xf32>,
       tensor<5xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>) -> tensor<?x5xf32>
  %loss = func.call @xent(%logits, %y) : (tensor<?x5xf32>, tensor<?xi64>) -> tensor<f32>
  return %loss : tensor<f32>
}

func.func @gradients(%x: tensor<?x12xf32>, %y: tensor<?xi64>,
    %w0: tensor<12x16xf32>, %b0: tensor<16xf32>, %s0: tensor<16xf32>,
    %w1: tensor<16x8xf32>, %b1: tensor<8xf32>, %s1: tensor<8xf32>,
    %w2: tensor<8x5xf32>, %b2: tensor<5xf32>, %s2: tensor<5xf32>,
    %a0: tensor<f32>, %a1: tensor<f32>)
    -> (tensor<f32>, tensor<12x16xf32>, tensor<16xf32>, tensor<16xf32>,
        tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8x5xf32>,
        tensor<5xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>) {
  %r:12 = quant_ste.value_and_grad @loss(%x, %y, %w0, %b0, %s0, %w1, %b1, %s1, %w2, %b2, %s2, %a0, %a1)
    wrt [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    : (tensor<?x12xf32>, tensor<?xi64>, tensor<12x16xf32>, tensor<16xf32>,
       tensor<16xf32>, tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>,
       tensor<8x5xf32>, tensor<5xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>)
    -> (tensor<f32>, tensor<12x16xf32>, tensor<16xf32>, tensor<16xf32>,
        tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8x5xf32>,
        tensor<5xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>)
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5, %r#6, %r#7, %r#8, %r#9, %r#10, %r#11
    : tensor<f32>, tensor<12x16xf32>, tensor<16xf32>, tensor<16xf32>,
      tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8x5xf32>,
      tensor<5xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>
}
