// RUN: qopt-opt %s --quant-ste-differentiate --split-input-file --verify-diagnostics

func.func private @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @below {{cannot differentiate 'arith.remf': it has no gradient rule (VjpOpInterface)}}
  // expected-note @below {{stop the gradient with quant_ste.detach, or give the function around it a rule of its own (attribute quant_ste.vjp)}}
  %y = arith.remf %x, %x : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.vjp @f(%x) cotangents(%x) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

// Every op that cannot be differentiated is reported, in every function.

func.func private @f(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate 'arith.remf'}}
  // expected-note @below {{stop the gradient}}
  %y = arith.remf %x, %x : f32
  // expected-error @below {{cannot differentiate 'arith.remf'}}
  // expected-note @below {{stop the gradient}}
  %z = arith.remf %y, %y : f32
  return %z : f32
}
func.func private @g(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate 'arith.remf': it has no gradient rule (JvpOpInterface)}}
  // expected-note @below {{(attribute quant_ste.jvp)}}
  %y = arith.remf %x, %x : f32
  return %y : f32
}
func.func @ask(%x: f32) -> (f32, f32) {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  // expected-note @below {{the derivative of @g is asked for here}}
  %z, %tz = quant_ste.jvp @g(%x) tangents(%x) wrt [0] : (f32), (f32) -> (f32, f32)
  return %dx, %tz : f32, f32
}

// -----

// A function that is asked for twice is reported once.

func.func private @f(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate 'math.roundeven': its derivative is zero almost everywhere}}
  // expected-note @below {{use quant_ste.round, which declares its gradient, or say quant_ste.detach where zero is meant}}
  %y = math.roundeven %x : f32
  return %y : f32
}
func.func @ask(%x: f32) -> (f32, f32) {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  %z, %dz = quant_ste.value_and_grad @f(%dx) wrt [0] : (f32) -> (f32, f32)
  return %dx, %dz : f32, f32
}

// -----

func.func private @f(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate 'math.floor': its derivative is zero}}
  // expected-note @below {{use quant_ste.floor,}}
  %a = math.floor %x : f32
  // expected-error @below {{cannot differentiate 'math.ceil': its derivative is zero}}
  // expected-note @below {{use quant_ste.ceil,}}
  %b = math.ceil %a : f32
  // expected-error @below {{cannot differentiate 'math.round': its derivative is zero}}
  // expected-note @below {{use quant_ste.round (which rounds ties to even),}}
  %c = math.round %b : f32
  // expected-error @below {{cannot differentiate 'math.trunc': its derivative is zero}}
  // expected-note @below {{use quant_ste.round_to_zero,}}
  %d = math.trunc %c : f32
  return %d : f32
}
func.func @ask(%x: f32) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.jvp @f(%x) tangents(%x) wrt [0] : (f32), (f32) -> (f32, f32)
  return %dx : f32
}

// -----

