// RUN: qopt-opt %s --canonicalize | FileCheck %s

// A custom op on constants folds as its ops do, rounding at each of them.
// CHECK-LABEL: func @folds
// CHECK-DAG: dense<[0.30000000000000004, -0.000000e+00, -1.000000e+00]> : tensor<3xf64>
// CHECK-DAG: dense<1.000000e+00> : tensor<4xf16>
// CHECK-NOT: quant_ste.custom
func.func @folds() -> (tensor<3xf64>, tensor<4xf16>) {
  %x = arith.constant dense<[0.25, -0.0, -1.2]> : tensor<3xf64>
  %s = arith.constant dense<[0.1, 0.1, 0.5]> : tensor<3xf64>
  %0 = quant_ste.custom %x, %s axes([0]) : tensor<3xf64>, tensor<3xf64>
  forward(%a: f64, %b: f64) {
    %t = arith.divf %a, %b : f64
    %c = arith.constant 0.25 : f64
    %u = arith.addf %t, %c : f64
    %r = quant_ste.round %u grad(ste) : f64
    %z = arith.cmpf oeq, %a, %a : f64
    %w = arith.select %z, %r, %a : f64
    %v = arith.mulf %w, %b : f64
    %k = math.copysign %v, %a : f64
    quant_ste.yield %k : f64
  } partials(%a: f64, %b: f64, %r: f64) { quant_ste.yield %a, %b : f64, f64 }
  %h = arith.constant dense<1.5> : tensor<4xf16>
  %1 = quant_ste.custom %h : tensor<4xf16>
  forward(%a: f32) {
    %i = arith.fptosi %a : f32 to i8
    %r = arith.sitofp %i : i8 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return %0, %1 : tensor<3xf64>, tensor<4xf16>
}

// What compiled code computes by a library call, or by an order of zeros of its
// own, does not fold; nor does a conversion out of range.
// CHECK-LABEL: func @stays
// CHECK-COUNT-3: quant_ste.custom
func.func @stays() -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %x = arith.constant dense<1.0e20> : tensor<4xf32>
  %0 = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    %r = math.tanh %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  %1 = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    %r = arith.maximumf %a, %a : f32
    %n = arith.negf %a : f32
    %s = arith.maximumf %r, %n : f32
    quant_ste.yield %s : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  %2 = quant_ste.custom %x : tensor<4xf32>
  forward(%a: f32) {
    %i = arith.fptosi %a : f32 to i8
    %r = arith.sitofp %i : i8 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %r: f32) { quant_ste.yield %a : f32 }
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
