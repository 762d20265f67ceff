// Parameters go in and out of .safetensors files by name; the rest of the
// arguments comes from --input.
// RUN: qopt-run %s --function=train --input=2xf32=1,2 --input=0.5 \
// RUN:   --input=3xbf16=1,2,3 --output-params=@%t.safetensors \
// RUN:   | FileCheck %s --check-prefix=FIRST
// FIRST:     result[1]: f32=0.25{{$}}
// FIRST-NOT: {{.}}
// RUN: qopt-run %s --function=train --input-params=@%t.safetensors \
// RUN:   --input=0.5 | FileCheck %s --check-prefix=SECOND
// SECOND:      result[0]: 2xf32=4 8{{$}}
// SECOND-NEXT: result[1]: f32=0.25{{$}}
// SECOND-NEXT: result[2]: 3xbf16=1 2 3{{$}}
// RUN: qopt-run %s --function=train --input-params=@%t.safetensors \
// RUN:   --input=0.5 --output=@%t.npy --output-params=@%t.2.safetensors | count 0
func.func @train(%w: tensor<2xf32> {quant_ste.name = "layer 0.\22w\22"},
                 %rate: f32,
                 %b: tensor<?xbf16> {quant_ste.name = "b"})
    -> (tensor<2xf32> {quant_ste.name = "layer 0.\22w\22"}, f32,
        tensor<?xbf16> {quant_ste.name = "b"}) {
  %new = arith.addf %w, %w : tensor<2xf32>
  %s = arith.mulf %rate, %rate : f32
  return %new, %s, %b : tensor<2xf32>, f32, tensor<?xbf16>
}

// RUN: head -c 200 %t.safetensors | FileCheck %s --check-prefix=HEADER
// HEADER: {"layer 0.\"w\"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]}}

// RUN: not qopt-run %s --function=other --input-params=@%t.safetensors 2>&1 \
// RUN:   | FileCheck %s --check-prefix=MISSING
// MISSING: error: {{.*}}.safetensors: no array 'c'; there is b, layer 0."w"
func.func @other(%c: tensor<2xf32> {quant_ste.name = "c"}) {
  return
}
// RUN: not qopt-run %s --function=shape --input-params=@%t.safetensors 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SHAPE
// SHAPE: error: argument #0 of @shape ('b'): expected 4xbf16, got 3xbf16
func.func @shape(%c: tensor<4xbf16> {quant_ste.name = "b"}) {
  return
}
// RUN: not qopt-run %s --function=train --input-params=@%t.safetensors \
// RUN:   --input=1 --input=2 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: @train : (2xf32, f32, ?xbf16) -> (2xf32, f32, ?xbf16) expects 1 --input, got 2
// RUN: not qopt-run %s --function=shape --input=4xbf16 \
// RUN:   --output-params=@%t.3.safetensors 2>&1 \
// RUN:   | FileCheck %s --check-prefix=UNNAMED
// UNNAMED: error: --output-params: no result of @shape has a quant_ste.name
// RUN: not qopt-run %s --function=twice --input=f32 --input=f32 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TWICE
// TWICE: error: cannot call @twice: argument #1: the name 'a' is taken
func.func @twice(%a: f32 {quant_ste.name = "a"}, %b: f32 {quant_ste.name = "a"}) {
  return
}
// RUN: not qopt-run %s --function=number --input=f32 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NUMBER
// NUMBER: error: cannot call @number: argument #0: expected quant_ste.name to be a string, not empty
func.func @number(%a: f32 {quant_ste.name = 3}) {
  return
}

// Corrupt files.
// RUN: not qopt-run %s --function=other --input-params=@%t.none 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NONE
// NONE: error: {{.*}}.none: No such file or directory
// RUN: not qopt-run %s --function=other --input-params=%t.safetensors 2>&1 \
// RUN:   | FileCheck %s --check-prefix=AT
// AT: error: --input-params: expected @ and a path, got '
// RUN: printf "abc" > %t.tiny
// RUN: not qopt-run %s --function=other --input-params=@%t.tiny 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TINY
// TINY: error: {{.*}}.tiny: not a .safetensors file: shorter than 8 bytes
// RUN: not qopt-run %s --function=other --input-params=@%s 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LENGTH
// LENGTH: error: {{.*}}: corrupt: expected a header of {{[0-9]+}} bytes, got {{[0-9]+}}
// RUN: printf "\003\000\000\000\000\000\000\000{a}" > %t.json
// RUN: not qopt-run %s --function=other --input-params=@%t.json 2>&1 \
// RUN:   | FileCheck %s --check-prefix=JSON
// JSON: error: {{.*}}.json: corrupt header: [1:2, byte=2]: Expected object key
// RUN: printf "\012\000\000\000\000\000\000\000[[[[[[[[[[" > %t.deep
// RUN: not qopt-run %s --function=other --input-params=@%t.deep 2>&1 \
// RUN:   | FileCheck %s --check-prefix=DEEP
// DEEP: error: {{.*}}.deep: corrupt: the header is nested too deeply
// RUN: printf '\101\000\000\000\000\000\000\000{"c":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__me__":0}1234' > %t.data
// RUN: not qopt-run %s --function=other --input-params=@%t.data 2>&1 \
// RUN:   | FileCheck %s --check-prefix=DATA
// DATA: error: {{.*}}.data: 'c': expected data_offsets within the 4 bytes of the file, got [0, 8]
// RUN: printf '\075\000\000\000\000\000\000\000{"c":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}   12' > %t.dtype
// RUN: not qopt-run %s --function=other --input-params=@%t.dtype 2>&1 \
// RUN:   | FileCheck %s --check-prefix=DTYPE
// DTYPE: error: {{.*}}.dtype: 'c': dtype F8_E4M3 is not supported
// RUN: printf '\070\000\000\000\000\000\000\000{"c":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}  1234' > %t.bytes
// RUN: not qopt-run %s --function=other --input-params=@%t.bytes 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BYTES
// BYTES: error: {{.*}}.bytes: 'c': expected the bytes of 2xf32, got 4
