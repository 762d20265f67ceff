// RUN: qopt-opt %s --quant-ste-differentiate \
// RUN:   --convert-quant-ste-to-linalg --split-input-file --verify-diagnostics

// A gradient in 'vjp' need not be linear, so it has no forward mode.
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error@+1 {{'quant_ste.custom' op has no forward mode: expected its gradient in 'partials', got 'vjp'}}
  %y = quant_ste.custom %x : tensor<?xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  vjp(%a: f32, %y: f32, %dy: f32) { quant_ste.yield %dy : f32 }
  return %y : tensor<?xf32>
}
func.func @jvp(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  // expected-note@+1 {{the derivative of @f is asked for here}}
  %r:2 = quant_ste.jvp @f(%x) tangents(%t) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %r#1 : tensor<?xf32>
}

// -----

func.func @pushforward(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error@+2 {{the gradient rule of 'quant_ste.custom' has no forward mode}}
  // expected-error@+1 {{failed to legalize operation 'quant_ste.pushforward'}}
  %ty = quant_ste.pushforward(%t) at(%x) wrt [0] {
  ^bb0(%a: tensor<?xf32>):
    %y = quant_ste.custom %a : tensor<?xf32>
    forward(%a: f32) { quant_ste.yield %a : f32 }
    vjp(%a: f32, %y: f32, %dy: f32) { quant_ste.yield %dy : f32 }
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
  return %ty : tensor<?xf32>
}
