// RUN: qopt-run %s --function=every_type --input=2xf16=1.5 --input=2xbf16=-2 \
// RUN:   --input=2xf32=0.1,3 --input=2xf64=0.1,1e300 --input=2xi1=1,false \
// RUN:   --input=2xi8=-128,255 --input=2xi16=7 --input=2xi32=-1 \
// RUN:   --input=2xi64=-9223372036854775808,18446744073709551615 \
// RUN:   --input=2xui8=255 --input=2xui16=65535 --input=2xui32=4294967295 \
// RUN:   --input=2xui64=18446744073709551615 --input=2xindex=3,-3 \
// RUN:   | FileCheck %s --check-prefix=TYPES
// TYPES:      result[0]: 2xf16=1.5 1.5{{$}}
// TYPES-NEXT: result[1]: 2xbf16=-2 -2{{$}}
// TYPES-NEXT: result[2]: 2xf32=0.1 3{{$}}
// TYPES-NEXT: result[3]: 2xf64=0.1 1e+300{{$}}
// TYPES-NEXT: result[4]: 2xi1=1 0{{$}}
// TYPES-NEXT: result[5]: 2xi8=-128 -1{{$}}
// TYPES-NEXT: result[6]: 2xi16=7 7{{$}}
// TYPES-NEXT: result[7]: 2xi32=-1 -1{{$}}
// TYPES-NEXT: result[8]: 2xi64=-9223372036854775808 -1{{$}}
// TYPES-NEXT: result[9]: 2xui8=255 255{{$}}
// TYPES-NEXT: result[10]: 2xui16=65535 65535{{$}}
// TYPES-NEXT: result[11]: 2xui32=4294967295 4294967295{{$}}
// TYPES-NEXT: result[12]: 2xui64=18446744073709551615 18446744073709551615{{$}}
// TYPES-NEXT: result[13]: 2xindex=3 -3{{$}}
func.func @every_type(
    %0: tensor<?xf16>, %1: tensor<?xbf16>, %2: tensor<2xf32>, %3: tensor<?xf64>,
    %4: tensor<?xi1>, %5: tensor<?xi8>, %6: tensor<?xi16>, %7: tensor<?xi32>,
    %8: tensor<?xi64>, %9: tensor<?xui8>, %10: tensor<?xui16>,
    %11: tensor<?xui32>, %12: tensor<?xui64>, %13: tensor<?xindex>)
    -> (tensor<?xf16>, tensor<?xbf16>, tensor<2xf32>, tensor<?xf64>,
        tensor<?xi1>, tensor<?xi8>, tensor<?xi16>, tensor<?xi32>,
        tensor<?xi64>, tensor<?xui8>, tensor<?xui16>,
        tensor<?xui32>, tensor<?xui64>, tensor<?xindex>) {
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13
    : tensor<?xf16>, tensor<?xbf16>, tensor<2xf32>, tensor<?xf64>,
      tensor<?xi1>, tensor<?xi8>, tensor<?xi16>, tensor<?xi32>,
      tensor<?xi64>, tensor<?xui8>, tensor<?xui16>,
      tensor<?xui32>, tensor<?xui64>, tensor<?xindex>
}

