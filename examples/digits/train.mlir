// Trains a 4-bit classifier of handwritten digits. The whole loop is here: the
// network, its loss, the optimizer, the shuffling, the batches and the epochs.
// The backward pass is not: quant_ste.value_and_grad asks for it, and
// quant-ste-differentiate derives it from the gradient rule that each quantizer
// prints, grad(clipped) and grad(pact).
//
//   cd examples/digits
//   qopt-run train.mlir --function=main --input=@data/X.npy \
//     --input=@data/y.npy --input=@data/split.npy --input=30 --input=0
//
// 64 pixels -> 128 -> 64 -> 10 digits. Weights are 4-bit integers times a learned
// scale per output channel, activations 4-bit PACT with a learned bound alpha.

!images = tensor<1797x64xf32>
!labels = tensor<1797xi64>   // also the split: a permutation of the image numbers
!order  = tensor<1437xi64>   // the images to train on, in the order to see them

!rows = tensor<64xi64>       // a batch: image numbers (or labels), pixels,
!x    = tensor<64x64xf32>
!h0   = tensor<64x128xf32>   // values after layers 0, 1 and 2
!h1   = tensor<64x64xf32>
!h2   = tensor<64x10xf32>

!w0 = tensor<64x128xf32>     // parameters of layer 0: weights,
!c0 = tensor<128xf32>        // one per output channel: biases, scales
!w1 = tensor<128x64xf32>
!c1 = tensor<64xf32>
!w2 = tensor<64x10xf32>
!c2 = tensor<10xf32>
!a  = tensor<f32>            // alpha

#id2   = affine_map<(i, k) -> (i, k)>
#row   = affine_map<(i, k) -> (i)>
#col   = affine_map<(i, k) -> (k)>
#all   = affine_map<(i, k) -> ()>
#id1   = affine_map<(i) -> (i)>
#id0   = affine_map<() -> ()>

//===----------------------------------------------------------------------===//
// The network
//===----------------------------------------------------------------------===//

func.func private @net(%x: !x,
    %w0: !w0, %b0: !c0, %s0: !c0, %a0: !a,
    %w1: !w1, %b1: !c1, %s1: !c1, %a1: !a,
    %w2: !w2, %b2: !c2, %s2: !c2) -> !h2 {
  %zero_point = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>

  %q0 = quant_ste.int_quant %w0, %s0 axes([1]), %zero_point, %bits
    signed narrow_range rounding(round) grad(clipped)
    : !w0, !c0, tensor<f32>, tensor<f32>
  %e0 = tensor.empty() : !h0
  %i0 = linalg.broadcast ins(%b0 : !c0) outs(%e0 : !h0) dimensions = [0]
  %m0 = linalg.matmul ins(%x, %q0 : !x, !w0) outs(%i0 : !h0) -> !h0
  %h0 = quant_ste.pact %m0, %a0 bits(4) grad(pact) : !h0, !a

  %q1 = quant_ste.int_quant %w1, %s1 axes([1]), %zero_point, %bits
    signed narrow_range rounding(round) grad(clipped)
    : !w1, !c1, tensor<f32>, tensor<f32>
  %e1 = tensor.empty() : !h1
  %i1 = linalg.broadcast ins(%b1 : !c1) outs(%e1 : !h1) dimensions = [0]
  %m1 = linalg.matmul ins(%h0, %q1 : !h0, !w1) outs(%i1 : !h1) -> !h1
  %h1 = quant_ste.pact %m1, %a1 bits(4) grad(pact) : !h1, !a

  %q2 = quant_ste.int_quant %w2, %s2 axes([1]), %zero_point, %bits
    signed narrow_range rounding(round) grad(clipped)
    : !w2, !c2, tensor<f32>, tensor<f32>
  %e2 = tensor.empty() : !h2
  %i2 = linalg.broadcast ins(%b2 : !c2) outs(%e2 : !h2) dimensions = [0]
  %logits = linalg.matmul ins(%h1, %q2 : !h1, !w2) outs(%i2 : !h2) -> !h2
  return %logits : !h2
}

