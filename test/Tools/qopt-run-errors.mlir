// Bad input: a clear error and exit status 1, never a crash.

// RUN: not qopt-run %t.none.mlir 2>&1 | FileCheck %s --check-prefix=FILE
// FILE: error: cannot open input file '{{.*}}.none.mlir': No such file or directory
// RUN: printf "\001\002\377garbage\000" > %t.garbage.mlir
// RUN: not qopt-run %t.garbage.mlir 2>&1 | FileCheck %s --check-prefix=GARBAGE
// GARBAGE: garbage.mlir:1:1: error:
// RUN: printf "ML\357Rgarbage" > %t.bytecode.mlir
// RUN: not qopt-run %t.bytecode.mlir 2>&1 | FileCheck %s --check-prefix=BYTECODE
// BYTECODE: error:
// RUN: printf "" > %t.empty.mlir
// RUN: not qopt-run %t.empty.mlir 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: error: expected the name of a function; there is no public function with a body

// RUN: not qopt-run %s --input=1 2>&1 | FileCheck %s --check-prefix=WHICH
// WHICH: error: expected the name of a function; the public functions are @f, @g, @odd, @link
// RUN: not qopt-run %s --function=nope 2>&1 | FileCheck %s --check-prefix=NOPE
// NOPE: error: no function @nope; the public functions are @f, @g, @odd, @link
// RUN: not qopt-run %s --unknown-flag 2>&1 | FileCheck %s --check-prefix=FLAG
// FLAG: Unknown command line argument '--unknown-flag'

func.func @f(%x: tensor<2x?xf32>, %n: i8) -> tensor<2x?xf32> {
  return %x : tensor<2x?xf32>
}
func.func @g(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}

// RUN: not qopt-run %s --function=f --input=2x2xf32 2>&1 \
// RUN:   | FileCheck %s --check-prefix=FEW
// FEW: error: @f : (2x?xf32, i8) -> (2x?xf32) expects 2 --input, got 1
// RUN: not qopt-run %s --function=f --input=2x2xf32 --input=1 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=MANY
// MANY: error: @f : (2x?xf32, i8) -> (2x?xf32) expects 2 --input, got 3
// RUN: not qopt-run %s --function=f --input=3x2xf32 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SIZE
// SIZE: error: argument #0 of @f: expected 2x?xf32, got 3x2xf32
// RUN: not qopt-run %s --function=f --input=2xf32 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RANK
// RANK: error: argument #0 of @f: expected 2x?xf32, got 2xf32
// RUN: not qopt-run %s --function=f --input=2x2xf64 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TYPE
// TYPE: error: argument #0 of @f: expected 2x?xf32, got 2x2xf64
// RUN: not qopt-run %s --function=f --input=2x2xf32 --input=2xi8 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SCALAR
// SCALAR: error: argument #1 of @f: expected i8, got 2xi8

// RUN: not qopt-run %s --function=f --input=2x2xf32=1,2,3 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=COUNT
// COUNT: error: '2x2xf32=1,2,3': expected 4 values, or one for all, got 3
// RUN: not qopt-run %s --function=f --input=2x2xf33=1 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=WORD
// WORD: error: '2x2xf33=1': expected a type such as 2x3xf32 before '='
// RUN: not qopt-run %s --function=f --input=2x2xf32=1,2,3,4f --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=VALUE
// VALUE: error: '2x2xf32=1,2,3,4f': expected f32, got '4f'
// RUN: not qopt-run %s --function=f --input=2x2xf32 --input=256 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RANGE
// RANGE: error: '256': expected i8, got '256'
// RUN: not qopt-run %s --function=f --input=2x2xf32 --input=-129 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BELOW
// BELOW: error: '-129': expected i8, got '-129'
// RUN: not qopt-run %s --function=f --input=2x2xf32=[1,2][3,4 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BRACKET
// BRACKET: error: '2x2xf32=[1,2][3,4': expected each '[' to have its ']'
// RUN: not qopt-run %s --function=f --input= --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NOTHING
// NOTHING: error: '': expected 1 value(s), got 0
// RUN: not qopt-run %s --function=f --input=4611686018427387904x16xf32 \
// RUN:   --input=1 2>&1 | FileCheck %s --check-prefix=HUGE
// HUGE: error: {{.*}}: the size of 4611686018427387904x16xf32 overflows
// RUN: not qopt-run %s --function=f --input=-1xf32 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: error: '-1xf32': expected f32, got '-1xf32'

// RUN: not qopt-run %s --function=g --input=1 --output=y.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=AT
// AT: error: --output: expected @ and a path, got 'y.npy'
// RUN: not qopt-run %s --function=g --input=1 --output=@a --output=@b 2>&1 \
// RUN:   | FileCheck %s --check-prefix=OUTPUTS
// OUTPUTS: error: @g : (f32) -> (f32) has 1 result(s) for --output, got 2

// RUN: not qopt-run %s --function=g --input=1 --pipeline=nonsense=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PIPELINE
// PIPELINE: error: pipeline options 'nonsense=1': {{.*}}no such option nonsense
// RUN: not qopt-run %s --function=g --input=1 --pipeline=stop-after=fuse 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STOP
// STOP: error: pipeline options 'stop-after=fuse': stop-after leaves nothing that could run
// RUN: not qopt-run %s --function=g --input=1 -O7 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LEVEL
// LEVEL: error: expected an optimization level in 0..3, got 7
// RUN: not qopt-run %s --function=g --input=1 --mcpu=abacus 2>&1 \
// RUN:   | FileCheck %s --check-prefix=CPU
// CPU: error: unknown processor 'abacus'
// RUN: not qopt-run %s --function=g --input=1 --mcpu=i386 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BITS
// BITS: error: expected a processor for 64-bit code, got 'i386'
// No machine has all of these.
// RUN: not qopt-run %s --function=g --input=1 --mattr=+fma4,+amx-tile,+avx512vp2intersect 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LACKS
// LACKS: error: expected a processor whose code runs on this machine ({{.*}}), which lacks '{{.*}}'; got '+fma4,+amx-tile,+avx512vp2intersect'
// RUN: not qopt-run %s --function=g --input=1 --mattr=+avx2,-64bit 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NOBITS
// NOBITS: error: expected a processor for 64-bit code, got '{{.*}}' with '+avx2,-64bit'
// RUN: not qopt-run %s --function=g --input=1 --mattr=+gears 2>&1 \
// RUN:   | FileCheck %s --check-prefix=FEATURE
// FEATURE: error: unknown processor feature '+gears'

// RUN: not qopt-run %s --function=odd --input=1 --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ODD
// ODD: error: cannot call @odd: argument #1: expected a ranked tensor or a scalar of {{.*}}, got memref<4xf32>
func.func @odd(%x: f32, %m: memref<4xf32>) {
  return
}

// RUN: not qopt-run %s --function=link --input=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LINK
// LINK: error: cannot link: Symbols not found: [ not_there ]
func.func private @not_there(f32)
func.func @link(%x: f32) {
  func.call @not_there(%x) : (f32) -> ()
  return
}
