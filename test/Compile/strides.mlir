// Arrays with strides, as NumPy has them.

// RUN: rm -rf %t && mkdir %t
// RUN: qopt-compile %s --strides --prefix=my_ -o %t/strides.so
// RUN: FileCheck %s --check-prefix=HEADER --input-file=%t/strides.h
// RUN: %cc %S/Inputs/strides.c -I%t %t/strides.so -Wl,-rpath,%t -o %t/main
// RUN: %t/main | FileCheck %s

// HEADER: int my_twice(const float *x, int64_t x_size0, int64_t x_size1,
// HEADER-NEXT: int64_t x_stride0, int64_t x_stride1, float *y, int64_t y_stride0,
// HEADER-NEXT: int64_t y_stride1);
func.func @twice(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = arith.addf %x, %x : tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// Row-major; transposed; backwards, with gaps in the result; in place.
// CHECK: 0: 2 4 6 8 10 12
// CHECK-NEXT: 0: 2 8 4 10 6 12
// CHECK-NEXT: 0: 12 0 10 0 8 0 6 0 4 0 2 0
// CHECK-NEXT: 0: 2 4 6 8 10 12
