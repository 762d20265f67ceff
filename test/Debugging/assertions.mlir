// What does not fit while the code runs is an error with the line of the op,
// the primal's for a derivative, and not the end of the process.

// RUN: not qopt-run %s --function=three --input=4xf32=1 2>&1 | FileCheck %s --check-prefix=OWN
// OWN: qopt-run: error: {{.*}}assertions.mlir:[[#@LINE+7]]:3: expected three elements
// RUN: qopt-run %s --function=three --input=3xf32=1
func.func @three(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %fits = arith.cmpi eq, %n, %c3 : index
  cf.assert %fits, "expected three elements"
  return %x : tensor<?xf32>
}

// RUN: not qopt-run %s --function=slice --pipeline=verify-runtime --input=4xf32=1 --input=4 --input=2.0 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SLICE
// SLICE: error: {{.*}}assertions.mlir:[[#@LINE+9]]:8: ERROR: Runtime op verification failed
// SLICE-NEXT: tensor.extract_slice
// SLICE-NEXT: runs out-of-bounds along dimension 0
// RUN: not qopt-run %s --function=slice --pipeline=verify-runtime --input=4xf32=1 --input=2 --input=2.0 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SIZES
// SIZES: error: {{.*}}assertions.mlir:[[#@LINE+6]]:8: ERROR: Runtime op verification failed
// SIZES-NEXT: linalg.generic
// SIZES-NEXT: dimension #0 of input/output operand #1 is incompatible
func.func @slice(%x: tensor<?xf32>, %n: index, %a: tensor<f32>) -> tensor<?xf32> {
  %e = tensor.extract_slice %x[1] [%n] [1] : tensor<?xf32> to tensor<?xf32>
  %q = quant_ste.pact %e, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  %z = arith.addf %q, %x : tensor<?xf32>
  return %z : tensor<?xf32>
}
// RUN: not qopt-run %s --function=gradient --pipeline=verify-runtime --input=4xf32=1 --input=2 --input=2.0 --input=4xf32=1 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PRIMAL
// PRIMAL: error: {{.*}}assertions.mlir:[[#@LINE-6]]:8: ERROR: Runtime op verification failed
// PRIMAL: Location: loc(callsite(fused<"vjp">[{{.*}}:[[#@LINE-7]]:8] at
func.func @gradient(%x: tensor<?xf32>, %n: index, %a: tensor<f32>, %dz: tensor<?xf32>) -> tensor<?xf32> {
  %z, %dx = quant_ste.vjp @slice(%x, %n, %a) cotangents(%dz) wrt [0]
    : (tensor<?xf32>, index, tensor<f32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// An index among the elements: what the loop has done so far does not matter.
// RUN: not qopt-run %s --function=gather --pipeline=verify-runtime --input=4xf32=1 --input=2xi32=1,4 2>&1 \
// RUN:   | FileCheck %s --check-prefix=INDEX
// INDEX: error: {{.*}}assertions.mlir:[[#@LINE+13]]:10: ERROR: Runtime op verification failed
// INDEX-NEXT: tensor.extract
// INDEX-NEXT: out-of-bounds access
// RUN: qopt-run %s --function=gather --pipeline=verify-runtime --input=4xf32=5,6,7,8 --input=2xi32=1,3 | FileCheck %s --check-prefix=INSIDE
// INSIDE: 6 8
func.func @gather(%x: tensor<?xf32>, %i: tensor<?xi32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %i, %c0 : tensor<?xi32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%i : tensor<?xi32>) outs(%e : tensor<?xf32>) {
  ^bb0(%k: i32, %o: f32):
    %at = arith.index_cast %k : i32 to index
    %v = tensor.extract %x[%at] : tensor<?xf32>
    linalg.yield %v : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// A library has no caller to return the error to: it prints it and aborts,
// unless the program says otherwise.
// RUN: rm -rf %t && mkdir %t
// RUN: qopt-opt %s --symbol-privatize=exclude=gather --symbol-dce --mlir-print-debuginfo -o %t/gather.mlir
// RUN: qopt-compile %t/gather.mlir --pipeline="verify-runtime openmp=false" -o %t/gather.o
// RUN: %cc %S/Inputs/assertions.c -I%t %t/gather.o -lm -o %t/main
// RUN: not --crash %t/main 2>&1 | FileCheck %s --check-prefix=INDEX-C
// INDEX-C: assertions.mlir:[[#@LINE-13]]:10: ERROR: Runtime op verification failed
// RUN: %cc %S/Inputs/assertions.c -DOWN -I%t %t/gather.o -lm -o %t/own
// RUN: not %t/own | FileCheck %s --check-prefix=OWN-C
// OWN-C: the program's own: {{.*}}assertions.mlir
