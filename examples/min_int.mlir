// The smallest signed integer of a bit width that can be learned.
func.func @forward(%bit_width: f32) -> f32 {
  %q = quant_ste.min_int %bit_width signed narrow_range grad(exact) : f32
  return %q : f32
}

func.func @gradient(%bit_width: f32) -> (f32, f32) {
  %q, %dbit_width = quant_ste.value_and_grad @forward(%bit_width) wrt [0]
    : (f32) -> (f32, f32)
  return %q, %dbit_width : f32, f32
}
