quant_ste.rule private @ede(f32, f32) -> f32
func.func @f(%x: tensor<?xf32>, %t: f32) -> tensor<?xf32> {
  %y = quant_ste.apply @ede(%x, %t) : tensor<?xf32>, f32
  return %y : tensor<?xf32>
}