#id = affine_map<(i) -> (i)>
// expected-note @below {{this value; pass it as an operand, stop its gradient with quant_ste.detach, or give the function around it a rule of its own}}
func.func private @gather(%table: tensor<?xf32>, %at: tensor<?xi64>, %e: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @below {{cannot differentiate 'linalg.generic': expected its region to read a value from outside that carries a derivative by tensor.extract alone, got 'tensor.extract_slice'}}
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%at : tensor<?xi64>) outs(%e : tensor<?xf32>) {
  ^bb0(%i: i64, %o: f32):
    %k = arith.index_cast %i : i64 to index
    %s = tensor.extract_slice %table[%k] [1] [1] : tensor<?xf32> to tensor<1xf32>
    %c0 = arith.constant 0 : index
    %v = tensor.extract %s[%c0] : tensor<1xf32>
    linalg.yield %v : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>, %at: tensor<?xi64>) -> tensor<?xf32> {
  // expected-note @below {{the derivative of @gather is asked for here}}
  %y, %dx = quant_ste.vjp @gather(%x, %at, %x) cotangents(%x) wrt [0]
    : (tensor<?xf32>, tensor<?xi64>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

// Control flow: how often a loop runs must be known when it starts, what it
// carries must be stacked, and what it does to the world is done once.

func.func private @f(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  // expected-error @below {{cannot differentiate 'scf.while': expected a loop whose number of iterations is known when it starts}}
  // expected-note @below {{use scf.for, perhaps with an scf.if inside, or give the function around it a rule of its own (attribute quant_ste.vjp, quant_ste.jvp)}}
  %y = scf.while (%a = %x) : (f32) -> f32 {
    %go = arith.cmpf olt, %a, %one : f32
    scf.condition(%go) %a : f32
  } do {
  ^bb0(%a: f32):
    %b = arith.addf %a, %a : f32
    scf.yield %b : f32
  }
  return %y : f32
}
func.func @ask(%x: f32) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

func.func private @f(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{cannot differentiate 'scf.for': expected carried value #0, which the gradient reads, to have the same sizes in every iteration, got 'tensor<?xf32>'}}
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<?xf32> {
    %z = arith.mulf %a, %a : tensor<?xf32>
    %c = tensor.concat dim(0) %z, %z : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    scf.yield %c : tensor<?xf32>
  }
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.vjp @f(%x, %n) cotangents(%x) wrt [0] : (tensor<?xf32>, index), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

func.func private @f(%x: f32, %c: i1, %m: memref<i32>, %n: i32) -> f32 {
  // expected-error @below {{cannot differentiate 'scf.if': expected a region without side effects, which the gradient could compute again}}
  %y = scf.if %c -> f32 {
    // expected-note @below {{this op has some}}
    memref.store %n, %m[] : memref<i32>
    %z = arith.mulf %x, %x : f32
    scf.yield %z : f32
  } else {
    scf.yield %x : f32
  }
  return %y : f32
}
func.func @ask(%x: f32, %c: i1, %m: memref<i32>, %n: i32) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.value_and_grad @f(%x, %c, %m, %n) wrt [0] : (f32, i1, memref<i32>, i32) -> (f32, f32)
  return %dx : f32
}

// -----

// An op without a rule is reported from inside of branches and loops.

func.func private @f(%x: f32, %c: i1, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> f32 {
    %z = scf.if %c -> f32 {
      // expected-error @below {{cannot differentiate 'arith.remf': it has no gradient rule (JvpOpInterface)}}
      // expected-note @below {{stop the gradient}}
      %r = arith.remf %a, %x : f32
      scf.yield %r : f32
    } else {
      scf.yield %a : f32
    }
    scf.yield %z : f32
  }
  return %y : f32
}
func.func @ask(%x: f32, %c: i1, %n: index) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %ty = quant_ste.jvp @f(%x, %c, %n) tangents(%x) wrt [0] : (f32, i1, index), (f32) -> (f32, f32)
  return %ty : f32
}

// -----

// expected-error @below {{cannot differentiate @f: expected one block, got 2; branches between blocks have no gradient}}
func.func private @f(%x: f32) -> f32 {
  cf.br ^bb1(%x : f32)
^bb1(%y: f32):
  return %y : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

func.func private @f(%x: f32, %m: memref<f32>) -> f32 {
  // expected-error @below {{cannot differentiate 'memref.store': it may write a value that carries a derivative to memory}}
  memref.store %x, %m[] : memref<f32>
  %y = memref.load %m[] : memref<f32>
  return %y : f32
}
func.func @ask(%x: f32, %m: memref<f32>) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.value_and_grad @f(%x, %m) wrt [0] : (f32, memref<f32>) -> (f32, f32)
  return %dx : f32
}

// -----

func.func private @f(%x: f32) -> f32
func.func @ask(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate @f: it has no body; give it a rule of its own (attribute quant_ste.vjp)}}
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// A rule for one mode says nothing of the other.

func.func private @rule(%x: f32, %t: f32) -> f32 {
  return %t : f32
}
func.func private @f(%x: f32) -> f32 attributes {quant_ste.vjp = @rule} {
  return %x : f32
}
func.func @ask(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate @f: it has a rule of its own in 'quant_ste.vjp' but none in 'quant_ste.jvp'}}
  %y, %ty = quant_ste.jvp @f(%x) tangents(%x) wrt [0] : (f32), (f32) -> (f32, f32)
  return %ty : f32
}

// -----

