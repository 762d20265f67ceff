// Codes of 8 bits, for a program that keeps or sends quantized values: read as
// floats, written as bytes, in vectors on every processor. No element is
// converted alone, in tails neither.

// RUN: qopt-compile %s --pipeline=openmp=false --target=cpu:x86-64-v4 -o %t.v4.s
// RUN: FileCheck %s --check-prefix=V4 --input-file=%t.v4.s --implicit-check-not=cvttss2si
// RUN: qopt-compile %s --pipeline=openmp=false --target=cpu:x86-64-v3 -o %t.v3.s
// RUN: FileCheck %s --check-prefix=V3 --input-file=%t.v3.s --implicit-check-not=cvttss2si
// RUN: qopt-compile %s --pipeline=openmp=false --target=cpu:x86-64-v2 -o %t.v2.s
// RUN: FileCheck %s --check-prefix=V2 --input-file=%t.v2.s --implicit-check-not=cvttss2si
// RUN: qopt-compile %s --pipeline=openmp=false --target=aarch64 -o %t.neon.s
// RUN: FileCheck %s --check-prefix=NEON --input-file=%t.neon.s --implicit-check-not=fcvtns

// V4: vrndscaleps $8, %zmm
// V4: vcvttps2dq %zmm
// V4: vpmovdb %zmm
// V4: vpmovdb %zmm{{[0-9]+}}, ({{.*}}) {%k
// V3: vroundps $8, %ymm
// V3: vcvttps2dq %ymm
// V3: vpackssdw
// V3: vpacksswb
// V2: roundps $8, %xmm
// V2: cvttps2dq %xmm
// V2: packssdw
// V2: packsswb
// NEON: frintn v{{[0-9]+}}.4s
// NEON: fcvtzs v{{[0-9]+}}.4s
func.func @codes(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xi8> {
  %min = arith.constant -128.0 : f32
  %max = arith.constant 127.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %none = tensor.empty(%n) : tensor<?xi8>
  %y = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}
      ins(%x, %s : tensor<?xf32>, tensor<f32>) outs(%none : tensor<?xi8>) {
  ^bb0(%e: f32, %scale: f32, %o: i8):
    %q = arith.divf %e, %scale : f32
    %r = math.roundeven %q : f32
    %above = arith.cmpf ogt, %r, %min : f32
    %l = arith.select %above, %r, %min : f32
    %below = arith.cmpf olt, %l, %max : f32
    %c = arith.select %below, %l, %max : f32
    %i = arith.fptosi %c : f32 to i8
    linalg.yield %i : i8
  } -> tensor<?xi8>
  return %y : tensor<?xi8>
}
