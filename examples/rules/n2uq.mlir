// N2UQ, Liu et al. 2022 (arXiv:2111.14826), activations of 2 bits. Three segments
// of learned widths a1, a2, a3 begin at s; forward counts the segments whose
// middle x exceeds (0, 1, 2 or 3: uniform outputs of non-uniform inputs).
// Backward (the generalized straight-through estimator) sees the line that climbs
// 1 over each segment: in segment i, which begins at b,
//   i - 1 + (x - b) / ai:   dx = 1/ai, ds = -1/ai,
//   dai = -(x - b) / ai^2, and -1/ai for each earlier width.
quant_ste.rule @n2uq
forward(%x: f32, %s: f32, %a1: f32, %a2: f32, %a3: f32) {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %three = arith.constant 3.0 : f32
  %h1 = arith.mulf %a1, %half : f32
  %h2 = arith.mulf %a2, %half : f32
  %h3 = arith.mulf %a3, %half : f32
  %b2 = arith.addf %s, %a1 : f32
  %b3 = arith.addf %b2, %a2 : f32
  %t1 = arith.addf %s, %h1 : f32
  %t2 = arith.addf %b2, %h2 : f32
  %t3 = arith.addf %b3, %h3 : f32
  %is1 = arith.cmpf ogt, %x, %t1 : f32
  %is2 = arith.cmpf ogt, %x, %t2 : f32
  %is3 = arith.cmpf ogt, %x, %t3 : f32
  %y1 = arith.select %is1, %one, %zero : f32
  %y2 = arith.select %is2, %two, %y1 : f32
  %y3 = arith.select %is3, %three, %y2 : f32
  quant_ste.yield %y3 : f32
} partials(%x: f32, %s: f32, %a1: f32, %a2: f32, %a3: f32, %y: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %b2 = arith.addf %s, %a1 : f32
  %b3 = arith.addf %b2, %a2 : f32
  %end = arith.addf %b3, %a3 : f32
  %from1 = arith.cmpf ogt, %x, %s : f32
  %from2 = arith.cmpf ogt, %x, %b2 : f32
  %from3 = arith.cmpf ogt, %x, %b3 : f32
  %isPast = arith.cmpf ogt, %x, %end : f32
  // The segment's beginning and width; past the end, nothing.
  %begin2 = arith.select %from2, %b2, %s : f32
  %begin = arith.select %from3, %b3, %begin2 : f32
  %width2 = arith.select %from2, %a2, %a1 : f32
  %width = arith.select %from3, %a3, %width2 : f32
  %slope0 = arith.divf %one, %width : f32
  %slope1 = arith.select %from1, %slope0, %zero : f32
  %slope = arith.select %isPast, %zero, %slope1 : f32
  %fall = arith.negf %slope : f32
  %into = arith.subf %x, %begin : f32
  %part = arith.divf %into, %width : f32
  %own = arith.mulf %fall, %part : f32
  // A width counts in full from the next segment on, in part in its own.
  %da1 = arith.select %from2, %fall, %own : f32
  %own2 = arith.select %from2, %own, %zero : f32
  %da2 = arith.select %from3, %fall, %own2 : f32
  %da3 = arith.select %from3, %own, %zero : f32
  quant_ste.yield %slope, %fall, %da1, %da2, %da3 : f32, f32, f32, f32, f32
}

func.func @forward(%x: tensor<?xf32>, %s: f32, %a1: f32, %a2: f32, %a3: f32)
    -> tensor<?xf32> {
  %y = quant_ste.apply @n2uq(%x, %s, %a1, %a2, %a3)
    : tensor<?xf32>, f32, f32, f32, f32
  return %y : tensor<?xf32>
}
func.func @gradient(%x: tensor<?xf32>, %s: f32, %a1: f32, %a2: f32, %a3: f32,
                    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, f32, f32, f32, f32) {
  %r:6 = quant_ste.vjp @forward(%x, %s, %a1, %a2, %a3) cotangents(%dy)
    wrt [0, 1, 2, 3, 4]
    : (tensor<?xf32>, f32, f32, f32, f32), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, f32, f32, f32, f32)
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5
    : tensor<?xf32>, tensor<?xf32>, f32, f32, f32, f32
}
