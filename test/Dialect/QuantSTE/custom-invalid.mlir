// RUN: qopt-opt %s --split-input-file --verify-diagnostics

func.func @no_gradient(%x: tensor<4xf32>) {
  // expected-error@+1 {{'quant_ste.custom' op expected a gradient in 'partials' or in 'vjp', got neither}}
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @two_gradients(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected a gradient in 'partials' or in 'vjp', got both}}
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  vjp(%a: f32, %r: f32, %dy: f32) { quant_ste.yield %dy : f32 }
  return
}

// -----

func.func @no_forward(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected 'forward'}}
  %y = quant_ste.custom %x : tensor<4xf32>
  partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @forward_arguments(%x: tensor<4xf32>, %s: f32) {
  // expected-error@+1 {{expected 'forward' to take the operands, in the compute type: ('f32', 'f32'), got ('f32')}}
  %y = quant_ste.custom %x, %s : tensor<4xf32>, f32
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %b: f32, %r: f32) { quant_ste.yield %a, %b : f32, f32 }
  return
}

// -----

// f16 data is computed in f32.
func.func @compute_type(%x: tensor<4xf16>) {
  // expected-error@+1 {{expected 'forward' to take the operands, in the compute type: ('f32'), got ('f16')}}
  %y = quant_ste.custom %x : tensor<4xf16>
  forward(%a: f16) { quant_ste.yield %a : f16 }
  partials(%a: f16, %r: f16) { quant_ste.yield %a : f16 }
  return
}

// -----

func.func @compute_type_f64(%x: tensor<4xf64>) {
  // expected-error@+1 {{expected 'partials' to take the operands and the result, in the compute type: ('f64', 'f64'), got ('f64', 'f32')}}
  %y = quant_ste.custom %x : tensor<4xf64>
  forward(%a: f64) { quant_ste.yield %a : f64 }
  partials(%a: f64, %r: f32) { quant_ste.yield %a : f64 }
  return
}

// -----

func.func @vjp_arguments(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected 'vjp' to take the operands, the result and its cotangent, in the compute type: ('f32', 'f32', 'f32'), got ('f32', 'f32')}}
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  vjp(%a: f32, %dy: f32) { quant_ste.yield %dy : f32 }
  return
}

// -----

