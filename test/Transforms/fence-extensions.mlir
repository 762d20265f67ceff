// RUN: qopt-opt %s --quant-ste-fence-extensions | FileCheck %s
// RUN: qopt-opt %s --quant-ste-fence-extensions | mlir-translate \
// RUN:   --mlir-to-llvmir | opt -O2 -S | FileCheck %s --check-prefix=LLVM

// CHECK-LABEL: llvm.func @clamp
// CHECK: %[[E:.*]] = llvm.fpext %{{.*}} : vector<8xf16> to vector<8xf32>
// CHECK: %[[F:.*]] = llvm.call_intrinsic "llvm.arithmetic.fence"(%[[E]])
// CHECK: llvm.fcmp "olt" %[[F]]
// CHECK: llvm.select %{{.*}}, %{{.*}}, %[[F]]

// The comparison stays wide, and keeps the sign of a zero: `x < 0`, not its
// inverse.
// LLVM-LABEL: @clamp
// LLVM: %[[C:.*]] = fcmp olt <8 x float>
// LLVM: select <8 x i1> %[[C]], <8 x float> zeroinitializer
llvm.func @clamp(%x: vector<8xf16>) -> !llvm.struct<(vector<8xf32>, vector<8xi1>)> {
  %0 = llvm.mlir.constant(dense<0.0> : vector<8xf32>) : vector<8xf32>
  %e = llvm.fpext %x : vector<8xf16> to vector<8xf32>
  %c = llvm.fcmp "olt" %e, %0 : vector<8xf32>
  %s = llvm.select %c, %0, %e : vector<8xi1>, vector<8xf32>
  %u = llvm.mlir.undef : !llvm.struct<(vector<8xf32>, vector<8xi1>)>
  %v = llvm.insertvalue %s, %u[0] : !llvm.struct<(vector<8xf32>, vector<8xi1>)>
  %w = llvm.insertvalue %c, %v[1] : !llvm.struct<(vector<8xf32>, vector<8xi1>)>
  llvm.return %w : !llvm.struct<(vector<8xf32>, vector<8xi1>)>
}
