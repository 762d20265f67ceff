// The masks that a backward keeps go from mask registers to memory and back, 64
// of them by one instruction, in the loops that compute and read them.

// RUN: qopt-opt %s --quant-ste-differentiate="function=f wrt=0" --inline \
// RUN:   --convert-quant-ste-to-linalg --canonicalize --cse \
// RUN:   --quant-ste-plan-residuals="keep-arguments=false keep-results=false" \
// RUN:   --quant-ste-split --quant-ste-cpu-pipeline=openmp=false \
// RUN:   | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: opt -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -S %t.ll \
// RUN:   | llc -O2 -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 | FileCheck %s

// CHECK-LABEL: {{^}}f_fwd:
// CHECK: vcmpltps %zmm{{.*}}, %k
// CHECK: korq
// CHECK-NOT: vpmovm2b
// CHECK: kmovq %k{{[0-7]}}, (%r
// CHECK-LABEL: {{^}}f_bwd:
// CHECK: kmovq (%r{{.*}}), %k
// CHECK-NOT: vpmovb2m
// CHECK: vmovups {{.*}}(%r{{.*}}), %zmm{{.*}} {%k{{[0-7]}}} {z}
func.func @f(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
