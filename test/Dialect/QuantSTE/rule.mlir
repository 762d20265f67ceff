// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --mlir-print-op-generic | qopt-opt | FileCheck %s

// CHECK: quant_ste.rule @double attributes {paper = "none"}{{$}}
// CHECK-NEXT: forward(%[[A:.*]]: f64) {
// CHECK: } partials(%{{.*}}: f64, %{{.*}}: f64) {
quant_ste.rule @double attributes {paper = "none"}
forward(%a: f64) {
  %r = arith.addf %a, %a : f64
  quant_ste.yield %r : f64
} partials(%a: f64, %r: f64) {
  %two = arith.constant 2.0 : f64
  quant_ste.yield %two : f64
}

// CHECK: quant_ste.rule private @first{{$}}
// CHECK-NEXT: forward(%{{.*}}: f32, %{{.*}}: f32) {
// CHECK: } vjp(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32) {
quant_ste.rule private @first
forward(%a: f32, %b: f32) {
  quant_ste.yield %a : f32
} vjp(%a: f32, %b: f32, %r: f32, %dy: f32) {
  quant_ste.yield %dy, %r : f32, f32
}

// CHECK: quant_ste.rule private @declared(f32, f32) -> f32{{$}}
quant_ste.rule private @declared(f32, f32) -> f32

// CHECK-LABEL: func @apply
// CHECK: quant_ste.apply @double(%{{.*}}) : f64
// CHECK: quant_ste.apply @first(%{{.*}}, %{{.*}} axes([1])) {a = 1 : i32} : tensor<?x4xbf16>, tensor<4xf32>
// CHECK: quant_ste.apply @declared(%{{.*}}, %{{.*}}) : f32, f32
func.func @apply(%d: f64, %x: tensor<?x4xbf16>, %s: tensor<4xf32>, %f: f32) {
  %0 = quant_ste.apply @double(%d) : f64
  %1 = quant_ste.apply @first(%x, %s axes([1])) {a = 1 : i32}
    : tensor<?x4xbf16>, tensor<4xf32>
  %2 = quant_ste.apply @declared(%f, %f) : f32, f32
  return
}
