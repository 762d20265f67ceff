// RUN: qopt-opt %s --quant-ste-differentiate="function=f" | FileCheck %s --check-prefix=ALL
// RUN: qopt-opt %s --quant-ste-differentiate="function=f wrt=2 mode=reverse" | FileCheck %s --check-prefix=ONE
// RUN: qopt-opt %s --quant-ste-differentiate="function=f wrt=2,0" | FileCheck %s --check-prefix=ORDER
// RUN: qopt-opt %s --quant-ste-differentiate="function=f mode=forward wrt=0" | FileCheck %s --check-prefix=FORWARD
// RUN: qopt-opt %s --quant-ste-differentiate="function=own" | FileCheck %s --check-prefix=OWN
// RUN: qopt-opt %s --quant-ste-differentiate | FileCheck %s --check-prefix=NONE
// RUN: not qopt-opt %s --quant-ste-differentiate="function=nobody" 2>&1 | FileCheck %s --check-prefix=NOBODY
// RUN: not qopt-opt %s --quant-ste-differentiate="function=f wrt=3" 2>&1 | FileCheck %s --check-prefix=RANGE
// RUN: not qopt-opt %s --quant-ste-differentiate="function=f wrt=1" 2>&1 | FileCheck %s --check-prefix=FLOAT
// RUN: not qopt-opt %s --quant-ste-differentiate="function=f wrt=0,0" 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not qopt-opt %s --quant-ste-differentiate="function=integers" 2>&1 | FileCheck %s --check-prefix=INTEGERS
// RUN: not qopt-opt %s --quant-ste-differentiate="function=to_integer" 2>&1 | FileCheck %s --check-prefix=RESULT
// RUN: not qopt-opt %s --quant-ste-differentiate="wrt=0" 2>&1 | FileCheck %s --check-prefix=NAMELESS

// The options are a request from outside: the function they make is public.

// ALL: func @f_vjp(%[[X:.*]]: f32, %{{.*}}: i32, %[[Y:.*]]: f32, %[[T:.*]]: f32 {quant_ste.cotangent}) -> (f32, f32, f32)
// ALL-SAME: quant_ste.num_primal_results = 1
// ALL: %[[R:.*]] = arith.mulf %[[X]], %[[Y]]
// ALL: %[[DX:.*]] = arith.mulf %[[T]], %[[Y]]
// ALL: %[[DY:.*]] = arith.mulf %[[T]], %[[X]]
// ALL: return %[[R]], %[[DX]], %[[DY]]

// ONE: func @f_vjp(%[[X:.*]]: f32, %{{.*}}: i32, %{{.*}}: f32, %[[T:.*]]: f32 {quant_ste.cotangent}) -> (f32, f32)
// ONE: %[[R:.*]] = arith.mulf
// ONE-NEXT: %[[DY:.*]] = arith.mulf %[[T]], %[[X]]
// ONE-NEXT: return %[[R]], %[[DY]]

// ORDER: func @f_vjp
// ORDER: %[[DX:.*]] = arith.mulf %arg3, %arg2
// ORDER: %[[DY:.*]] = arith.mulf %arg3, %arg0
// ORDER: return %{{.*}}, %[[DY]], %[[DX]]

// FORWARD: func @f_jvp(%{{.*}}: f32, %{{.*}}: i32, %[[Y:.*]]: f32, %[[TX:.*]]: f32 {quant_ste.tangent}) -> (f32, f32)
// FORWARD: %[[T:.*]] = arith.mulf %[[TX]], %[[Y]]
// FORWARD: return %{{.*}}, %[[T]]

// NONE-NOT: _vjp(%
// NONE-NOT: _jvp(%

func.func @f(%x: f32, %n: i32, %y: f32) -> f32 {
  %r = arith.mulf %x, %y : f32
  return %r : f32
}

// OWN: func @own_vjp(%[[X:.*]]: f32, %[[T:.*]]: f32 {quant_ste.cotangent}) -> (f32, f32)
// OWN:   %[[R:.*]] = call @own(%[[X]])
// OWN:   %[[G:.*]] = call @rule(%[[X]], %[[T]])
// OWN:   return %[[R]], %[[G]]

func.func private @rule(%x: f32, %t: f32) -> f32 {
  return %t : f32
}
func.func @own(%x: f32) -> f32 attributes {quant_ste.vjp = @rule} {
  return %x : f32
}
func.func @integers(%n: i32) -> i32 {
  return %n : i32
}

func.func @to_integer(%x: f32) -> i32 {
  %n = arith.fptosi %x : f32 to i32
  return %n : i32
}

// NOBODY: error: expected a function named 'nobody' to differentiate, found none
// RANGE: error: 'func.func' op expected 'wrt' in [0, 3), got 3
// FLOAT: error: 'func.func' op expected a float argument in 'wrt', got 'i32' for argument 1
// TWICE: error: 'func.func' op expected each argument once in 'wrt', got 0 twice
// INTEGERS: error: expected a float argument to differentiate by, got ('i32')
// NAMELESS: error: expected option 'function' together with 'wrt'
// RESULT: error: 'func.func' op expected @to_integer to return a float or a tensor of floats, got ('i32')
