// A rule library. Other functions may stand beside the rules.
quant_ste.rule @halve
forward(%a: f32) {
  %half = arith.constant 0.5 : f32
  %r = arith.mulf %a, %half : f32
  quant_ste.yield %r : f32
} partials(%a: f32, %r: f32) {
  %half = arith.constant 0.5 : f32
  quant_ste.yield %half : f32
}

quant_ste.rule @scale
forward(%a: f32, %b: f32) {
  %r = arith.mulf %a, %b : f32
  quant_ste.yield %r : f32
} vjp(%a: f32, %b: f32, %r: f32, %dy: f32) {
  %da = arith.mulf %dy, %b : f32
  %db = arith.mulf %dy, %a : f32
  quant_ste.yield %da, %db : f32, f32
}

quant_ste.rule private @elsewhere(f32) -> f32

func.func @unused(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
