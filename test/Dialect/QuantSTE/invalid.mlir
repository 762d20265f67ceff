// RUN: qopt-opt %s --split-input-file --verify-diagnostics

func.func @integer_data(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be f16, bf16, f32 or f64, as a ranked tensor or plain, but got 'tensor<4xi32>'}}
  %0 = "quant_ste.round"(%x) {grad = #quant_ste.ste} : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @unranked_data(%x: tensor<*xf32>) {
  // expected-error@+1 {{operand #0 must be f16, bf16, f32 or f64, as a ranked tensor or plain, but got 'tensor<*xf32>'}}
  %0 = "quant_ste.round"(%x) {grad = #quant_ste.ste} : (tensor<*xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @result_type(%x: tensor<4xf32>) {
  // expected-error@+1 {{failed to verify that all of {x, y} have same type}}
  %0 = "quant_ste.round"(%x) {grad = #quant_ste.ste} : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @no_gradient(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected 'grad'}}
  %0 = quant_ste.round %x : tensor<4xf32>
  return
}

// -----

func.func @unknown_word(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected a gradient rule, a word of quant_ste or an attribute of another dialect, got 'straight'}}
  %0 = quant_ste.round %x grad(straight) : tensor<4xf32>
  return
}

// -----

func.func @word_of_no_rule(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected a gradient rule, a word of quant_ste or an attribute of another dialect, got '#arith.fastmath<fast>'}}
  %0 = quant_ste.round %x grad(#arith.fastmath<fast>) : tensor<4xf32>
  return
}

// -----

func.func @unfitting_word(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.round' op expected gradient rule 'ste' or 'window' or 'open_window' or 'ewgs', got 'pact'}}
  %0 = quant_ste.round %x grad(pact) : tensor<4xf32>
  return
}

// -----

