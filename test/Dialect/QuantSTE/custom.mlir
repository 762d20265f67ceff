// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --mlir-print-op-generic | qopt-opt | FileCheck %s

// Parameters of every granularity; a region may reuse the names outside.
// CHECK-LABEL: func @per_channel
// CHECK: %[[Y:.*]] = quant_ste.custom %{{.*}}, %{{.*}} axes([0, 2]), %{{.*}}, %{{.*}} axes([1]) {note = "x"} : tensor<4x?x8xf32>, tensor<4x8xf32>, f32, tensor<?xf32>{{$}}
// CHECK-NEXT: forward(%[[A:.*]]: f32, %{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32) {
// CHECK: quant_ste.yield %[[A]] : f32
// CHECK-NEXT: } partials(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32, %[[D:.*]]: f32, %{{.*}}: f32) {
// CHECK: quant_ste.yield %{{.*}}, %[[D]], %{{.*}}, %{{.*}} : i1, f32, f32, f32
// CHECK-NEXT: }
// CHECK-NEXT: return %[[Y]]
func.func @per_channel(%x: tensor<4x?x8xf32>, %s: tensor<4x8xf32>, %z: f32,
                       %c: tensor<?xf32>) -> tensor<4x?x8xf32> {
  %y = quant_ste.custom %x, %s axes([0, 2]), %z, %c axes([1]) {note = "x"}
    : tensor<4x?x8xf32>, tensor<4x8xf32>, f32, tensor<?xf32>
    forward(%x: f32, %s: f32, %z: f32, %c: f32) {
      quant_ste.yield %x : f32
    }
    partials(%x: f32, %s: f32, %z: f32, %c: f32, %y: f32) {
      %true = arith.constant true
      quant_ste.yield %true, %c, %x, %y : i1, f32, f32, f32
    }
  return %y : tensor<4x?x8xf32>
}

// No parameter; empty axes are no axes; f16 in f32, f64 in f64; plain floats.
// CHECK-LABEL: func @types
// CHECK: quant_ste.custom %{{.*}} : tensor<?xf16>{{$}}
// CHECK-NEXT: forward(%{{.*}}: f32) {
// CHECK: } vjp(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32) {
// CHECK: quant_ste.custom %{{.*}}, %{{.*}} : f64, f64{{$}}
// CHECK-NEXT: forward(%{{.*}}: f64, %{{.*}}: f64) {
// CHECK: %[[M:.*]] = quant_ste.masked %{{.*}}, %{{.*}} : f64
// CHECK-NEXT: quant_ste.yield %{{.*}}, %[[M]] : f64, f64
func.func @types(%x: tensor<?xf16>, %a: f64) -> (tensor<?xf16>, f64) {
  %y = quant_ste.custom %x : tensor<?xf16>
    forward(%v: f32) {
      quant_ste.yield %v : f32
    }
    vjp(%v: f32, %r: f32, %dy: f32) {
      quant_ste.yield %dy : f32
    }
  %b = quant_ste.custom %a, %a axes([]) : f64, f64
    forward(%v: f64, %w: f64) {
      // An op of the dialect on plain floats.
      %r = quant_ste.round %v grad(ste) : f64
      quant_ste.yield %r : f64
    }
    partials(%v: f64, %w: f64, %r: f64) {
      %c = arith.cmpf olt, %v, %w : f64
      %m = quant_ste.masked %c, %v : f64
      quant_ste.yield %w, %m : f64, f64
    }
  return %y, %b : tensor<?xf16>, f64
}
