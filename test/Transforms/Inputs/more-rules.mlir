quant_ste.rule @scale
forward(%a: f32, %b: f32) {
  quant_ste.yield %a : f32
} partials(%a: f32, %b: f32, %r: f32) {
  quant_ste.yield %a, %b : f32, f32
}
