// RUN: qopt-opt %s --quant-ste-expose-functions | FileCheck %s

// CHECK: func.func @f(%{{.*}}: tensor<?xf32> {bufferization.writable = false},
// CHECK-SAME: %{{.*}}: tensor<?xf32> {bufferization.writable = true},
// CHECK-SAME: %{{.*}}: f32)
// CHECK-SAME: attributes {llvm.emit_c_interface}
func.func @f(%x: tensor<?xf32>, %y: tensor<?xf32> {bufferization.writable = true}, %s: f32) {
  return
}

// Nobody outside calls a private function.
// CHECK: func.func private @g(%{{.*}}: tensor<?xf32>) {
func.func private @g(%x: tensor<?xf32>) {
  return
}

// A declaration is somebody else's.
// CHECK: func.func private @h(tensor<?xf32>){{$}}
func.func private @h(tensor<?xf32>)