func.func @unfitting_word_of_two(%x: tensor<4xf32>, %b: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.tensor_clamp' op expected gradient rule 'ste' or 'exact', got 'clipped'}}
  %0 = quant_ste.tensor_clamp %x, %b, %b grad(clipped) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @generic_grad(%x: tensor<4xf32>) {
  // expected-error@+1 {{attribute 'grad' failed to satisfy constraint: gradient rule}}
  %0 = "quant_ste.round"(%x) {grad = 4 : i32} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @bits_zero(%x: tensor<4xf32>, %a: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.pact' op expected bits in 1..32, got 0}}
  %0 = quant_ste.pact %x, %a bits(0) grad(pact) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @bits_large(%x: tensor<4xf32>, %a: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.pact' op expected bits in 1..32, got 33}}
  %0 = quant_ste.pact %x, %a bits(33) grad(pact) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @parameter_type(%x: tensor<4xf16>, %a: tensor<bf16>) {
  // expected-error@+1 {{expected 'alpha' of element type 'f16' (the data's) or 'f32', got 'tensor<bf16>'}}
  %0 = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<4xf16>, tensor<bf16>
  return
}

// -----

func.func @parameter_rank(%x: tensor<4xf32>, %a: tensor<4xf32>) {
  // expected-error@+1 {{expected 'alpha' to be one value for the whole tensor, as it has no axes([...]), got 'tensor<4xf32>'}}
  %0 = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @axes_rank(%x: tensor<4x3xf32>, %a: tensor<4x3xf32>) {
  // expected-error@+1 {{expected 'alpha' of rank 1, one dimension for each of its axes, got 'tensor<4x3xf32>'}}
  %0 = quant_ste.pact %x, %a axes([0]) bits(4) grad(pact) : tensor<4x3xf32>, tensor<4x3xf32>
  return
}

// -----

func.func @axis_too_large(%x: tensor<4x3xf32>, %a: tensor<4xf32>) {
  // expected-error@+1 {{expected axes of 'alpha' in [0, 2), got 2}}
  %0 = quant_ste.pact %x, %a axes([2]) bits(4) grad(pact) : tensor<4x3xf32>, tensor<4xf32>
  return
}

// -----

func.func @axis_negative(%x: tensor<4x3xf32>, %a: tensor<3xf32>) {
  // expected-error@+1 {{expected axes of 'alpha' in [0, 2), got -1}}
  %0 = quant_ste.pact %x, %a axes([-1]) bits(4) grad(pact) : tensor<4x3xf32>, tensor<3xf32>
  return
}

// -----

func.func @axes_order(%x: tensor<4x3xf32>, %a: tensor<3x4xf32>) {
  // expected-error@+1 {{expected axes of 'alpha' in ascending order, got [1, 0]}}
  %0 = quant_ste.pact %x, %a axes([1, 0]) bits(4) grad(pact) : tensor<4x3xf32>, tensor<3x4xf32>
  return
}

// -----

func.func @axes_twice(%x: tensor<4x4xf32>, %a: tensor<4x4xf32>) {
  // expected-error@+1 {{expected axes of 'alpha' in ascending order, got [1, 1]}}
  %0 = quant_ste.pact %x, %a axes([1, 1]) bits(4) grad(pact) : tensor<4x4xf32>, tensor<4x4xf32>
  return
}

// -----

func.func @axis_size(%x: tensor<4x3xf32>, %a: tensor<4xf32>) {
  // expected-error@+1 {{expected dimension 0 of 'alpha' to have size 3, as dimension 1 of the data has, got 'tensor<4xf32>' for 'tensor<4x3xf32>'}}
  %0 = quant_ste.pact %x, %a axes([1]) bits(4) grad(pact) : tensor<4x3xf32>, tensor<4xf32>
  return
}

// -----

func.func @plain_data_tensor_parameter(%x: f32, %a: tensor<f32>) {
  // expected-error@+1 {{expected 'alpha' to be a plain float, as the data is, got 'tensor<f32>'}}
  %0 = quant_ste.pact %x, %a bits(4) grad(pact) : f32, tensor<f32>
  return
}

// -----

func.func @no_signedness(%b: f32) {
  // expected-error@+1 {{expected 'signed' or 'unsigned'}}
  %0 = quant_ste.max_int %b grad(exact) : f32
  return
}

// -----

func.func @unknown_rounding(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected a rounding, one of round, floor, ceil, round_to_zero, dpu, got 'half_away'}}
  %0 = quant_ste.int_quant %x, %s, %s, %s signed rounding(half_away) grad(clipped)
    : tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @no_callee(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected a function named @nowhere, found none}}
  %0:2 = quant_ste.value_and_grad @nowhere(%x) wrt [0] : (tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>, i64) -> tensor<f32>
func.func @operand_types(%x: tensor<5xf32>, %i: i64) {
  // expected-error@+1 {{expected operands of the types that @f takes, ('tensor<4xf32>', 'i64'), got ('tensor<5xf32>', 'i64')}}
  %0:2 = quant_ste.value_and_grad @f(%x, %i) wrt [0] : (tensor<5xf32>, i64) -> (tensor<f32>, tensor<5xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>, i64) -> tensor<f32>
func.func @wrt_integer(%x: tensor<4xf32>, %i: i64) {
  // expected-error@+1 {{expected a float argument in 'wrt', got 'i64' for argument 1}}
  %0:2 = quant_ste.value_and_grad @f(%x, %i) wrt [1] : (tensor<4xf32>, i64) -> (tensor<f32>, i64)
  return
}

// -----

func.func private @f(tensor<4xf32>, i64) -> tensor<f32>
func.func @wrt_range(%x: tensor<4xf32>, %i: i64) {
  // expected-error@+1 {{expected 'wrt' in [0, 2), got 2}}
  %0:2 = quant_ste.value_and_grad @f(%x, %i) wrt [2] : (tensor<4xf32>, i64) -> (tensor<f32>, i64)
  return
}

// -----

func.func private @f(tensor<4xf32>, i64) -> tensor<f32>
func.func @wrt_empty(%x: tensor<4xf32>, %i: i64) {
  // expected-error@+1 {{expected 'wrt' to list at least one argument}}
  %0 = quant_ste.value_and_grad @f(%x, %i) wrt [] : (tensor<4xf32>, i64) -> tensor<f32>
  return
}

// -----

func.func private @f(tensor<4xf32>, i64) -> tensor<f32>
func.func @wrt_twice(%x: tensor<4xf32>, %i: i64) {
  // expected-error@+1 {{expected each argument once in 'wrt', got 0 twice}}
  %0:3 = quant_ste.value_and_grad @f(%x, %i) wrt [0, 0] : (tensor<4xf32>, i64) -> (tensor<f32>, tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<4xf32>
func.func @not_a_scalar(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected @f to return one float (plain or a rank-0 tensor), got ('tensor<4xf32>')}}
  %0:2 = quant_ste.value_and_grad @f(%x) wrt [0] : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> f32
func.func @gradient_types(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected results of types ('f32', 'tensor<4xf32>'), got ('f32', 'f32')}}
  %0:2 = quant_ste.value_and_grad @f(%x) wrt [0] : (tensor<4xf32>) -> (f32, f32)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> (f32, i32)
func.func @cotangent_types(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected cotangents of types ('f32'), got ('tensor<4xf32>')}}
  %0:3 = quant_ste.vjp @f(%x) cotangents(%x) wrt [0]
    : (tensor<4xf32>), (tensor<4xf32>) -> (f32, i32, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> (f32, i32)
func.func @tangent_types(%x: tensor<4xf32>, %t: f32) {
  // expected-error@+1 {{expected tangents of types ('tensor<4xf32>'), got ('f32')}}
  %0:3 = quant_ste.jvp @f(%x) tangents(%t) wrt [0]
    : (tensor<4xf32>), (f32) -> (f32, i32, f32)
  return
}

// -----

func.func @pullback_of_what(%x: tensor<4xf32>, %dy: tensor<4xf32>) {
  // expected-error@+1 {{expected an op with a gradient rule, got 'math.exp'}}
  %dx = quant_ste.pullback(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<4xf32>):
    %y = math.exp %a : tensor<4xf32>
    quant_ste.yield %y : tensor<4xf32>
  } : (tensor<4xf32>), (tensor<4xf32>) -> (tensor<4xf32>)
  return
}

// -----

func.func @pullback_of_two(%x: tensor<4xf32>, %dy: tensor<4xf32>) {
  // expected-error@+1 {{expected one op and its yield in the region, got 3 ops}}
  %dx = quant_ste.pullback(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<4xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<4xf32>
    %z = quant_ste.round %a grad(ste) : tensor<4xf32>
    quant_ste.yield %z : tensor<4xf32>
  } : (tensor<4xf32>), (tensor<4xf32>) -> (tensor<4xf32>)
  return
}

// -----

func.func @pullback_wrt(%x: tensor<4xf32>, %dy: tensor<4xf32>) {
  // expected-error@+1 {{expected 'wrt' ascending in [0, 1), got [1]}}
  %dx = quant_ste.pullback(%dy) at(%x) wrt [1] {
  ^bb0(%a: tensor<4xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<4xf32>
    quant_ste.yield %y : tensor<4xf32>
  } : (tensor<4xf32>), (tensor<4xf32>) -> (tensor<4xf32>)
  return
}

// -----

func.func @pullback_types(%x: tensor<4xf32>, %dy: tensor<5xf32>) {
  // expected-error@+1 {{expected cotangents of types ('tensor<4xf32>'), got ('tensor<5xf32>')}}
  %dx = quant_ste.pullback(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<4xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<4xf32>
    quant_ste.yield %y : tensor<4xf32>
  } : (tensor<5xf32>), (tensor<4xf32>) -> (tensor<4xf32>)
  return
}

// -----

// expected-error@+2 {{'quant_ste.yield' op expects parent op to be one of 'quant_ste.pullback, quant_ste.pushforward, quant_ste.custom, quant_ste.rule'}}
func.func @yield_elsewhere(%x: tensor<4xf32>) {
  quant_ste.yield %x : tensor<4xf32>
}

// -----

func.func @checkpoint(%x: f32, %n: index) -> f32 {
  // expected-error @below {{'scf.for' op expected 'quant_ste.checkpoint' to be "sqrt" or a positive i64, got 0 : i64}}
  %r = scf.for %i = %n to %n step %n iter_args(%a = %x) -> f32 {
    scf.yield %a : f32
  } {quant_ste.checkpoint = 0 : i64}
  return %r : f32
}

// -----

func.func @checkpoint(%x: f32) -> f32 {
  // expected-error @below {{'arith.negf' op expected 'quant_ste.checkpoint' on an scf.for}}
  %y = arith.negf %x {quant_ste.checkpoint = "sqrt"} : f32
  return %y : f32
}

// -----

// expected-error @below {{'func.func' op expected 'quant_ste.vjp' beside 'quant_ste.vjp_forward', to take its residuals}}
func.func @forward_alone(%x: f32) -> f32 attributes {quant_ste.vjp_forward = @forward} {
  return %x : f32
}

// -----

// expected-error @below {{'func.func' op expected 'quant_ste.vjp' to name a function, as in quant_ste.vjp = @rule, got "rule"}}
func.func @own_rule(%x: f32) -> f32 attributes {quant_ste.vjp = "rule"} {
  return %x : f32
}

// -----

func.func @own_rule(%x: f32) -> f32 {
  // expected-error @below {{'arith.negf' op expected 'quant_ste.jvp' on a function}}
  %y = arith.negf %x {quant_ste.jvp = @own_rule} : f32
  return %y : f32
}

// -----

func.func @word_without_its_number(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected '('}}
  %0 = quant_ste.binary_sign %x grad(swish) : tensor<4xf32>
  return
}

// -----

func.func @word_with_a_number_too_many(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected ')'}}
  %0 = quant_ste.binary_sign %x grad(ste(1.0)) : tensor<4xf32>
  return
}

