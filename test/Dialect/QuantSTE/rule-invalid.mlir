// RUN: qopt-opt %s --split-input-file --verify-diagnostics

// expected-error@+1 {{'quant_ste.rule' op expected a gradient in 'partials' or in 'vjp', got neither}}
quant_ste.rule @no_gradient
forward(%a: f32) { quant_ste.yield %a : f32 }

// -----

// expected-error@+1 {{'quant_ste.rule' op expected a function of 1 to 31 f32 to f32, or of f64 to f64, got '(f16) -> f16'}}
quant_ste.rule @compute_type
forward(%a: f16) { quant_ste.yield %a : f16 }
partials(%a: f16, %r: f16) { quant_ste.yield %a : f16 }

// -----

// expected-error@+1 {{got '(f32, f64) -> f32'}}
quant_ste.rule private @mixed_types(f32, f64) -> f32

// -----

// expected-error@+1 {{got '() -> f32'}}
quant_ste.rule private @no_operand() -> f32

// -----

// expected-error@+1 {{symbol declaration cannot have public visibility}}
quant_ste.rule @public_declaration(f32) -> f32

// -----

// expected-error@+1 {{expected 'forward' to take the operands, in the compute type: ('f32', 'f32'), got ('f32')}}
"quant_ste.rule"() <{sym_name = "other_type", function_type = (f32, f32) -> f32}> ({
^bb0(%a: f32):
  quant_ste.yield %a : f32
}, {
^bb0(%a: f32, %r: f32):
  quant_ste.yield %a : f32
}, {}) : () -> ()

// -----

// expected-error@+1 {{expected 'forward' beside the gradient, got none}}
"quant_ste.rule"() <{sym_name = "no_forward", sym_visibility = "private", function_type = (f32) -> f32}> ({}, {
^bb0(%a: f32, %r: f32):
  quant_ste.yield %a : f32
}, {}) : () -> ()

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.apply' op expected a quant_ste.rule named @f, found none}}
  %y = quant_ste.apply @f(%x) : tensor<4xf32>
  return
}

// -----

// expected-note@+1 {{declared here}}
quant_ste.rule private @two(f32, f32) -> f32
func.func @operand_count(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected a rule of type '(f32) -> f32' for data of type 'tensor<4xf32>', got @two of type '(f32, f32) -> f32'}}
  %y = quant_ste.apply @two(%x) : tensor<4xf32>
  return
}

// -----

// expected-note@+1 {{declared here}}
quant_ste.rule private @wide(f64) -> f64
func.func @apply_type(%x: tensor<4xf16>) {
  // expected-error@+1 {{expected a rule of type '(f32) -> f32' for data of type 'tensor<4xf16>', got @wide of type '(f64) -> f64'}}
  %y = quant_ste.apply @wide(%x) : tensor<4xf16>
  return
}

// -----

quant_ste.rule private @two(f32, f32) -> f32
func.func @axes(%x: tensor<4xf32>, %s: tensor<4xf32>) {
  // expected-error@+1 {{expected 'operand 1' to be one value for the whole tensor, as it has no axes([...]), got 'tensor<4xf32>'}}
  %y = quant_ste.apply @two(%x, %s) : tensor<4xf32>, tensor<4xf32>
  return
}
