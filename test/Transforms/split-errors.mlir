// RUN: qopt-opt %s --split-input-file --quant-ste-split --verify-diagnostics
// RUN: not qopt-opt %s --split-input-file --quant-ste-split=function=nobody 2>&1 | FileCheck %s --check-prefix=NOBODY
// RUN: not qopt-opt %s --split-input-file --quant-ste-split=function=plain 2>&1 | FileCheck %s --check-prefix=PLAIN

// NOBODY: error: expected a function named 'nobody' to split, found none
// PLAIN: error: expected a function that quant-ste-differentiate made in reverse mode, with 'quant_ste.num_primal_results' and arguments marked 'quant_ste.cotangent'
func.func @plain(%x: f32) -> f32 {
  return %x : f32
}

// -----

func.func private @g_vjp(f32, f32) -> (f32, f32)
// expected-error @below {{cannot split @f_vjp: result #0 is computed by an op that also takes a cotangent; inline calls first}}
func.func @f_vjp(%x: f32, %t: f32 {quant_ste.cotangent}) -> (f32, f32) attributes {quant_ste.num_primal_results = 1 : i64} {
  %r:2 = func.call @g_vjp(%x, %t) : (f32, f32) -> (f32, f32)
  return %r#0, %r#1 : f32, f32
}

// -----

// expected-note @below {{here}}
func.func private @f_bwd(f32)
// expected-error @below {{cannot split @f_vjp: @f_bwd exists}}
func.func @f_vjp(%x: f32, %t: f32 {quant_ste.cotangent}) -> (f32, f32) attributes {quant_ste.num_primal_results = 1 : i64} {
  return %x, %t : f32, f32
}

// -----

// expected-error @below {{cannot split @f_vjp: expected a body of one block}}
func.func @f_vjp(%x: f32, %t: f32 {quant_ste.cotangent}) -> (f32, f32) attributes {quant_ste.num_primal_results = 1 : i64} {
  cf.br ^bb1
^bb1:
  return %x, %t : f32, f32
}