// -----

func.func @number_of_a_wrong_type(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected floating point literal}}
  %0 = quant_ste.binary_sign %x grad(swish("5")) : tensor<4xf32>
  return
}

// -----

func.func @temperature(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.progressive_sign' op expected temperature in [0, 1], got 1.5}}
  %0 = quant_ste.progressive_sign %x temperature(1.5) grad(ste) : tensor<4xf32>
  return
}

// -----

func.func @dorefa_bits(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.dorefa' op expected bits in 1..32, got 0}}
  %0 = quant_ste.dorefa %x bits(0) grad(ste) : tensor<4xf32>
  return
}

// -----

func.func @pushforward_of_a_rule_that_is_not_linear(%x: tensor<?xf32>) {
  %t = quant_ste.pushforward(%x) at(%x) wrt [0] {
  ^bb0(%a: tensor<?xf32>):
    // expected-error@+1 {{gradient rule 'ewgs' is not linear in the cotangent and has no forward mode}}
    %y = quant_ste.round %a grad(ewgs(0.25)) : tensor<?xf32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
  return
}

// -----

func.func @statistic_word(%x: tensor<4x?xf32>) {
  // expected-error@+1 {{'quant_ste.absmax' op expected gradient rule 'first' or 'shared', got 'ste'}}
  %0 = quant_ste.absmax %x grad(ste) : tensor<4x?xf32> -> tensor<f32>
  return
}

// -----

func.func @statistic_type(%x: tensor<4x?xf32>) {
  // expected-error@+1 {{expected a result of type 'tensor<4xf32>', the data's dimensions listed in axes, got 'tensor<f32>'}}
  %0 = quant_ste.absmax %x axes([0]) grad(first) : tensor<4x?xf32> -> tensor<f32>
  return
}

// -----

func.func @statistic_axes(%x: tensor<4x?xf32>) {
  // expected-error@+1 {{expected axes of 'x' in [0, 2), got 2}}
  %0 = quant_ste.absmax %x axes([2]) grad(first) : tensor<4x?xf32> -> tensor<f32>
  return
}

// -----

func.func @stepwise_in_another_type(%x: tensor<4xf16>, %a: tensor<f32>) {
  // expected-error@+1 {{expected 'alpha' of element type 'f16' (the data's), which 'stepwise' rounds to, got 'tensor<f32>'}}
  %0 = quant_ste.pact %x, %a bits(4) stepwise grad(pact) : tensor<4xf16>, tensor<f32>
  return
}

// -----

func.func @lsq_reversed(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.lsq' op expected qmin <= qmax, got 7 and -8}}
  %0 = quant_ste.lsq %x, %s qmin(7) qmax(-8) grad_scale(1.0) grad(lsq) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @lsq_range(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.lsq' op expected qmin and qmax in [-2147483648, 4294967295], got 4294967296}}
  %0 = quant_ste.lsq %x, %s qmin(0) qmax(4294967296) grad_scale(1.0) grad(lsq) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @lsq_grad_scale(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.lsq' op expected a finite grad_scale, got inf}}
  %0 = quant_ste.lsq %x, %s qmin(0) qmax(7) grad_scale(0x7FF0000000000000) grad(lsq) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @lsq_plus_reversed(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.lsq_plus' op expected qmin <= qmax, got 1 and 0}}
  %0 = quant_ste.lsq_plus %x, %s, %s qmin(1) qmax(0) grad_scale(1.0) grad(lsq) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @tqt_bits(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.tqt' op expected bits in 1..32, got 33}}
  %0 = quant_ste.tqt %x, %s bits(33) signed grad(tqt) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @tqt_signedness(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected 'signed' or 'unsigned'}}
  %0 = quant_ste.tqt %x, %s bits(8) grad(tqt) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @ewgs_levels(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.ewgs' op expected levels in [2, 4294967296], got 1}}
  %0 = quant_ste.ewgs %x levels(1) grad(ewgs(0.1)) : tensor<4xf32>
  return
}

// -----

func.func @ewgs_word(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.ewgs' op expected gradient rule 'ewgs', got 'ste'}}
  %0 = quant_ste.ewgs %x levels(2) grad(ste) : tensor<4xf32>
  return
}

// -----

func.func @fake_quantize_reversed(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.fake_quantize' op expected qmin <= qmax, got 128 and 127}}
  %0 = quant_ste.fake_quantize %x, %s, %s qmin(128) qmax(127) grad(clipped) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @fake_quantize_scaling(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected a scaling, one of reciprocal, divide, got 'multiply'}}
  %0 = quant_ste.fake_quantize %x, %s, %s qmin(0) qmax(127) scaling(multiply) grad(clipped) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @fake_quantize_zero_point(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected a zero_point, one of after, before, got 'between'}}
  %0 = quant_ste.fake_quantize %x, %s, %s qmin(0) qmax(127) zero_point(between) grad(clipped) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @learnable_fake_quantize_range(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.learnable_fake_quantize' op expected qmin and qmax in [-2147483648, 4294967295], got -2147483649}}
  %0 = quant_ste.learnable_fake_quantize %x, %s, %s qmin(-2147483649) qmax(127) grad_factor(1.0) grad(clipped) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @learnable_fake_quantize_grad_factor(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.learnable_fake_quantize' op expected a finite grad_factor, got nan}}
  %0 = quant_ste.learnable_fake_quantize %x, %s, %s qmin(0) qmax(127) grad_factor(0x7FF8000000000000) grad(clipped) : tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @stochastic_round_per_element(%x: tensor<4xf32>, %u: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.stochastic_round' op expected 'u' to be one value for the whole tensor, as it has no axes([...]), got 'tensor<4xf32>'}}
  %0 = quant_ste.stochastic_round %x, %u grad(ste) : tensor<4xf32>, tensor<4xf32>
  return
}


// -----

func.func @threshold_negative(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.ternary_quant' op expected a finite threshold, not below 0, got -0.5}}
  %0 = quant_ste.ternary_quant %x, %s threshold(-0.5) grad(ste) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @threshold_infinite(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.ternary_quant' op expected a finite threshold, not below 0, got inf}}
  %0 = quant_ste.ternary_quant %x, %s threshold(0x7FF0000000000000) grad(ste) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @unclamped_binary(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.binary_quant' op expected gradient rule 'ste', got 'clipped'}}
  %0 = quant_ste.binary_quant %x, %s grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @clamped_binary_ste(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.clamped_binary_quant' op expected gradient rule 'clipped' or 'unfused', got 'ste'}}
  %0 = quant_ste.clamped_binary_quant %x, %s grad(ste) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @decoupled_scale_rank(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected 'scale' to be one value for the whole tensor, as it has no axes([...]), got 'tensor<4xf32>'}}
  %0 = quant_ste.decoupled_int_quant %x, %s, %s, %x, %s, %s signed grad(ste)
    : tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<4xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @trunc_ste(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.trunc_int_quant' op expected gradient rule 'clipped' or 'unfused', got 'ste'}}
  %0 = quant_ste.trunc_int_quant %x, %s, %s, %s, %s signed grad(ste)
    : tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @trunc_sign(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected 'signed' or 'unsigned'}}
  %0 = quant_ste.trunc_int_quant %x, %s, %s, %s, %s grad(clipped)
    : tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @power_of_two_rounding(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected a rounding, one of round, floor, ceil, round_to_zero, dpu, got 'up'}}
  %0 = quant_ste.power_of_two %x rounding(up) grad(ste) : tensor<4xf32>
  return
}

// -----

func.func @signed_clamp_word(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.scalar_signed_clamp_min' op expected gradient rule 'ste', got 'exact'}}
  %0 = quant_ste.scalar_signed_clamp_min %x min(0.0) grad(exact) : tensor<4xf32>
  return
}

// -----

func.func @format_name(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected a float format, one of e4m3, e5m2, e4m3_ocp, e5m2_ocp, e4m3_fnuz, e5m2_fnuz, e3m2, e2m3, e2m1, or its exponent bits, mantissa bits, bias and largest number, got 'e3m4'}}
  %0 = quant_ste.float_quant %x, %s format(e3m4) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_above(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected what lies above the largest number, one of none, inf, nan, got 'max'}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, 7, 448.0, max) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_exponent(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected 1..8 exponent bits, got 9}}
  %0 = quant_ste.float_quant %x, %s format(9, 3, 7, 448.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_mantissa(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected 0..23 mantissa bits, got 24}}
  %0 = quant_ste.float_quant %x, %s format(4, 24, 7, 448.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_bias(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected a bias whose format lies within that of f32, got 148}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, 148, 448.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_bias_negative(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected a bias whose format lies within that of f32, got -127}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, -127, 448.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_max_sign(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected a largest number that is positive and finite in f32, got -1.0}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, 7, -1.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_max_between(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected a largest number that the format has, got 450.0}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, 7, 450.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_max_beyond(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected a largest number that the format has, got 512.0}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, 7, 512.0) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_overflow(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.float_quant' op expected 'saturating', as the format has neither inf nor NaN}}
  %0 = quant_ste.float_quant %x, %s format(e2m1) signed grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @format_number(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{expected floating point literal}}
  %0 = quant_ste.float_quant %x, %s format(4, 3, 7, x) signed saturating grad(clipped) : tensor<4xf32>, tensor<f32>
  return
}

// -----

func.func @element_name(%amax: tensor<f32>) {
  // expected-error@+1 {{expected a float format, one of e4m3, e5m2, e4m3_ocp, e5m2_ocp, e4m3_fnuz, e5m2_fnuz, e3m2, e2m3, e2m1, or its exponent bits, mantissa bits, bias and largest number, got 'int4'}}
  %0 = quant_ste.mx_scale %amax element(int4) grad(ste) : tensor<f32>
  return
}

// -----

func.func @element_max(%amax: tensor<f32>) {
  // expected-error@+1 {{'quant_ste.mx_scale' op expected a largest number that the format has, got 450.0}}
  %0 = quant_ste.mx_scale %amax element(4, 3, 7, 450.0) grad(ste) : tensor<f32>
  return
}


// -----

func.func @uniform_sizes(%seed: i64, %n: index) {
  // expected-error@+1 {{'quant_ste.uniform' op expected one size for each dynamic dimension of 'tensor<?x8xf32>' (1), got 2}}
  %0 = quant_ste.uniform seed(%seed) step(%seed) sizes(%n, %n) : tensor<?x8xf32>
  return
}

// -----

func.func @uniform_type(%seed: i64) {
  // expected-error@+1 {{'quant_ste.uniform' op result #0 must be ranked tensor of 32-bit float values, but got 'tensor<8xf64>'}}
  %0 = quant_ste.uniform seed(%seed) step(%seed) : tensor<8xf64>
  return
}

// -----

func.func @f(%m: tensor<2x11xi1>) {
  // expected-error @below {{expected bytes of type 'tensor<2x2xi8>' for the bits of 'tensor<2x11xi1>', got 'tensor<2x3xi8>'}}
  %p = quant_ste.pack_bits %m : tensor<2x11xi1> -> tensor<2x3xi8>
  return
}

// -----

func.func @f(%m: tensor<2x11xi1>) {
  // expected-error @below {{expected row_dims from 1 to the rank of 'tensor<2x11xi1>', got 3}}
  %p = quant_ste.pack_bits %m row_dims(3) : tensor<2x11xi1> -> tensor<3xi8>
  return
}

// -----

func.func @f(%m: tensor<2x?xi1>) {
  // expected-error @below {{expected static sizes after the first of the 2 dimensions that make a row, got 'tensor<2x?xi1>'}}
  %p = quant_ste.pack_bits %m row_dims(2) : tensor<2x?xi1> -> tensor<?xi8>
  return
}

// -----

func.func @f(%p: tensor<2x?xi8>) {
  // expected-error @below {{expected size for the first dimension of a row of 'tensor<2x?xi1>', got none}}
  %m = quant_ste.unpack_bits %p : tensor<2x?xi8> -> tensor<2x?xi1>
  return
}

// -----

func.func @f(%p: tensor<2x2xi8>, %n: index) {
  // expected-error @below {{expected no size for the first dimension of a row of 'tensor<2x11xi1>', got one}}
  %m = quant_ste.unpack_bits %p size(%n) : tensor<2x2xi8> -> tensor<2x11xi1>
  return
}
