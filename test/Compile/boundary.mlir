// What the C boundary of compiled code takes, and what it refuses.

// RUN: rm -rf %t && mkdir %t
// RUN: qopt-compile %s -o %t/boundary.so
// RUN: %cc %S/Inputs/boundary.c -std=c99 -Wall -Werror -I%t %t/boundary.so -Wl,-rpath,%t -o %t/main
// RUN: %t/main | FileCheck %s
// RUN: FileCheck %s --check-prefix=HEADER --input-file=%t/boundary.h

// HEADER: const char *boundary_error(int code);

// Scalars go in by value and come out through pointers; half a number is its
// bits, a truth value a byte.
// HEADER: int types(double argument0, int64_t n, uint8_t flag, uint16_t h, int64_t *n_,
// HEADER-NEXT: uint8_t *result1, float *y);
// CHECK: ok: 0 no error
// CHECK-NEXT: 7 0 1.25 1
func.func @types(%0: f64, %n: index, %flag: i1, %h: f16)
    -> (index, i1, tensor<2xf32> {quant_ste.name = "y"}) {
  %true = arith.constant true
  %not = arith.xori %flag, %true : i1
  %a = arith.truncf %0 : f64 to f32
  %b = arith.extf %h : f16 to f32
  %y = tensor.from_elements %a, %b : tensor<2xf32>
  return %n, %not, %y : index, i1, tensor<2xf32>
}

// HEADER: * @same : (?x?xf32, ?xf32) -> (?x?xf32)
// HEADER: *   x : f32[x_size0][x_size1]
// HEADER: *   s : f32[s_size0]
// HEADER: *   result0 : f32[x_size0][x_size1], written
// HEADER: * Needs x_size1 == s_size0.
// HEADER: int same(const float *x, int64_t x_size0, int64_t x_size1, const float *s,
// HEADER-NEXT: int64_t s_size0, float *result0);
// CHECK-NEXT: ok: 0
// CHECK-NEXT: 0.6 1.4 -2.6 5.2
// CHECK-NEXT: size: 2 same: s_size0: expected x_size1
// CHECK-NEXT: negative: 2 same: x_size0: expected no negative size
// CHECK-NEXT: null: 1 same: x: expected a pointer, got NULL
// CHECK-NEXT: null result: 1 same: result0: expected a pointer, got NULL
// CHECK-NEXT: empty: 0 no error
// CHECK-NEXT: overflow: 2 same: x: expected a number of bytes below 2^63
// CHECK-NEXT: unaligned: 3 same: x: expected an address that is a multiple of 4
// CHECK-NEXT: overlap: 4 same: x: expected no overlap with result0
// CHECK-NEXT: beside: 0 no error
func.func @same(%x: tensor<?x?xf32>, %s: tensor<?xf32>) -> tensor<?x?xf32> {
  %zp = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<8.0> : tensor<f32>
  %0 = quant_ste.int_quant %x, %s axes([1]), %zp, %bits signed grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
  return %0 : tensor<?x?xf32>
}

// An argument that is written to is not const.
// HEADER: int update(float *w, int64_t w_size0, float *e);
// CHECK-NEXT: in place: 0 no error
// CHECK-NEXT: 2
// CHECK-NEXT: in place: 2 update: w_size0: expected 6
// CHECK-NEXT: code 12345: 9 unknown error code
func.func @update(%w: tensor<?xf32> {bufferization.writable = true}) -> f32 {
  %c0 = arith.constant 0 : index
  %two = arith.constant 2.0 : f32
  %six = tensor.cast %w : tensor<?xf32> to tensor<6xf32>
  %v = tensor.insert %two into %six[%c0] : tensor<6xf32>
  %e = tensor.extract %v[%c0] : tensor<6xf32>
  return %e : f32
}