func.func @forward_yield_count(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    // expected-error@+1 {{expected 'forward' to yield values of type 'f32', 1 in all, got ('f32', 'f32')}}
    quant_ste.yield %a, %a : f32, f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @forward_yields_mask(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    %m = arith.cmpf olt, %a, %a : f32
    // expected-error@+1 {{expected 'forward' to yield values of type 'f32', 1 in all, got ('i1')}}
    quant_ste.yield %m : i1
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @partials_yield(%x: tensor<4xf32>, %s: f32) {
  %y = quant_ste.custom %x, %s : tensor<4xf32>, f32
  forward(%a: f32, %b: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %b: f32, %r: f32) {
    // expected-error@+1 {{expected 'partials' to yield for each operand the partial derivative, 'f32' or a mask, i1, 2 in all, got ('f32')}}
    quant_ste.yield %a : f32
  }
  return
}

// -----

func.func @vjp_yields_mask(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  vjp(%a: f32, %r: f32, %dy: f32) {
    %m = arith.cmpf olt, %a, %dy : f32
    // expected-error@+1 {{expected 'vjp' to yield values of type 'f32', 1 in all, got ('i1')}}
    quant_ste.yield %m : i1
  }
  return
}

// -----

func.func @no_yield(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected 'forward' to end with quant_ste.yield, got 'llvm.unreachable'}}
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { llvm.unreachable }
  partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @captured(%x: tensor<4xf32>, %s: f32) {
  // expected-note@+1 {{required by region isolation constraints}}
  %y = "quant_ste.custom"(%x) <{axes = []}> ({
  ^bb0(%a: f32):
    // expected-error@+1 {{'arith.addf' op using value defined outside the region}}
    %r = arith.addf %a, %s : f32
    quant_ste.yield %r : f32
  }, {
  ^bb0(%a: f32, %r: f32):
    quant_ste.yield %a : f32
  }, {}) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @g(f32) -> f32
func.func @call(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    // expected-error@+1 {{expected scalar ops of arith and math without side effects or regions, and ops of quant_ste with a gradient rule, in 'forward', got 'func.call'}}
    %r = func.call @g(%a) : (f32) -> f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @nested_region(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %r: f32) {
    %c = arith.cmpf olt, %a, %r : f32
    // expected-error@+1 {{in 'partials', got 'scf.if'}}
    %p = scf.if %c -> f32 {
      scf.yield %a : f32
    } else {
      scf.yield %r : f32
    }
    quant_ste.yield %p : f32
  }
  return
}

// -----

// Division of integers may trap.
func.func @undefined_behaviour(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    %i = arith.fptosi %a : f32 to i32
    // expected-error@+1 {{in 'forward', got 'arith.divsi'}}
    %j = arith.divsi %i, %i : i32
    %r = arith.sitofp %j : i32 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @vector(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    // expected-error@+1 {{expected scalars in 'forward', got 'vector<2xf32>'}}
    %v = arith.constant dense<1.0> : vector<2xf32>
    quant_ste.yield %a : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @fast_math(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    // expected-error@+1 {{expected no fast-math flags in 'forward', got #arith.fastmath<reassoc>}}
    %r = arith.addf %a, %a fastmath<reassoc> : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @parameter_rank(%x: tensor<4xf32>, %s: tensor<4xf32>) {
  // expected-error@+1 {{expected 'operand 1' to be one value for the whole tensor, as it has no axes([...]), got 'tensor<4xf32>'}}
  %y = quant_ste.custom %x, %s : tensor<4xf32>, tensor<4xf32>
  forward(%a: f32, %b: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %b: f32, %r: f32) { quant_ste.yield %a, %b : f32, f32 }
  return
}

// -----

func.func @parameter_size(%x: tensor<4xf32>, %s: tensor<5xf32>) {
  // expected-error@+1 {{expected dimension 0 of 'operand 1' to have size 4, as dimension 0 of the data has, got 'tensor<5xf32>' for 'tensor<4xf32>'}}
  %y = quant_ste.custom %x, %s axes([0]) : tensor<4xf32>, tensor<5xf32>
  forward(%a: f32, %b: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %b: f32, %r: f32) { quant_ste.yield %a, %b : f32, f32 }
  return
}

// -----

func.func @axes_count(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected 'axes' to have one list for each of the 0 parameters, got 1}}
  %y = "quant_ste.custom"(%x) <{axes = [array<i64: 0>]}> ({
  ^bb0(%a: f32):
    quant_ste.yield %a : f32
  }, {
  ^bb0(%a: f32, %r: f32):
    quant_ste.yield %a : f32
  }, {}) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @integer_data(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be f16, bf16, f32 or f64, as a ranked tensor or plain, but got 'tensor<4xi32>'}}
  %y = quant_ste.custom %x : tensor<4xi32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @masked_in_forward(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    %c = arith.cmpf olt, %a, %a : f32
    // expected-error@+1 {{'quant_ste.masked' op expected to be yielded from 'partials', got it in 'forward'}}
    %m = quant_ste.masked %c, %a : f32
    quant_ste.yield %m : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}

// -----

func.func @masked_used(%x: tensor<4xf32>) {
  %y = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %r: f32) {
    %c = arith.cmpf olt, %a, %r : f32
    // expected-error@+1 {{'quant_ste.masked' op expected to be yielded from 'partials', got another use}}
    %m = quant_ste.masked %c, %a : f32
    %n = arith.negf %m : f32
    quant_ste.yield %n : f32
  }
  return
}

// -----

func.func @too_many(%x: f32) {
  // expected-error@+1 {{expected at most 31 operands, got 32}}
  %y = quant_ste.custom %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x, %x
    : f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32
  forward(%a: f32) { quant_ste.yield %a : f32 }
  partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return
}
