// Bits of which the caller gives the bytes: how many, the header says.

// RUN: rm -rf %t && mkdir %t
// RUN: qopt-compile %s -o %t/packed.so
// RUN: FileCheck %s --check-prefix=HEADER --input-file=%t/packed.h
// RUN: %cc %S/Inputs/packed.c -I%t %t/packed.so -Wl,-rpath,%t -o %t/main
// RUN: %t/main | FileCheck %s
// RUN: qopt-compile %s --target=cuda:sm_90 -o %t/device.so
// RUN: FileCheck %s --check-prefix=HEADER --input-file=%t/device.h
// RUN: qopt-run %s --function=keep --input=1x9xf32=1,-1,1,-1,1,-1,1,-1,1 | FileCheck %s --check-prefix=RESULT
// RUN: not qopt-run %s --function=pass_ --input=1x3xi8 --input=1x9xf32 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: qopt-run %s --function=result --input=1x9xi1

// HEADER: bits : i8[x_size0][(x_size1 + 7) / 8], written
// HEADER: {{^int}} keep(const float *x, int64_t x_size0, int64_t x_size1, {{.*}}
// RESULT: result[0]: 1x2xi8=[85 1]
func.func @keep(%x: tensor<?x?xf32>) -> tensor<?x?xi8> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = tensor.dim %x, %c0 : tensor<?x?xf32>
  %n = tensor.dim %x, %c1 : tensor<?x?xf32>
  %zeros = tensor.splat %zero[%m, %n] : tensor<?x?xf32>
  %mask = arith.cmpf ogt, %x, %zeros : tensor<?x?xf32>
  %bits = quant_ste.pack_bits %mask : tensor<?x?xi1> -> tensor<?x?xi8>
  return %bits : tensor<?x?xi8>
}

// What is given must be as long.
// HEADER: Needs bits_size0 == dy_size0.
// HEADER-NEXT: Needs bits_size1 == (dy_size1 + 7) / 8.
// HEADER: {{^int}} pass_(
// ERROR: argument #0 of @pass_: expected dimension 1 to be 2, the bytes of 9 bits, got 1x3xi8
func.func @pass_(%bits: tensor<?x?xi8>, %dy: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = tensor.dim %dy, %c0 : tensor<?x?xf32>
  %n = tensor.dim %dy, %c1 : tensor<?x?xf32>
  %zeros = tensor.splat %zero[%m, %n] : tensor<?x?xf32>
  %mask = quant_ste.unpack_bits %bits size(%n) : tensor<?x?xi8> -> tensor<?x?xi1>
  %dx = arith.select %mask, %dy, %zeros : tensor<?x?xi1>, tensor<?x?xf32>
  return %dx : tensor<?x?xf32>
}

// Rows of several dimensions; a size that is known; through a call.
// HEADER: bits : i8[x_size0][(x_size1 * 49 + 7) / 8], written
// HEADER: {{^int}} maps(
func.func @maps(%x: tensor<?x?x7x7xi1>) -> tensor<?x?xi8> {
  %bits = quant_ste.pack_bits %x row_dims(3) : tensor<?x?x7x7xi1> -> tensor<?x?xi8>
  return %bits : tensor<?x?xi8>
}
// HEADER: bits : i8[x_size0][2], written
// HEADER: {{^int}} result(
func.func @result(%x: tensor<?x9xi1>) -> tensor<?x?xi8> {
  %packed = quant_ste.pack_bits %x : tensor<?x9xi1> -> tensor<?x2xi8>
  %bits = tensor.cast %packed : tensor<?x2xi8> to tensor<?x?xi8>
  return %bits : tensor<?x?xi8>
}
// HEADER: bits : i8[x_size0][(x_size1 * 49 + 7) / 8], written
// HEADER: {{^int}} call(
func.func @call(%x: tensor<?x?x7x7xi1>) -> tensor<?x?xi8> {
  %bits = func.call @maps(%x) : (tensor<?x?x7x7xi1>) -> tensor<?x?xi8>
  return %bits : tensor<?x?xi8>
}

// CHECK: keep 0: 85 1
// CHECK-NEXT: pass 0: 1 0 1 0 1 0 1 0 1
// CHECK-NEXT: pass 2: pass_: bits_size1: expected the bytes of dy_size1 bits
// CHECK-NEXT: maps 0: 255 255 255 255 255 255 1
