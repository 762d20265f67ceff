// Arrays go through .npy files bit for bit, all element types.
// RUN: qopt-run %s --function=id --input=2x2xf32=nan,-0,inf,1e-45 \
// RUN:   --input=3xbf16=0.1,-inf,2 --input=i1=1 --input=2xui16=65535,0 \
// RUN:   --input=index=-5 --output=@%t.f32.npy --output=@%t.bf16.npy \
// RUN:   --output=@%t.i1.npy --output=@%t.ui16.npy --output=@%t.index.npy \
// RUN:   | count 0
// RUN: qopt-run %s --function=id --input=@%t.f32.npy --input=@%t.bf16.npy \
// RUN:   --input=@%t.i1.npy --input=@%t.ui16.npy --input=@%t.index.npy \
// RUN:   | FileCheck %s
// CHECK:      result[0]: 2x2xf32=[nan -0][inf 1e-45]{{$}}
// CHECK-NEXT: result[1]: 3xbf16=0.1 -inf 2{{$}}
// CHECK-NEXT: result[2]: i1=1{{$}}
// CHECK-NEXT: result[3]: 2xui16=65535 0{{$}}
// CHECK-NEXT: result[4]: index=-5{{$}}
func.func @id(%a: tensor<?x?xf32>, %b: tensor<?xbf16>, %c: tensor<i1>,
              %d: tensor<?xui16>, %e: index)
    -> (tensor<?x?xf32>, tensor<?xbf16>, tensor<i1>, tensor<?xui16>, index) {
  return %a, %b, %c, %d, %e
    : tensor<?x?xf32>, tensor<?xbf16>, tensor<i1>, tensor<?xui16>, index
}

// The header is numpy's: 128 bytes with it, 4 * 4 of elements after it.
// RUN: head -c 128 %t.f32.npy | tail -c 118 | FileCheck %s --check-prefix=HEADER
// HEADER: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }
// RUN: head -c 90 %t.bf16.npy | FileCheck %s --check-prefix=V2
// V2: {'descr': '<V2', 'fortran_order': False, 'shape': (3,), }
// RUN: wc -c < %t.f32.npy | FileCheck %s --check-prefix=SIZE
// SIZE: {{^ *}}144{{$}}

// Columns first, in version 2 of the format: the elements are put in order.
// "AAAA" is 0x41414141. Any integer of 32 bits may be read as i32.
// RUN: printf "\223NUMPY\002\000\067\000\000\000{'descr':'<u4','fortran_order':True,'shape':(2,2)}     " > %t.order.npy
// RUN: printf "AAAABBBBCCCCDDDD" >> %t.order.npy
// RUN: qopt-run %s --function=order --input=@%t.order.npy \
// RUN:   | FileCheck %s --check-prefix=ORDER
// ORDER: result[0]: 2x2xi32=[1094795585 1128481603][1111638594 1145324612]{{$}}
func.func @order(%x: tensor<2x2xi32>) -> tensor<2x2xi32> {
  return %x : tensor<2x2xi32>
}

// What is wrong with a file is said.
// RUN: not qopt-run %s --function=order --input=@%t.none.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NONE
// NONE: error: {{.*}}.none.npy: No such file or directory
// RUN: not qopt-run %s --function=order --input=@%s 2>&1 \
// RUN:   | FileCheck %s --check-prefix=GARBAGE
// GARBAGE: error: {{.*}}.mlir: not a .npy file
// RUN: head -c 70 %t.order.npy > %t.short.npy
// RUN: not qopt-run %s --function=order --input=@%t.short.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SHORT
// SHORT: error: {{.*}}.short.npy: expected the elements of 2x2xui32, got {{[0-9]+}} bytes
// RUN: head -c 40 %t.order.npy > %t.header.npy
// RUN: not qopt-run %s --function=order --input=@%t.header.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TRUNCATED
// TRUNCATED: error: {{.*}}.header.npy: truncated in the header
// RUN: printf "\223NUMPY\001\000\066\000{'descr':'>f4','fortran_order':False,'shape':(1,)}    AAAA" > %t.big.npy
// RUN: not qopt-run %s --function=order --input=@%t.big.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BIG
// BIG: error: {{.*}}.big.npy: expected little-endian elements of type f2, {{.*}}, got '>f4'
// RUN: printf "\223NUMPY\001\000\066\000{'descr':[('a','<f4')],'shape':(1,)}                  AAAA" > %t.struct.npy
// RUN: not qopt-run %s --function=order --input=@%t.struct.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STRUCT
// STRUCT: error: {{.*}}.struct.npy: expected one element type (no structure) in the header, got '[('a','<f4')]
// RUN: printf "\223NUMPY\001\000\100\000{'descr':'<f4','fortran_order':False,'shape':(4611686018427387904,16)}AAAA" > %t.huge.npy
// RUN: not qopt-run %s --function=order --input=@%t.huge.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=HUGE
// HUGE: error: {{.*}}.huge.npy: expected
// RUN: printf "\223NUMPY\011\000\001\000{" > %t.version.npy
// RUN: not qopt-run %s --function=order --input=@%t.version.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=VERSION
// VERSION: error: {{.*}}.version.npy: expected version 1, 2 or 3, got 9
// RUN: not qopt-run %s --function=order --input=@%t.f32.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TYPE
// TYPE: error: argument #0 of @order: expected 2x2xi32, got 2x2xf32
// RUN: not qopt-run %s --function=order --input=2x2xi32 \
// RUN:   --output=@%t.directory/x.npy 2>&1 | FileCheck %s --check-prefix=WRITE
// WRITE: error: {{.*}}x.npy: No such file or directory