// expected-note @below {{declared here}}
func.func private @rule(%x: f32, %t: f32) -> tensor<f32>
// expected-error @below {{expected @rule, the rule in 'quant_ste.vjp', to have type '(f32, f32) -> f32', got '(f32, f32) -> tensor<f32>'}}
func.func private @f(%x: f32) -> f32 attributes {quant_ste.vjp = @rule} {
  return %x : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

func.func private @rule(%kept: i8, %t: f32) -> f32
// expected-note @below {{declared here}}
func.func private @forward(%x: f32) -> i8
// expected-error @below {{expected @forward, the forward function in 'quant_ste.vjp_forward', to have type '(f32) -> f32' and residuals as further results, got '(f32) -> i8'}}
func.func private @f(%x: f32) -> f32 attributes {quant_ste.vjp = @rule, quant_ste.vjp_forward = @forward} {
  return %x : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// expected-note @below {{declared here}}
func.func private @rule(%x: f32, %t: f32) -> f32
func.func private @forward(%x: f32) -> (f32, i8)
// expected-error @below {{expected @rule, the rule in 'quant_ste.vjp', to have type '(i8, f32) -> f32', got '(f32, f32) -> f32'}}
func.func private @f(%x: f32) -> f32 attributes {quant_ste.vjp = @rule, quant_ste.vjp_forward = @forward} {
  return %x : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// expected-error @below {{expected 'quant_ste.vjp_forward' to name a function, found no @nobody}}
func.func private @f(%x: f32) -> f32 attributes {quant_ste.vjp = @f, quant_ste.vjp_forward = @nobody} {
  return %x : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// expected-error @below {{expected 'quant_ste.jvp' to name a function, found no @nobody}}
func.func private @f(%x: f32) -> f32 attributes {quant_ste.jvp = @nobody} {
  return %x : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %ty = quant_ste.jvp @f(%x) tangents(%x) wrt [0] : (f32), (f32) -> (f32, f32)
  return %ty : f32
}

// -----

func.func private @f(%x: f32) -> f32 {
  // expected-error @below {{cannot differentiate @f: its body asks for its own derivative}}
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

func.func private @f(%x: f32) -> f32 {
  return %x : f32
}
// expected-error @below {{expected a declaration of type '(f32, f32) -> (f32, f32)' for the derivative of @f, got '(f32) -> f32'}}
func.func private @f_vjp(f32) -> f32
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// linalg: a reduction that is neither a sum nor a product nor an extremum.

func.func private @f(%x: tensor<?xf32>, %one: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{cannot differentiate 'linalg.reduce': expected result #0, which is reduced, to be a sum, product, maximum or minimum over the reduction loops}}
  // expected-note @below {{give the function around it a rule of its own (attribute quant_ste.vjp, quant_ste.jvp)}}
  %y = linalg.reduce { arith.divf } ins(%x : tensor<?xf32>) outs(%one : tensor<f32>) dimensions = [0]
  return %y : tensor<f32>
}
func.func @ask(%x: tensor<?xf32>, %one: tensor<f32>) -> tensor<?xf32> {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx = quant_ste.value_and_grad @f(%x, %one) wrt [0] : (tensor<?xf32>, tensor<f32>) -> (tensor<f32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

func.func private @f(%x: tensor<?xf32>, %one: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{cannot differentiate 'linalg.reduce': expected result #0, which is reduced, to be a sum}}
  // expected-note @below {{give the function around it a rule of its own}}
  %y = linalg.reduce { arith.divf } ins(%x : tensor<?xf32>) outs(%one : tensor<f32>) dimensions = [0]
  return %y : tensor<f32>
}
func.func @ask(%x: tensor<?xf32>, %one: tensor<f32>) -> tensor<f32> {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %ty = quant_ste.jvp @f(%x, %one) tangents(%x) wrt [0] : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>) -> (tensor<f32>, tensor<f32>)
  return %ty : tensor<f32>
}

// -----

// The op in a body is named, once for all operands.

#id = affine_map<(i) -> (i)>
#all = affine_map<(i) -> ()>
func.func private @f(%x: tensor<?xf32>, %s: tensor<f32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %y = linalg.generic {indexing_maps = [#id, #all, #id], iterator_types = ["parallel"]}
      ins(%x, %s : tensor<?xf32>, tensor<f32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    // expected-error @below {{cannot differentiate 'math.floor': its derivative is zero almost everywhere}}
    // expected-note @below {{use quant_ste.floor}}
    %r = math.floor %a : f32
    %p = arith.mulf %r, %b : f32
    linalg.yield %p : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32> {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %dx, %ds = quant_ste.vjp @f(%x, %s, %x) cotangents(%x) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %dx : tensor<?xf32>
}

// -----

// A rule that is not linear in the cotangent has no forward mode.

func.func private @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @below {{gradient rule 'ewgs' is not linear in the cotangent and has no forward mode}}
  %y = quant_ste.round %x grad(ewgs(0.1)) : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %ty = quant_ste.jvp @f(%x) tangents(%x) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %ty : tensor<?xf32>
}

// -----

// What a region reads from outside is no operand of the op: a model would lose
// its gradient.

// expected-note @below {{this value; pass it as an operand, stop its gradient with quant_ste.detach}}
func.func private @f(%x: tensor<?xf32>, %s: f32) -> tensor<?xf32> {
  // expected-error @below {{cannot differentiate 'tensor.pad': its region reads a value from outside that carries a derivative}}
  %y = tensor.pad %x low[1] high[0] {
  ^bb0(%i: index):
    tensor.yield %s : f32
  } : tensor<?xf32> to tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>, %s: f32) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %ds = quant_ste.vjp @f(%x, %s) cotangents(%x) wrt [1]
    : (tensor<?xf32>, f32), (tensor<?xf32>) -> (tensor<?xf32>, f32)
  return %ds : f32
}

// -----

func.func private @f(%n: index, %s: f32) -> tensor<?xf32> {
  // expected-error @below {{cannot differentiate 'tensor.generate': it has no gradient rule (VjpOpInterface, JvpOpInterface)}}
  // expected-note @below {{stop the gradient with quant_ste.detach}}
  %y = tensor.generate %n {
  ^bb0(%i: index):
    %r = arith.mulf %s, %s : f32
    tensor.yield %r : f32
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%n: index, %t: tensor<?xf32>, %s: f32) -> f32 {
  // expected-note @below {{the derivative of @f is asked for here}}
  %y, %ds = quant_ste.vjp @f(%n, %s) cotangents(%t) wrt [1]
    : (index, f32), (tensor<?xf32>) -> (tensor<?xf32>, f32)
  return %ds : f32
}