// Mean softmax cross-entropy: log(sum_k exp(l[k] - m)) - (l[label] - m), where
// m, the largest logit, only keeps exp in range: no gradient flows through it.
func.func private @cross_entropy(%l: !h2, %labels: !rows) -> tensor<f32> {
  %lowest = arith.constant 0xFF800000 : f32
  %0 = arith.constant 0.0 : f32
  %share = arith.constant 0.015625 : f32  // 1 / 64
  %e0 = tensor.empty() : tensor<64xf32>
  %max0 = linalg.fill ins(%lowest : f32) outs(%e0 : tensor<64xf32>) -> tensor<64xf32>
  %max = linalg.reduce { arith.maximumf } ins(%l : !h2)
    outs(%max0 : tensor<64xf32>) dimensions = [1]
  %m = quant_ste.detach %max : tensor<64xf32>
  %e1 = tensor.empty() : tensor<64xf32>
  %sum0 = linalg.fill ins(%0 : f32) outs(%e1 : tensor<64xf32>) -> tensor<64xf32>
  %sum = linalg.generic {indexing_maps = [#id2, #row, #row],
                         iterator_types = ["parallel", "reduction"]}
    ins(%l, %m : !h2, tensor<64xf32>) outs(%sum0 : tensor<64xf32>) {
  ^bb0(%li: f32, %mi: f32, %acc: f32):
    %d = arith.subf %li, %mi : f32
    %e = math.exp %d : f32
    %r = arith.addf %acc, %e : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  %e2 = tensor.empty() : tensor<f32>
  %loss0 = linalg.fill ins(%0 : f32) outs(%e2 : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {indexing_maps = [#id2, #row, #row, #row, #all],
                          iterator_types = ["reduction", "reduction"]}
    ins(%l, %m, %sum, %labels : !h2, tensor<64xf32>, tensor<64xf32>, !rows)
    outs(%loss0 : tensor<f32>) {
  ^bb0(%li: f32, %mi: f32, %si: f32, %label: i64, %acc: f32):
    %k = linalg.index 1 : index
    %want = arith.index_cast %label : i64 to index
    %hit = arith.cmpi eq, %k, %want : index
    %log = math.log %si : f32
    %d = arith.subf %li, %mi : f32
    %n = arith.subf %log, %d : f32
    %s = arith.mulf %n, %share : f32
    %t = arith.select %hit, %s, %0 : f32
    %r = arith.addf %acc, %t : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %loss : tensor<f32>
}

func.func @loss(%x: !x, %labels: !rows,
    %w0: !w0, %b0: !c0, %s0: !c0, %a0: !a,
    %w1: !w1, %b1: !c1, %s1: !c1, %a1: !a,
    %w2: !w2, %b2: !c2, %s2: !c2) -> tensor<f32> {
  %logits = func.call @net(%x, %w0, %b0, %s0, %a0, %w1, %b1, %s1, %a1,
                           %w2, %b2, %s2)
    : (!x, !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2) -> !h2
  %loss = func.call @cross_entropy(%logits, %labels)
    : (!h2, !rows) -> tensor<f32>
  return %loss : tensor<f32>
}

//===----------------------------------------------------------------------===//
// Stochastic gradient descent with momentum 0.9
//===----------------------------------------------------------------------===//

func.func private @sgd(%p: f32, %v: f32, %g: f32, %rate: f32) -> (f32, f32) {
  %momentum = arith.constant 0.9 : f32
  %kept = arith.mulf %v, %momentum : f32
  %new_v = arith.addf %kept, %g : f32
  %step = arith.mulf %new_v, %rate : f32
  %new_p = arith.subf %p, %step : f32
  return %new_p, %new_v : f32, f32
}

// The same for each shape of parameter; p and v are updated in place.
#each2 = {indexing_maps = [#id2, #id2, #id2],
          iterator_types = ["parallel", "parallel"]}
#each1 = {indexing_maps = [#id1, #id1, #id1], iterator_types = ["parallel"]}
#each0 = {indexing_maps = [#id0, #id0, #id0], iterator_types = []}

func.func private @sgd_w0(%p: !w0, %v: !w0, %g: !w0, %rate: f32) -> (!w0, !w0) {
  %r:2 = linalg.generic #each2 ins(%g : !w0) outs(%p, %v : !w0, !w0) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!w0, !w0)
  return %r#0, %r#1 : !w0, !w0
}
func.func private @sgd_c0(%p: !c0, %v: !c0, %g: !c0, %rate: f32) -> (!c0, !c0) {
  %r:2 = linalg.generic #each1 ins(%g : !c0) outs(%p, %v : !c0, !c0) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!c0, !c0)
  return %r#0, %r#1 : !c0, !c0
}
func.func private @sgd_w1(%p: !w1, %v: !w1, %g: !w1, %rate: f32) -> (!w1, !w1) {
  %r:2 = linalg.generic #each2 ins(%g : !w1) outs(%p, %v : !w1, !w1) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!w1, !w1)
  return %r#0, %r#1 : !w1, !w1
}
func.func private @sgd_c1(%p: !c1, %v: !c1, %g: !c1, %rate: f32) -> (!c1, !c1) {
  %r:2 = linalg.generic #each1 ins(%g : !c1) outs(%p, %v : !c1, !c1) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!c1, !c1)
  return %r#0, %r#1 : !c1, !c1
}
func.func private @sgd_w2(%p: !w2, %v: !w2, %g: !w2, %rate: f32) -> (!w2, !w2) {
  %r:2 = linalg.generic #each2 ins(%g : !w2) outs(%p, %v : !w2, !w2) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!w2, !w2)
  return %r#0, %r#1 : !w2, !w2
}
func.func private @sgd_c2(%p: !c2, %v: !c2, %g: !c2, %rate: f32) -> (!c2, !c2) {
  %r:2 = linalg.generic #each1 ins(%g : !c2) outs(%p, %v : !c2, !c2) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!c2, !c2)
  return %r#0, %r#1 : !c2, !c2
}
func.func private @sgd_a(%p: !a, %v: !a, %g: !a, %rate: f32) -> (!a, !a) {
  %r:2 = linalg.generic #each0 ins(%g : !a) outs(%p, %v : !a, !a) {
  ^bb0(%gi: f32, %pi: f32, %vi: f32):
    %n:2 = func.call @sgd(%pi, %vi, %gi, %rate) : (f32, f32, f32, f32) -> (f32, f32)
    linalg.yield %n#0, %n#1 : f32, f32
  } -> (!a, !a)
  return %r#0, %r#1 : !a, !a
}

//===----------------------------------------------------------------------===//
// Random numbers, the first weights, shuffling
//===----------------------------------------------------------------------===//

// Number `at` of stream `stream`: no state, the same on every machine. Two
// rounds of the finalizer of splitmix64 (Steele, Lea, Flood 2014).
func.func private @random(%seed: i64, %stream: i64, %at: i64) -> i64 {
  %golden = arith.constant 0x9E3779B97F4A7C15 : i64
  %k0 = arith.muli %seed, %golden : i64
  %k1 = arith.addi %k0, %stream : i64
  %key = func.call @mix(%k1) : (i64) -> i64
  %n0 = arith.muli %at, %golden : i64
  %n1 = arith.addi %key, %n0 : i64
  %n = func.call @mix(%n1) : (i64) -> i64
  return %n : i64
}
func.func private @mix(%z0: i64) -> i64 {
  %c27 = arith.constant 27 : i64
  %c30 = arith.constant 30 : i64
  %c31 = arith.constant 31 : i64
  %m0 = arith.constant 0xBF58476D1CE4E5B9 : i64
  %m1 = arith.constant 0x94D049BB133111EB : i64
  %s0 = arith.shrui %z0, %c30 : i64
  %x0 = arith.xori %z0, %s0 : i64
  %z1 = arith.muli %x0, %m0 : i64
  %s1 = arith.shrui %z1, %c27 : i64
  %x1 = arith.xori %z1, %s1 : i64
  %z2 = arith.muli %x1, %m1 : i64
  %s2 = arith.shrui %z2, %c31 : i64
  %z3 = arith.xori %z2, %s2 : i64
  return %z3 : i64
}

// Weights of one layer, uniform on [-b, b) with b = sqrt(6 / inputs) (He et al.
// 2015), and their scales: the largest of each channel is the integer 7.
func.func private @first_weights(%inputs: index, %outputs: index, %seed: i64,
    %stream: i64) -> (tensor<?x?xf32>, tensor<?xf32>) {
  %0 = arith.constant 0.0 : f32
  %1 = arith.constant 1.0 : f32
  %6 = arith.constant 6.0 : f32
  %7 = arith.constant 7.0 : f32
  %c40 = arith.constant 40 : i64
  %ulp = arith.constant 0x34000000 : f32  // 2^-23: 24 bits become [0, 2)
  %i0 = arith.index_cast %inputs : index to i64
  %i1 = arith.uitofp %i0 : i64 to f32
  %i2 = arith.divf %6, %i1 : f32
  %bound = math.sqrt %i2 : f32
  %ew = tensor.empty(%inputs, %outputs) : tensor<?x?xf32>
  %w = linalg.generic {indexing_maps = [#id2],
                       iterator_types = ["parallel", "parallel"]}
    outs(%ew : tensor<?x?xf32>) {
  ^bb0(%none: f32):
    %i = linalg.index 0 : index
    %k = linalg.index 1 : index
    %a0 = arith.muli %i, %outputs : index
    %a1 = arith.addi %a0, %k : index
    %at = arith.index_cast %a1 : index to i64
    %n = func.call @random(%seed, %stream, %at) : (i64, i64, i64) -> i64
    %n24 = arith.shrui %n, %c40 : i64
    %f = arith.uitofp %n24 : i64 to f32
    %u0 = arith.mulf %f, %ulp : f32
    %u = arith.subf %u0, %1 : f32
    %r = arith.mulf %u, %bound : f32
    linalg.yield %r : f32
  } -> tensor<?x?xf32>
  %es = tensor.empty(%outputs) : tensor<?xf32>
  %s0 = linalg.fill ins(%0 : f32) outs(%es : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id2, #col],
                       iterator_types = ["reduction", "parallel"]}
    ins(%w : tensor<?x?xf32>) outs(%s0 : tensor<?xf32>) {
  ^bb0(%wi: f32, %acc: f32):
    %abs = math.absf %wi : f32
    %step = arith.divf %abs, %7 : f32
    %r = arith.maximumf %acc, %step : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  return %w, %s : tensor<?x?xf32>, tensor<?xf32>
}

// Fisher and Yates' shuffle, in place.
func.func private @shuffle(%order: !order, %seed: i64, %stream: i64) -> !order {
  %c1 = arith.constant 1 : index
  %count = arith.constant 1437 : index
  %r = scf.for %i = %c1 to %count step %c1 iter_args(%p = %order) -> !order {
    %at = arith.index_cast %i : index to i64
    %n = func.call @random(%seed, %stream, %at) : (i64, i64, i64) -> i64
    %i1 = arith.addi %i, %c1 : index
    %range = arith.index_cast %i1 : index to i64
    %j64 = arith.remui %n, %range : i64  // uneven by less than 1e-15
    %j = arith.index_cast %j64 : i64 to index
    %a = tensor.extract %p[%i] : !order
    %b = tensor.extract %p[%j] : !order
    %p0 = tensor.insert %b into %p[%i] : !order
    %p1 = tensor.insert %a into %p0[%j] : !order
    scf.yield %p1 : !order
  }
  return %r : !order
}

//===----------------------------------------------------------------------===//
// Batches and accuracy
//===----------------------------------------------------------------------===//

func.func private @gather(%X: !images, %y: !labels, %rows: !rows) -> (!x, !rows) {
  %ex = tensor.empty() : !x
  %x = linalg.generic {indexing_maps = [#row, #id2],
                       iterator_types = ["parallel", "parallel"]}
    ins(%rows : !rows) outs(%ex : !x) {
  ^bb0(%row: i64, %none: f32):
    %i = arith.index_cast %row : i64 to index
    %k = linalg.index 1 : index
    %v = tensor.extract %X[%i, %k] : !images
    linalg.yield %v : f32
  } -> !x
  %el = tensor.empty() : !rows
  %labels = linalg.generic {indexing_maps = [#id1, #id1],
                            iterator_types = ["parallel"]}
    ins(%rows : !rows) outs(%el : !rows) {
  ^bb0(%row: i64, %none: i64):
    %i = arith.index_cast %row : i64 to index
    %v = tensor.extract %y[%i] : !labels
    linalg.yield %v : i64
  } -> !rows
  return %x, %labels : !x, !rows
}

// The share of the 360 test images whose largest logit is at their label. They
// are images 1437 to 1796 of the split, seen in 6 batches; the last one reaches
// back so that it is full, and skips what was counted before.
func.func private @accuracy(%X: !images, %y: !labels, %split: !labels,
    %w0: !w0, %b0: !c0, %s0: !c0, %a0: !a,
    %w1: !w1, %b1: !c1, %s1: !c1, %a1: !a,
    %w2: !w2, %b2: !c2, %s2: !c2) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %classes = arith.constant 10 : index
  %size = arith.constant 64 : index
  %begin = arith.constant 1437 : index
  %end = arith.constant 1797 : index
  %last = arith.constant 1733 : index  // 1797 - 64
  %no_hits = arith.constant 0.0 : f32
  %hit = arith.constant 1.0 : f32
  %tests = arith.constant 360.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %total = scf.for %first = %begin to %end step %size
      iter_args(%hits0 = %no_hits) -> f32 {
    %at = arith.minui %first, %last : index
    %skip = arith.subi %first, %at : index
    %rows = tensor.extract_slice %split[%at] [64] [1] : !labels to !rows
    %x, %labels = func.call @gather(%X, %y, %rows)
      : (!images, !labels, !rows) -> (!x, !rows)
    %logits = func.call @net(%x, %w0, %b0, %s0, %a0, %w1, %b1, %s1, %a1,
                             %w2, %b2, %s2)
      : (!x, !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2) -> !h2
    %hits1 = scf.for %i = %skip to %size step %c1 iter_args(%hits = %hits0) -> f32 {
      %best:2 = scf.for %k = %c0 to %classes step %c1
          iter_args(%max = %lowest, %digit = %c0) -> (f32, index) {
        %v = tensor.extract %logits[%i, %k] : !h2
        %more = arith.cmpf ogt, %v, %max : f32
        %max1 = arith.select %more, %v, %max : f32
        %digit1 = arith.select %more, %k, %digit : index
        scf.yield %max1, %digit1 : f32, index
      }
      %label = tensor.extract %labels[%i] : !rows
      %want = arith.index_cast %label : i64 to index
      %right = arith.cmpi eq, %best#1, %want : index
      %add = arith.select %right, %hit, %no_hits : f32
      %n = arith.addf %hits, %add : f32
      scf.yield %n : f32
    }
    scf.yield %hits1 : f32
  }
  %share = arith.divf %total, %tests : f32
  return %share : f32
}

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

// Called after each epoch with its number, mean loss and test accuracy.
func.func private @quant_ste_report_epoch(index, f32, f32)
  attributes {llvm.emit_c_interface}

// From given parameters, such as those that --output-params wrote before:
// --input-params takes them by name.
func.func @train(%X: !images, %y: !labels, %split: !labels,
    %epochs: index, %seed: i64,
    %w0_0: !w0 {quant_ste.name = "w0"}, %b0_0: !c0 {quant_ste.name = "b0"},
    %s0_0: !c0 {quant_ste.name = "s0"}, %a0_0: !a {quant_ste.name = "a0"},
    %w1_0: !w1 {quant_ste.name = "w1"}, %b1_0: !c1 {quant_ste.name = "b1"},
    %s1_0: !c1 {quant_ste.name = "s1"}, %a1_0: !a {quant_ste.name = "a1"},
    %w2_0: !w2 {quant_ste.name = "w2"}, %b2_0: !c2 {quant_ste.name = "b2"},
    %s2_0: !c2 {quant_ste.name = "s2"})
    -> (tensor<?xf32> {quant_ste.name = "loss"},
        tensor<?xf32> {quant_ste.name = "accuracy"},
        !w0 {quant_ste.name = "w0"}, !c0 {quant_ste.name = "b0"},
        !c0 {quant_ste.name = "s0"}, !a {quant_ste.name = "a0"},
        !w1 {quant_ste.name = "w1"}, !c1 {quant_ste.name = "b1"},
        !c1 {quant_ste.name = "s1"}, !a {quant_ste.name = "a1"},
        !w2 {quant_ste.name = "w2"}, !c2 {quant_ste.name = "b2"},
        !c2 {quant_ste.name = "s2"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %size = arith.constant 64 : index
  %batches = arith.constant 22 : index  // 1437 / 64; the last 29 sit out
  %batches_f32 = arith.constant 22.0 : f32
  %no_loss = arith.constant 0.0 : f32
  %rate = arith.constant 0.05 : f32     // of weights and biases
  %rate_q = arith.constant 0.01 : f32   // of scales and alphas
  %streams = arith.constant 3 : i64     // streams 0 to 2 made the weights

  %order_0 = tensor.extract_slice %split[0] [1437] [1] : !labels to !order
  %losses_0 = tensor.empty(%epochs) : tensor<?xf32>
  %accuracies_0 = tensor.empty(%epochs) : tensor<?xf32>

  // The velocities.
  %vw0_0 = arith.constant dense<0.0> : !w0
  %vb0_0 = arith.constant dense<0.0> : !c0
  %vs0_0 = arith.constant dense<0.0> : !c0
  %va0_0 = arith.constant dense<0.0> : !a
  %vw1_0 = arith.constant dense<0.0> : !w1
  %vb1_0 = arith.constant dense<0.0> : !c1
  %vs1_0 = arith.constant dense<0.0> : !c1
  %va1_0 = arith.constant dense<0.0> : !a
  %vw2_0 = arith.constant dense<0.0> : !w2
  %vb2_0 = arith.constant dense<0.0> : !c2
  %vs2_0 = arith.constant dense<0.0> : !c2

  %e:25 = scf.for %epoch = %c0 to %epochs step %c1 iter_args(
      %order_1 = %order_0, %losses_1 = %losses_0, %accuracies_1 = %accuracies_0,
      %w0_1 = %w0_0, %b0_1 = %b0_0, %s0_1 = %s0_0, %a0_1 = %a0_0,
      %w1_1 = %w1_0, %b1_1 = %b1_0, %s1_1 = %s1_0, %a1_1 = %a1_0,
      %w2_1 = %w2_0, %b2_1 = %b2_0, %s2_1 = %s2_0,
      %vw0_1 = %vw0_0, %vb0_1 = %vb0_0, %vs0_1 = %vs0_0, %va0_1 = %va0_0,
      %vw1_1 = %vw1_0, %vb1_1 = %vb1_0, %vs1_1 = %vs1_0, %va1_1 = %va1_0,
      %vw2_1 = %vw2_0, %vb2_1 = %vb2_0, %vs2_1 = %vs2_0)
      -> (!order, tensor<?xf32>, tensor<?xf32>,
          !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2,
          !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2) {
    %epoch_i64 = arith.index_cast %epoch : index to i64
    %stream = arith.addi %epoch_i64, %streams : i64
    %order = func.call @shuffle(%order_1, %seed, %stream)
      : (!order, i64, i64) -> !order

    %b:23 = scf.for %batch = %c0 to %batches step %c1 iter_args(
        %total = %no_loss,
        %w0 = %w0_1, %b0 = %b0_1, %s0 = %s0_1, %a0 = %a0_1,
        %w1 = %w1_1, %b1 = %b1_1, %s1 = %s1_1, %a1 = %a1_1,
        %w2 = %w2_1, %b2 = %b2_1, %s2 = %s2_1,
        %vw0 = %vw0_1, %vb0 = %vb0_1, %vs0 = %vs0_1, %va0 = %va0_1,
        %vw1 = %vw1_1, %vb1 = %vb1_1, %vs1 = %vs1_1, %va1 = %va1_1,
        %vw2 = %vw2_1, %vb2 = %vb2_1, %vs2 = %vs2_1)
        -> (f32,
            !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2,
            !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2) {
      %at = arith.muli %batch, %size : index
      %rows = tensor.extract_slice %order[%at] [64] [1] : !order to !rows
      %x, %labels = func.call @gather(%X, %y, %rows)
        : (!images, !labels, !rows) -> (!x, !rows)

      // The loss of the batch and its gradients, one per parameter.
      %loss, %dw0, %db0, %ds0, %da0, %dw1, %db1, %ds1, %da1, %dw2, %db2, %ds2
        = quant_ste.value_and_grad @loss(%x, %labels, %w0, %b0, %s0, %a0,
            %w1, %b1, %s1, %a1, %w2, %b2, %s2)
          wrt [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        : (!x, !rows, !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2)
        -> (!a, !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2)

      %w0n:2 = func.call @sgd_w0(%w0, %vw0, %dw0, %rate) : (!w0, !w0, !w0, f32) -> (!w0, !w0)
      %b0n:2 = func.call @sgd_c0(%b0, %vb0, %db0, %rate) : (!c0, !c0, !c0, f32) -> (!c0, !c0)
      %s0n:2 = func.call @sgd_c0(%s0, %vs0, %ds0, %rate_q) : (!c0, !c0, !c0, f32) -> (!c0, !c0)
      %a0n:2 = func.call @sgd_a(%a0, %va0, %da0, %rate_q) : (!a, !a, !a, f32) -> (!a, !a)

      %w1n:2 = func.call @sgd_w1(%w1, %vw1, %dw1, %rate) : (!w1, !w1, !w1, f32) -> (!w1, !w1)
      %b1n:2 = func.call @sgd_c1(%b1, %vb1, %db1, %rate) : (!c1, !c1, !c1, f32) -> (!c1, !c1)
      %s1n:2 = func.call @sgd_c1(%s1, %vs1, %ds1, %rate_q) : (!c1, !c1, !c1, f32) -> (!c1, !c1)
      %a1n:2 = func.call @sgd_a(%a1, %va1, %da1, %rate_q) : (!a, !a, !a, f32) -> (!a, !a)

      %w2n:2 = func.call @sgd_w2(%w2, %vw2, %dw2, %rate) : (!w2, !w2, !w2, f32) -> (!w2, !w2)
      %b2n:2 = func.call @sgd_c2(%b2, %vb2, %db2, %rate) : (!c2, !c2, !c2, f32) -> (!c2, !c2)
      %s2n:2 = func.call @sgd_c2(%s2, %vs2, %ds2, %rate_q) : (!c2, !c2, !c2, f32) -> (!c2, !c2)

      %loss_f32 = tensor.extract %loss[] : tensor<f32>
      %total1 = arith.addf %total, %loss_f32 : f32
      scf.yield %total1,
          %w0n#0, %b0n#0, %s0n#0, %a0n#0, %w1n#0, %b1n#0, %s1n#0, %a1n#0, %w2n#0, %b2n#0, %s2n#0,
          %w0n#1, %b0n#1, %s0n#1, %a0n#1, %w1n#1, %b1n#1, %s1n#1, %a1n#1, %w2n#1, %b2n#1, %s2n#1
        : f32,
          !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2,
          !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2
    }

    %mean = arith.divf %b#0, %batches_f32 : f32
    %share = func.call @accuracy(%X, %y, %split, %b#1, %b#2, %b#3, %b#4,
                                 %b#5, %b#6, %b#7, %b#8, %b#9, %b#10, %b#11)
      : (!images, !labels, !labels,
         !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2) -> f32
    %losses = tensor.insert %mean into %losses_1[%epoch] : tensor<?xf32>
    %accuracies = tensor.insert %share into %accuracies_1[%epoch] : tensor<?xf32>
    func.call @quant_ste_report_epoch(%epoch, %mean, %share)
      : (index, f32, f32) -> ()
    scf.yield %order, %losses, %accuracies,
        %b#1, %b#2, %b#3, %b#4, %b#5, %b#6, %b#7, %b#8, %b#9, %b#10, %b#11,
        %b#12, %b#13, %b#14, %b#15, %b#16, %b#17, %b#18, %b#19, %b#20, %b#21, %b#22
      : !order, tensor<?xf32>, tensor<?xf32>,
        !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2,
        !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2
  }
  return %e#1, %e#2,
      %e#3, %e#4, %e#5, %e#6, %e#7, %e#8, %e#9, %e#10, %e#11, %e#12, %e#13
    : tensor<?xf32>, tensor<?xf32>,
      !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2
}

// From the first weights that the seed gives, biases 0 and alphas 1.
func.func @main(%X: !images, %y: !labels, %split: !labels,
    %epochs: index, %seed: i64)
    -> (tensor<?xf32> {quant_ste.name = "loss"},
        tensor<?xf32> {quant_ste.name = "accuracy"},
        !w0 {quant_ste.name = "w0"}, !c0 {quant_ste.name = "b0"},
        !c0 {quant_ste.name = "s0"}, !a {quant_ste.name = "a0"},
        !w1 {quant_ste.name = "w1"}, !c1 {quant_ste.name = "b1"},
        !c1 {quant_ste.name = "s1"}, !a {quant_ste.name = "a1"},
        !w2 {quant_ste.name = "w2"}, !c2 {quant_ste.name = "b2"},
        !c2 {quant_ste.name = "s2"}) {
  %stream0 = arith.constant 0 : i64
  %stream1 = arith.constant 1 : i64
  %stream2 = arith.constant 2 : i64
  %c10 = arith.constant 10 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index

  %l0:2 = func.call @first_weights(%c64, %c128, %seed, %stream0)
    : (index, index, i64, i64) -> (tensor<?x?xf32>, tensor<?xf32>)
  %w0 = tensor.cast %l0#0 : tensor<?x?xf32> to !w0
  %b0 = arith.constant dense<0.0> : !c0
  %s0 = tensor.cast %l0#1 : tensor<?xf32> to !c0
  %a0 = arith.constant dense<1.0> : !a

  %l1:2 = func.call @first_weights(%c128, %c64, %seed, %stream1)
    : (index, index, i64, i64) -> (tensor<?x?xf32>, tensor<?xf32>)
  %w1 = tensor.cast %l1#0 : tensor<?x?xf32> to !w1
  %b1 = arith.constant dense<0.0> : !c1
  %s1 = tensor.cast %l1#1 : tensor<?xf32> to !c1
  %a1 = arith.constant dense<1.0> : !a

  %l2:2 = func.call @first_weights(%c64, %c10, %seed, %stream2)
    : (index, index, i64, i64) -> (tensor<?x?xf32>, tensor<?xf32>)
  %w2 = tensor.cast %l2#0 : tensor<?x?xf32> to !w2
  %b2 = arith.constant dense<0.0> : !c2
  %s2 = tensor.cast %l2#1 : tensor<?xf32> to !c2

  %r:13 = func.call @train(%X, %y, %split, %epochs, %seed,
      %w0, %b0, %s0, %a0, %w1, %b1, %s1, %a1, %w2, %b2, %s2)
    : (!images, !labels, !labels, index, i64,
       !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2)
    -> (tensor<?xf32>, tensor<?xf32>,
        !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2)
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5, %r#6, %r#7, %r#8, %r#9, %r#10,
      %r#11, %r#12
    : tensor<?xf32>, tensor<?xf32>,
      !w0, !c0, !c0, !a, !w1, !c1, !c1, !a, !w2, !c2, !c2
}