// Scalars and tensors mixed, in and out; a plain number takes the type that the
// function wants.
// RUN: qopt-run %s --function=mixed --input=0.5 --input=2x2xf32=1,2,3,4 \
// RUN:   --input=true --input=index=7 --input=f16=-0.25 --input=bf16=3 \
// RUN:   | FileCheck %s --check-prefix=MIXED
// MIXED:      result[0]: i1=1{{$}}
// MIXED-NEXT: result[1]: 2x2xf32=[0.5 1][1.5 2]{{$}}
// MIXED-NEXT: result[2]: bf16=3{{$}}
// MIXED-NEXT: result[3]: f32=0.5{{$}}
// MIXED-NEXT: result[4]: f32=0.5{{$}}
// MIXED-NEXT: result[5]: index=8{{$}}
// MIXED-NEXT: result[6]: f16=-0.5{{$}}
func.func @mixed(%s: f32, %x: tensor<?x2xf32>, %b: i1, %n: index, %h: f16,
                 %bf: bf16)
    -> (i1, tensor<?x2xf32>, bf16, f32, tensor<f32>, index, f16) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %d = tensor.dim %x, %c0 : tensor<?x2xf32>
  %e = tensor.empty(%d) : tensor<?x2xf32>
  %f = linalg.fill ins(%s : f32) outs(%e : tensor<?x2xf32>) -> tensor<?x2xf32>
  %y = arith.mulf %x, %f : tensor<?x2xf32>
  %t = tensor.from_elements %s : tensor<f32>
  %m = arith.addi %n, %c1 : index
  %hh = arith.addf %h, %h : f16
  return %b, %y, %bf, %s, %t, %m, %hh
    : i1, tensor<?x2xf32>, bf16, f32, tensor<f32>, index, f16
}

// One scalar result, one tensor result, none at all.
// RUN: qopt-run %s --function=one_scalar --input=-1.5 \
// RUN:   | FileCheck %s --check-prefix=ONE
// ONE: result[0]: f64=-3{{$}}
func.func @one_scalar(%x: f64) -> f64 {
  %y = arith.addf %x, %x : f64
  return %y : f64
}
// RUN: qopt-run %s --function=nothing | count 0
func.func @nothing() {
  return
}

// RUN: qopt-run %s --function=ranks --input=1.5 --input=2x1x2xi32=1,2,3,4 \
// RUN:   --input=0x3xf32 --input=2x0xf32 --output-max-element-count=3 \
// RUN:   | FileCheck %s --check-prefix=RANKS
// RANKS:      result[0]: f32=1.5{{$}}
// RANKS-NEXT: result[1]: 2x1x2xi32={{\[\[1 2\]\]\[\[3 \.\.\.\]\]$}}
// RANKS-NEXT: result[2]: 0x3xf32={{$}}
// RANKS-NEXT: result[3]: 2x0xf32={{$}}
func.func @ranks(%0: tensor<f32>, %3: tensor<?x?x?xi32>, %e: tensor<?x?xf32>,
                 %z: tensor<2x?xf32>)
    -> (tensor<f32>, tensor<?x?x?xi32>, tensor<?x?xf32>, tensor<2x?xf32>) {
  return %0, %3, %e, %z
    : tensor<f32>, tensor<?x?x?xi32>, tensor<?x?xf32>, tensor<2x?xf32>
}

// The time goes to standard error; options reach the pipeline and the code
// generator.
// RUN: qopt-run %s --function=one_scalar --input=1 --time -O0 --mcpu=x86-64 \
// RUN:   --pipeline=openmp=false --thread-count=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TIME
// TIME-DAG: compile {{[0-9.]+}} ms, run {{[0-9.]+}} ms
// TIME-DAG: result[0]: f64=2{{$}}

// RUN: qopt-run %s --function=one_scalar --input=1 \
// RUN:   --mlir-print-ir-after=convert-func-to-llvm 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PRINT
// PRINT: IR Dump After ConvertFuncToLLVMPass
// PRINT: result[0]: f64=2{{$}}

// Only what is called is compiled: @broken does not lower.
// RUN: not qopt-run %s --function=broken --input=1xf32 --input=1x1xindex 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BROKEN
func.func @broken(%x: tensor<?xf32>, %i: tensor<1x1xindex>) -> tensor<1xf32> {
  // BROKEN: qopt-run.mlir:[[#@LINE+1]]:8: error:
  %y = tensor.gather %x[%i] gather_dims([0])
    : (tensor<?xf32>, tensor<1x1xindex>) -> tensor<1xf32>
  return %y : tensor<1xf32>
}
