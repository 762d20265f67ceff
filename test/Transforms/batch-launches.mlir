// RUN: qopt-opt %s --split-input-file --quant-ste-batch-launches | FileCheck %s

// A later launch moves up with what it needs: here an allocation.

// CHECK-LABEL: func.func @joins
// CHECK: %[[A:.*]] = memref.alloc()
// CHECK-NEXT: %[[B:.*]] = memref.alloc()
// CHECK: gpu.launch_func @kernels::@f_batch blocks in (%[[GRID:.*]], %c1, %c1) threads in (%c256, %c1, %c1)
// CHECK-SAME: args(%arg0 : memref<f32>, %[[A]] : memref<f32>, %[[START:.*]] : index, %arg1 : memref<f32>, %[[B]] : memref<f32>)
// CHECK-NEXT: gpu.launch_func @kernels::@g
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.module @kernels
// CHECK-NOT: @f(
// CHECK: gpu.func @f_batch(%arg0: memref<f32> {llvm.noalias, llvm.readonly}, %arg1: memref<f32>, %[[S:.*]]: index, %arg3: memref<f32> {llvm.noalias, llvm.readonly}, %arg4: memref<f32>) kernel
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>
// CHECK-SAME: nvvm.minctasm = 4
// CHECK: %[[BLOCK:.*]] = gpu.block_id x
// CHECK: %[[FIRST:.*]] = arith.cmpi ult, %[[BLOCK]], %[[S]]
// CHECK: %[[OWN:.*]]:3 = scf.if %[[FIRST]]
// CHECK: scf.yield %{{.*}}, %arg0, %arg1
// CHECK: scf.yield %[[S]], %arg3, %arg4
// CHECK: %[[MINE:.*]] = arith.subi %[[BLOCK]], %[[OWN]]#0
// CHECK: memref.load %[[OWN]]#1
// CHECK: arith.index_cast %[[MINE]]
// CHECK: memref.store %{{.*}}, %[[OWN]]#2
module attributes {gpu.container_module} {
  func.func @joins(%x: memref<f32>, %y: memref<f32>, %z: memref<f32>) -> (memref<f32>, memref<f32>) {
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c256 = arith.constant 256 : index
    %a = memref.alloc() : memref<f32>
    gpu.launch_func @kernels::@f blocks in (%c2, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<f32>, %a : memref<f32>)
    gpu.launch_func @kernels::@g blocks in (%c2, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%z : memref<f32>)
    %b = memref.alloc() : memref<f32>
    gpu.launch_func @kernels::@f blocks in (%c3, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%y : memref<f32>, %b : memref<f32>)
    return %a, %b : memref<f32>, memref<f32>
  }
  gpu.module @kernels {
    gpu.func @f(%x: memref<f32> {llvm.noalias, llvm.readonly}, %y: memref<f32>) kernel
        attributes {known_block_size = array<i32: 256, 1, 1>, nvvm.minctasm = 4 : i32} {
      %id = gpu.block_id x
      %v = memref.load %x[] : memref<f32>
      %n = arith.index_cast %id : index to i32
      %m = arith.sitofp %n : i32 to f32
      %w = arith.addf %v, %m : f32
      memref.store %w, %y[] : memref<f32>
      gpu.return
    }
    gpu.func @g(%x: memref<f32>) kernel {
      gpu.return
    }
  }
}

// -----

// Not where something in between writes what it reads (@g), frees it, is not
// known, or where it needs the results of the first one; nor large grids.

// CHECK-LABEL: func.func @stays
// CHECK-COUNT-9: gpu.launch_func @kernels::@{{[fg]}} blocks
// CHECK-NOT: _batch
module attributes {gpu.container_module} {
  func.func private @unknown()
  func.func @stays(%x: memref<f32>, %y: memref<f32>, %large: index, %flag: i1) {
    %c1 = arith.constant 1 : index
    %c600 = arith.constant 600 : index
    %c256 = arith.constant 256 : index
    %a = memref.alloc() : memref<f32>
    %b = memref.alloc() : memref<f32>
    %c = memref.alloc() : memref<f32>
    gpu.launch_func @kernels::@f blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<f32>, %a : memref<f32>)
    gpu.launch_func @kernels::@g blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%y : memref<f32>)
    gpu.launch_func @kernels::@f blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%y : memref<f32>, %b : memref<f32>)
    gpu.launch_func @kernels::@f blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%b : memref<f32>, %c : memref<f32>)
    memref.dealloc %b : memref<f32>
    call @unknown() : () -> ()
    gpu.launch_func @kernels::@f blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<f32>, %a : memref<f32>)
    gpu.launch_func @kernels::@f blocks in (%c600, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<f32>, %c : memref<f32>)
    gpu.launch_func @kernels::@f blocks in (%large, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<f32>, %c : memref<f32>)
    // The same buffer is written.
    gpu.launch_func @kernels::@f blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%y : memref<f32>, %a : memref<f32>)
    // It may be any buffer.
    %d = arith.select %flag, %a, %c : memref<f32>
    gpu.launch_func @kernels::@f blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<f32>, %d : memref<f32>)
    return
  }
  gpu.module @kernels {
    gpu.func @f(%x: memref<f32> {llvm.noalias, llvm.readonly}, %y: memref<f32>) kernel {
      gpu.return
    }
    gpu.func @g(%x: memref<f32>) kernel {
      gpu.return
    }
  }
}

// -----

// A choice between two versions joins one between the same two, and each part
// makes its own.

// CHECK-LABEL: func.func @choices
// CHECK-NOT: scf.if
// CHECK: gpu.launch_func @kernels::@f_batch blocks in (%{{.*}}, %c1, %c1) threads in (%c256, %c1, %c1)
// CHECK-SAME: args(%arg2 : i1, %arg0 : memref<f32>, %{{.*}} : index, %arg3 : i1, %arg1 : memref<f32>)
// CHECK: gpu.func @f_batch
// CHECK-SAME: workgroup(%[[SHARED:.*]] : memref<8xf32, #gpu.address_space<workgroup>>) kernel
// CHECK: %[[OWN:.*]]:3 = scf.if
// CHECK: scf.if %[[OWN]]#1
// CHECK: memref.store %{{.*}}, %[[SHARED]]
// CHECK: else
// CHECK: memref.load %[[SHARED]]
module attributes {gpu.container_module} {
  func.func @choices(%x: memref<f32>, %y: memref<f32>, %a: i1, %b: i1) {
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    scf.if %a {
      gpu.launch_func @kernels::@f_aligned blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1) args(%x : memref<f32>)
    } else {
      gpu.launch_func @kernels::@f_any blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1) args(%x : memref<f32>)
    }
    scf.if %b {
      gpu.launch_func @kernels::@f_aligned blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1) args(%y : memref<f32>)
    } else {
      gpu.launch_func @kernels::@f_any blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1) args(%y : memref<f32>)
    }
    return
  }
  gpu.module @kernels {
    gpu.func @f_aligned(%x: memref<f32>) workgroup(%s: memref<8xf32, #gpu.address_space<workgroup>>) kernel {
      %c0 = arith.constant 0 : index
      %v = memref.load %x[] : memref<f32>
      memref.store %v, %s[%c0] : memref<8xf32, #gpu.address_space<workgroup>>
      gpu.return
    }
    gpu.func @f_any(%x: memref<f32>) workgroup(%s: memref<8xf32, #gpu.address_space<workgroup>>) kernel {
      %c0 = arith.constant 0 : index
      %v = memref.load %s[%c0] : memref<8xf32, #gpu.address_space<workgroup>>
      memref.store %v, %x[] : memref<f32>
      gpu.return
    }
  }
}
