// What is printed reads back to the same bits.

// RUN: qopt-run %s --function=f32 \
// RUN:   --input=9xf32=nan,-nan,inf,-inf,-0,0,1e-45,3.40282347e+38,0.1 \
// RUN:   | FileCheck %s --check-prefix=F32
// F32: result[0]: 9xf32=nan -nan inf -inf -0 0 1e-45 3.4028235e+38 0.1{{$}}
// F32: result[1]: 9xi32=2143289344 -4194304 2139095040 -8388608 -2147483648 0 1 2139095039 1036831949{{$}}
// RUN: qopt-run %s --function=f32 \
// RUN:   "--input=9xf32=nan -nan inf -inf -0 0 1e-45 3.4028235e+38 0.1" \
// RUN:   | FileCheck %s --check-prefix=F32
func.func @f32(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi32>) {
  %b = arith.bitcast %x : tensor<?xf32> to tensor<?xi32>
  return %x, %b : tensor<?xf32>, tensor<?xi32>
}

// 65504 is the largest f16; 65520 is half-way to the next and rounds to inf;
// 2^-25 is half the smallest and rounds to even, 0. Numbers are rounded once,
// from their decimal digits: 1.00048828125 is half-way between two f16, and a
// digit a long way behind decides.
// RUN: qopt-run %s --function=f16 \
// RUN:   --input=8xf16=65504,65519,65520,5.9604645e-08,2.9802322387695312e-08,0.1,1.00048828125,1.0004882812500000000001 \
// RUN:   | FileCheck %s --check-prefix=F16
// F16: result[0]: 8xf16=6.55e+04 6.55e+04 inf 6e-08 0 0.1 1 1.001{{$}}
// F16: result[1]: 8xi16=31743 31743 31744 1 0 11878 15360 15361{{$}}
// RUN: qopt-run %s --function=f16 \
// RUN:   "--input=8xf16=[6.55e+04 6.55e+04 inf 6e-08 0 0.1 1 1.001]" \
// RUN:   | FileCheck %s --check-prefix=F16
func.func @f16(%x: tensor<?xf16>) -> (tensor<?xf16>, tensor<?xi16>) {
  %b = arith.bitcast %x : tensor<?xf16> to tensor<?xi16>
  return %x, %b : tensor<?xf16>, tensor<?xi16>
}

// RUN: qopt-run %s --function=bf16 \
// RUN:   --input=5xbf16=0.1,3.14159,1e38,9.2e-41,-0 \
// RUN:   | FileCheck %s --check-prefix=BF16
// BF16: result[0]: 5xbf16=0.1 3.14 1e+38 9e-41 -0{{$}}
// BF16: result[1]: 5xi16=15821 16457 32406 1 -32768{{$}}
func.func @bf16(%x: tensor<?xbf16>) -> (tensor<?xbf16>, tensor<?xi16>) {
  %b = arith.bitcast %x : tensor<?xbf16> to tensor<?xi16>
  return %x, %b : tensor<?xbf16>, tensor<?xi16>
}

// f64 to a narrow format rounds once, whatever the processor has.
// 1 + 2^-11 + 2^-40 is above half-way for f16, 1 + 2^-8 + 2^-33 for bf16; f32
// would lose what decides. 2^-134 is half the smallest bf16.
// RUN: qopt-run %s --function=narrow --input=6xf64=0x1.002000001p0,0x1.01000001p0,0x1p-134,0x1.8p-134,-65520,nan \
// RUN:   | FileCheck %s --check-prefix=NARROW
// RUN: qopt-run %s --function=narrow --input=6xf64=0x1.002000001p0,0x1.01000001p0,0x1p-134,0x1.8p-134,-65520,nan \
// RUN:   --mcpu=x86-64 | FileCheck %s --check-prefix=NARROW
// NARROW: result[0]: 6xf16=1.001 1.004 0 0 -inf nan{{$}}
// NARROW: result[1]: 6xbf16=1 1.01 0 9e-41 -6.55e+04 nan{{$}}
func.func @narrow(%x: tensor<?xf64>) -> (tensor<?xf16>, tensor<?xbf16>) {
  %h = arith.truncf %x : tensor<?xf64> to tensor<?xf16>
  %b = arith.truncf %x : tensor<?xf64> to tensor<?xbf16>
  return %h, %b : tensor<?xf16>, tensor<?xbf16>
}

// a * b + c in two roundings: (1 + 2^-12)^2 - 1 - 2^-11 is 0, a fused
// multiply-add gives 2^-24.
// RUN: qopt-run %s --function=no_fma --input=4xf32=0x1.001p0 \
// RUN:   --input=4xf32=-0x1.002p0 | FileCheck %s --check-prefix=FMA
// FMA: result[0]: 4xf32=0 0 0 0{{$}}
func.func @no_fma(%a: tensor<4xf32>, %c: tensor<4xf32>) -> tensor<4xf32> {
  %p = arith.mulf %a, %a : tensor<4xf32>
  %s = arith.addf %p, %c : tensor<4xf32>
  return %s : tensor<4xf32>
}
