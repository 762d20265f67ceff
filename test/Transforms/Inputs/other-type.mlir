quant_ste.rule private @halve(f64) -> f64
func.func @f(%x: f64) -> f64 {
  %a = quant_ste.apply @halve(%x) : f64
  return %a : f64
}
