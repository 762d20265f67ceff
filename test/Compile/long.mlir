// A function of more arguments than LLVM passes in linear time gets them in
// memory, and is not optimized: it computes nothing in loops. The one that is
// seen from outside keeps them.

// RUN: qopt-compile %s --pipeline=openmp=false -o %t.ll && FileCheck %s --input-file=%t.ll

// CHECK-DAG: define i32 @gather({{.*}}, ptr %y) {{.*}}#[[ATTRIBUTES:[0-9]+]]
// CHECK-DAG: call void @gather.native(ptr {{(nonnull )?}}%{{[^,]*}})
// CHECK-DAG: define internal void @gather.native(ptr %0) #[[OWN:[0-9]+]]
// CHECK-DAG: attributes #[[ATTRIBUTES]] = {{.*}}noinline{{.*}}optnone
// CHECK-DAG: attributes #[[OWN]] = {{.*}}noinline{{.*}}optnone

func.func @gather(
    %a0: tensor<f32>, %a1: tensor<f32>, %a2: tensor<f32>, %a3: tensor<f32>,
    %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>,
    %a8: tensor<f32>, %a9: tensor<f32>, %a10: tensor<f32>, %a11: tensor<f32>,
    %a12: tensor<f32>, %a13: tensor<f32>, %a14: tensor<f32>, %a15: tensor<f32>,
    %a16: tensor<f32>, %a17: tensor<f32>, %a18: tensor<f32>, %a19: tensor<f32>,
    %a20: tensor<f32>, %a21: tensor<f32>, %a22: tensor<f32>, %a23: tensor<f32>,
    %a24: tensor<f32>, %a25: tensor<f32>, %a26: tensor<f32>, %a27: tensor<f32>,
    %a28: tensor<f32>, %a29: tensor<f32>, %a30: tensor<f32>, %a31: tensor<f32>,
    %a32: tensor<f32>, %a33: tensor<f32>, %a34: tensor<f32>, %a35: tensor<f32>,
    %a36: tensor<f32>, %a37: tensor<f32>, %a38: tensor<f32>, %a39: tensor<f32>,
    %a40: tensor<f32>, %a41: tensor<f32>, %a42: tensor<f32>, %a43: tensor<f32>,
    %a44: tensor<f32>, %a45: tensor<f32>, %a46: tensor<f32>, %a47: tensor<f32>,
    %a48: tensor<f32>, %a49: tensor<f32>, %a50: tensor<f32>, %a51: tensor<f32>,
    %a52: tensor<f32>, %a53: tensor<f32>, %a54: tensor<f32>, %a55: tensor<f32>,
    %a56: tensor<f32>, %a57: tensor<f32>, %a58: tensor<f32>, %a59: tensor<f32>,
    %a60: tensor<f32>, %a61: tensor<f32>, %a62: tensor<f32>, %a63: tensor<f32>,
    %a64: tensor<f32>, %a65: tensor<f32>, %a66: tensor<f32>, %a67: tensor<f32>,
    %a68: tensor<f32>, %a69: tensor<f32>, %a70: tensor<f32>, %a71: tensor<f32>,
    %a72: tensor<f32>, %a73: tensor<f32>, %a74: tensor<f32>, %a75: tensor<f32>,
    %a76: tensor<f32>, %a77: tensor<f32>, %a78: tensor<f32>, %a79: tensor<f32>,
    %a80: tensor<f32>, %a81: tensor<f32>, %a82: tensor<f32>, %a83: tensor<f32>,
    %a84: tensor<f32>, %a85: tensor<f32>, %a86: tensor<f32>, %a87: tensor<f32>,
    %a88: tensor<f32>, %a89: tensor<f32>, %a90: tensor<f32>, %a91: tensor<f32>,
    %a92: tensor<f32>, %a93: tensor<f32>, %a94: tensor<f32>, %a95: tensor<f32>,
    %a96: tensor<f32>, %a97: tensor<f32>, %a98: tensor<f32>, %a99: tensor<f32>,
    %a100: tensor<f32>, %a101: tensor<f32>, %a102: tensor<f32>,
    %a103: tensor<f32>, %a104: tensor<f32>, %a105: tensor<f32>,
    %a106: tensor<f32>, %a107: tensor<f32>, %a108: tensor<f32>,
    %a109: tensor<f32>, %a110: tensor<f32>, %a111: tensor<f32>,
    %a112: tensor<f32>, %a113: tensor<f32>, %a114: tensor<f32>,
    %a115: tensor<f32>, %a116: tensor<f32>, %a117: tensor<f32>,
    %a118: tensor<f32>, %a119: tensor<f32>, %a120: tensor<f32>,
    %a121: tensor<f32>, %a122: tensor<f32>, %a123: tensor<f32>,
    %a124: tensor<f32>, %a125: tensor<f32>, %a126: tensor<f32>,
    %a127: tensor<f32>, %a128: tensor<f32>, %a129: tensor<f32>)
    -> (tensor<130xf32> {quant_ste.name = "y"}) {
  %e0 = tensor.extract %a0[] : tensor<f32>
  %e1 = tensor.extract %a1[] : tensor<f32>
  %e2 = tensor.extract %a2[] : tensor<f32>
  %e3 = tensor.extract %a3[] : tensor<f32>
  %e4 = tensor.extract %a4[] : tensor<f32>
  %e5 = tensor.extract %a5[] : tensor<f32>
  %e6 = tensor.extract %a6[] : tensor<f32>
  %e7 = tensor.extract %a7[] : tensor<f32>
  %e8 = tensor.extract %a8[] : tensor<f32>
  %e9 = tensor.extract %a9[] : tensor<f32>
  %e10 = tensor.extract %a10[] : tensor<f32>
  %e11 = tensor.extract %a11[] : tensor<f32>
  %e12 = tensor.extract %a12[] : tensor<f32>
  %e13 = tensor.extract %a13[] : tensor<f32>
  %e14 = tensor.extract %a14[] : tensor<f32>
  %e15 = tensor.extract %a15[] : tensor<f32>
  %e16 = tensor.extract %a16[] : tensor<f32>
  %e17 = tensor.extract %a17[] : tensor<f32>
  %e18 = tensor.extract %a18[] : tensor<f32>
  %e19 = tensor.extract %a19[] : tensor<f32>
  %e20 = tensor.extract %a20[] : tensor<f32>
  %e21 = tensor.extract %a21[] : tensor<f32>
  %e22 = tensor.extract %a22[] : tensor<f32>
  %e23 = tensor.extract %a23[] : tensor<f32>
  %e24 = tensor.extract %a24[] : tensor<f32>
  %e25 = tensor.extract %a25[] : tensor<f32>
  %e26 = tensor.extract %a26[] : tensor<f32>
  %e27 = tensor.extract %a27[] : tensor<f32>
  %e28 = tensor.extract %a28[] : tensor<f32>
  %e29 = tensor.extract %a29[] : tensor<f32>
  %e30 = tensor.extract %a30[] : tensor<f32>
  %e31 = tensor.extract %a31[] : tensor<f32>
  %e32 = tensor.extract %a32[] : tensor<f32>
  %e33 = tensor.extract %a33[] : tensor<f32>
  %e34 = tensor.extract %a34[] : tensor<f32>
  %e35 = tensor.extract %a35[] : tensor<f32>
  %e36 = tensor.extract %a36[] : tensor<f32>
  %e37 = tensor.extract %a37[] : tensor<f32>
  %e38 = tensor.extract %a38[] : tensor<f32>
  %e39 = tensor.extract %a39[] : tensor<f32>
  %e40 = tensor.extract %a40[] : tensor<f32>
  %e41 = tensor.extract %a41[] : tensor<f32>
  %e42 = tensor.extract %a42[] : tensor<f32>
  %e43 = tensor.extract %a43[] : tensor<f32>
  %e44 = tensor.extract %a44[] : tensor<f32>
  %e45 = tensor.extract %a45[] : tensor<f32>
  %e46 = tensor.extract %a46[] : tensor<f32>
  %e47 = tensor.extract %a47[] : tensor<f32>
  %e48 = tensor.extract %a48[] : tensor<f32>
  %e49 = tensor.extract %a49[] : tensor<f32>
  %e50 = tensor.extract %a50[] : tensor<f32>
  %e51 = tensor.extract %a51[] : tensor<f32>
  %e52 = tensor.extract %a52[] : tensor<f32>
  %e53 = tensor.extract %a53[] : tensor<f32>
  %e54 = tensor.extract %a54[] : tensor<f32>
  %e55 = tensor.extract %a55[] : tensor<f32>
  %e56 = tensor.extract %a56[] : tensor<f32>
  %e57 = tensor.extract %a57[] : tensor<f32>
  %e58 = tensor.extract %a58[] : tensor<f32>
  %e59 = tensor.extract %a59[] : tensor<f32>
  %e60 = tensor.extract %a60[] : tensor<f32>
  %e61 = tensor.extract %a61[] : tensor<f32>
  %e62 = tensor.extract %a62[] : tensor<f32>
  %e63 = tensor.extract %a63[] : tensor<f32>
  %e64 = tensor.extract %a64[] : tensor<f32>
  %e65 = tensor.extract %a65[] : tensor<f32>
  %e66 = tensor.extract %a66[] : tensor<f32>
  %e67 = tensor.extract %a67[] : tensor<f32>
  %e68 = tensor.extract %a68[] : tensor<f32>
  %e69 = tensor.extract %a69[] : tensor<f32>
  %e70 = tensor.extract %a70[] : tensor<f32>
  %e71 = tensor.extract %a71[] : tensor<f32>
  %e72 = tensor.extract %a72[] : tensor<f32>
  %e73 = tensor.extract %a73[] : tensor<f32>
  %e74 = tensor.extract %a74[] : tensor<f32>
  %e75 = tensor.extract %a75[] : tensor<f32>
  %e76 = tensor.extract %a76[] : tensor<f32>
  %e77 = tensor.extract %a77[] : tensor<f32>
  %e78 = tensor.extract %a78[] : tensor<f32>
  %e79 = tensor.extract %a79[] : tensor<f32>
  %e80 = tensor.extract %a80[] : tensor<f32>
  %e81 = tensor.extract %a81[] : tensor<f32>
  %e82 = tensor.extract %a82[] : tensor<f32>
  %e83 = tensor.extract %a83[] : tensor<f32>
  %e84 = tensor.extract %a84[] : tensor<f32>
  %e85 = tensor.extract %a85[] : tensor<f32>
  %e86 = tensor.extract %a86[] : tensor<f32>
  %e87 = tensor.extract %a87[] : tensor<f32>
  %e88 = tensor.extract %a88[] : tensor<f32>
  %e89 = tensor.extract %a89[] : tensor<f32>
  %e90 = tensor.extract %a90[] : tensor<f32>
  %e91 = tensor.extract %a91[] : tensor<f32>
  %e92 = tensor.extract %a92[] : tensor<f32>
  %e93 = tensor.extract %a93[] : tensor<f32>
  %e94 = tensor.extract %a94[] : tensor<f32>
  %e95 = tensor.extract %a95[] : tensor<f32>
  %e96 = tensor.extract %a96[] : tensor<f32>
  %e97 = tensor.extract %a97[] : tensor<f32>
  %e98 = tensor.extract %a98[] : tensor<f32>
  %e99 = tensor.extract %a99[] : tensor<f32>
  %e100 = tensor.extract %a100[] : tensor<f32>
  %e101 = tensor.extract %a101[] : tensor<f32>
  %e102 = tensor.extract %a102[] : tensor<f32>
  %e103 = tensor.extract %a103[] : tensor<f32>
  %e104 = tensor.extract %a104[] : tensor<f32>
  %e105 = tensor.extract %a105[] : tensor<f32>
  %e106 = tensor.extract %a106[] : tensor<f32>
  %e107 = tensor.extract %a107[] : tensor<f32>
  %e108 = tensor.extract %a108[] : tensor<f32>
  %e109 = tensor.extract %a109[] : tensor<f32>
  %e110 = tensor.extract %a110[] : tensor<f32>
  %e111 = tensor.extract %a111[] : tensor<f32>
  %e112 = tensor.extract %a112[] : tensor<f32>
  %e113 = tensor.extract %a113[] : tensor<f32>
  %e114 = tensor.extract %a114[] : tensor<f32>
  %e115 = tensor.extract %a115[] : tensor<f32>
  %e116 = tensor.extract %a116[] : tensor<f32>
  %e117 = tensor.extract %a117[] : tensor<f32>
  %e118 = tensor.extract %a118[] : tensor<f32>
  %e119 = tensor.extract %a119[] : tensor<f32>
  %e120 = tensor.extract %a120[] : tensor<f32>
  %e121 = tensor.extract %a121[] : tensor<f32>
  %e122 = tensor.extract %a122[] : tensor<f32>
  %e123 = tensor.extract %a123[] : tensor<f32>
  %e124 = tensor.extract %a124[] : tensor<f32>
  %e125 = tensor.extract %a125[] : tensor<f32>
  %e126 = tensor.extract %a126[] : tensor<f32>
  %e127 = tensor.extract %a127[] : tensor<f32>
  %e128 = tensor.extract %a128[] : tensor<f32>
  %e129 = tensor.extract %a129[] : tensor<f32>
  %y = tensor.from_elements
    %e0, %e1, %e2, %e3, %e4, %e5, %e6, %e7, %e8, %e9, %e10, %e11, %e12, %e13,
    %e14, %e15, %e16, %e17, %e18, %e19, %e20, %e21, %e22, %e23, %e24, %e25,
    %e26, %e27, %e28, %e29, %e30, %e31, %e32, %e33, %e34, %e35, %e36, %e37,
    %e38, %e39, %e40, %e41, %e42, %e43, %e44, %e45, %e46, %e47, %e48, %e49,
    %e50, %e51, %e52, %e53, %e54, %e55, %e56, %e57, %e58, %e59, %e60, %e61,
    %e62, %e63, %e64, %e65, %e66, %e67, %e68, %e69, %e70, %e71, %e72, %e73,
    %e74, %e75, %e76, %e77, %e78, %e79, %e80, %e81, %e82, %e83, %e84, %e85,
    %e86, %e87, %e88, %e89, %e90, %e91, %e92, %e93, %e94, %e95, %e96, %e97,
    %e98, %e99, %e100, %e101, %e102, %e103, %e104, %e105, %e106, %e107, %e108,
    %e109, %e110, %e111, %e112, %e113, %e114, %e115, %e116, %e117, %e118,
    %e119, %e120, %e121, %e122, %e123, %e124, %e125, %e126, %e127, %e128, %e129 : tensor<130xf32>
  return %y : tensor<130xf32>
}
