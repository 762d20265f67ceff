//===- Passes.td - transformations -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_PASSES_TD
#define QUANT_STE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def QuantSTELintPass : Pass<"quant-ste-lint"> {
  let summary = "Warn of constants that are defined but surely not meant";
  let description = [{
    Looks at the attributes of each op with a gradient rule and at its constant
    operands: a scale that is zero, negative or not finite, reversed or NaN
    bounds, a bit width outside 1..32. All of these have a defined meaning, so
    no verifier refuses them; this pass warns at the op and changes nothing.
  }];
}

def QuantSTEApplyPresetPass : Pass<"quant-ste-apply-preset"> {
  let summary = "Choose the words that reproduce a library";
  let description = [{
    Every op with a rule gets the words with which it has the bits of `library`
    (`brevitas`, `bitorch` or `torch`), forward and backward: `stepwise` where
    that library rounds each step to f16 or bf16, `multiply_masks` where it
    multiplies by masks, `grad(unfused)` where it does not cancel factors, and
    the op's own (`nan_positive`, `scaling`, `weighted`, `brevitas`). What the
    library's functions mean by themselves, such as a gradient or a rounding,
    stays as it is written. Rules of one's own are left alone. Run it before
    `quant-ste-differentiate`.

    An op that the library does not have, or not with this gradient or type, is
    an error; with `partial` it is left as it is, with a remark. A remark also
    says where the library calls an elementary function, so that the bits may
    differ by a few ULPs. docs/presets.md has the table.

    Before:
    ```mlir
    %y = quant_ste.int_quant %x, %s, %z, %b signed grad(clipped)
      : tensor<?xf16>, tensor<f16>, tensor<f16>, tensor<f16>
    ```
    After, with `library=brevitas`:
    ```mlir
    %y = quant_ste.int_quant %x, %s, %z, %b signed stepwise grad(unfused)
      : tensor<?xf16>, tensor<f16>, tensor<f16>, tensor<f16>
    ```
  }];
  let options = [
    Option<"library", "library", "std::string", /*default=*/"",
           "Whose arithmetic: brevitas, bitorch or torch">,
    Option<"partial", "partial", "bool", /*default=*/"false",
           "Leave ops that the library does not have as they are">
  ];
}

def QuantSTELinkRulesPass : Pass<"quant-ste-link-rules", "::mlir::ModuleOp"> {
  let summary = "Put rules in the place where they are applied";
  let description = [{
    Each `quant_ste.apply` becomes a `quant_ste.custom` with the regions of the
    rule that it names; no `quant_ste.rule` is left. A rule that is only declared
    is looked up in the files `rules`, of which exactly one must have a rule of
    that name, and of the declared type.

    Before:
    ```mlir
    quant_ste.rule private @halve(f32) -> f32
    %y = quant_ste.apply @halve(%x) : tensor<?xf32>
    ```
    After:
    ```mlir
    %y = quant_ste.custom %x : tensor<?xf32>
    forward(%a: f32) {
      ...
    } partials(%a: f32, %r: f32) {
      ...
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
  let options = [
    ListOption<"rules", "rules", "std::string",
               "Files with the rules that are declared, but not defined">
  ];
}

def QuantSTEExposeFunctionsPass : Pass<"quant-ste-expose-functions", "ModuleOp"> {
  let summary = "Give public functions a C interface and read-only arguments";
  let description = [{
    Bufferization takes the arguments of a function for writable, so that
    `scf.for` over a weight would change the caller's array. Here each tensor
    argument of a public function that does not say otherwise becomes
    `{bufferization.writable = false}`, and the function gets
    `llvm.emit_c_interface`. Declarations are left alone.

    Before:
    ```mlir
    func.func @f(%x: tensor<?xf32>, %y: tensor<?xf32> {bufferization.writable = true})
    ```
    After:
    ```mlir
    func.func @f(%x: tensor<?xf32> {bufferization.writable = false},
                 %y: tensor<?xf32> {bufferization.writable = true})
        attributes {llvm.emit_c_interface}
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def QuantSTEBufferizePass : Pass<"quant-ste-bufferize", "::mlir::ModuleOp"> {
  let summary = "One-shot bufferization of functions with many arguments";
  let description = [{
    `one-shot-bufferize{bufferize-function-boundaries
    function-boundary-type-conversion=identity-layout-map
    allow-return-allocs-from-loops}`, whose time and memory do not go with the
    square of the number of a function's arguments: `bufferization.writable`
    leaves all of them at once.

    Before:
    ```mlir
    func.func @f(%x: tensor<8xf32> {bufferization.writable = false},
                 %e: f32) -> tensor<8xf32> {
      %c0 = arith.constant 0 : index
      %y = tensor.insert %e into %x[%c0] : tensor<8xf32>
      return %y : tensor<8xf32>
    }
    ```
    After:
    ```mlir
    func.func @f(%x: memref<8xf32>, %e: f32) -> memref<8xf32> {
      %c0 = arith.constant 0 : index
      %y = memref.alloc() {alignment = 64 : i64} : memref<8xf32>
      memref.copy %x, %y : memref<8xf32> to memref<8xf32>
      memref.store %e, %y[%c0] : memref<8xf32>
      return %y : memref<8xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect"];
}

def QuantSTECallerDestinationsPass
    : Pass<"quant-ste-caller-destinations", "::mlir::ModuleOp"> {
  let summary = "Write results where the caller says";
  let description = [{
    Each result that is marked `quant_ste.destination` becomes an argument, after
    the others and in order: a buffer of the result's shape, row-major, which
    overlaps no other buffer. Run just before bufferization, so that kernels
    write there at once. Calls within the module go to a private copy that
    returns its results.

    Before:
    ```mlir
    func.func @f(%x: tensor<?xf32>) -> (tensor<?xf32> {quant_ste.destination}) {
      ...
      return %y : tensor<?xf32>
    }
    ```
    After:
    ```mlir
    func.func @f(%x: tensor<?xf32>, %out: memref<?xf32>) {
      ...
      bufferization.materialize_in_destination %y in restrict writable %out
          : (tensor<?xf32>, memref<?xf32>) -> ()
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect"];
}

def QuantSTEOwnDestinationsPass : Pass<"quant-ste-own-destinations"> {
  let summary = "Give each op that writes a destination of its own";
  let description = [{
    CSE merges equal `linalg.fill` and `tensor.empty` ops, though each stands
    for a buffer: bufferization then has to copy for every user but one, in
    every iteration of a loop. This pass, run just before bufferization, makes
    them again for each operand that is written to, beside its user. A splat
    constant that is written to becomes a fill.

    With `carried`, what a `linalg.generic` in an `scf.for` computes for the next
    iteration goes where the loop carries the value of this one, if the op does
    not read its destination: a step that updates parameters needs no memory of
    its own, and owns none. Bufferization takes other memory where the old value
    is still read.

    Before:
    ```mlir
    %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    %r = scf.for ... iter_args(%v = %z) {
      %g = linalg.reduce ... outs(%z : tensor<8xf32>)
    ```
    After:
    ```mlir
    %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    %r = scf.for ... iter_args(%v = %z) {
      %e1 = tensor.empty() : tensor<8xf32>
      %z1 = linalg.fill ins(%c0 : f32) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
      %g = linalg.reduce ... outs(%z1 : tensor<8xf32>)
    ```
  }];
  let options = [Option<"carried", "carried", "bool", /*default=*/"false",
                        "Update what loops carry in place">];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def QuantSTEOwnResultsPass : Pass<"quant-ste-own-results", "::mlir::func::FuncOp"> {
  let summary = "Make the buffers that a function returns distinct";
  let description = [{
    The caller owns each returned buffer and frees it, but a function may return
    one buffer twice, as itself or as a view of it. Run between bufferization
    and deallocation, this pass clones all but the first.

    Before:
    ```mlir
    return %y, %y : memref<?xf32>, memref<?xf32>
    ```
    After:
    ```mlir
    %own = bufferization.clone %y : memref<?xf32> to memref<?xf32>
    return %y, %own : memref<?xf32>, memref<?xf32>
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def QuantSTEReuseBuffersPass
    : Pass<"quant-ste-reuse-buffers", "::mlir::func::FuncOp"> {
  let summary = "Write results into dead buffers, and free what is dead";
  let description = [{
    For allocations that stay in their block: all uses, those of views included,
    only read and write. Where a buffer is used for the first time after another
    one of the same type and sizes was used for the last time, the two become
    one. So they do in one op, a gradient written over the residual that it is
    made of, if the op is a `linalg.generic` that runs through both by the same
    permutation of its loops, reads the old one nowhere else, and does not read
    the new one. What remains is allocated just before its first use and freed
    just after its last one, both marked `bufferization.manual_deallocation`, so
    that buffer deallocation has nothing to do with it.

    An argument that is marked `quant_ste.donated` is a dead buffer behind its
    last use. A buffer that the function returns may take the place of a dead
    one that was allocated, but never that of an argument.

    Runs between bufferization and deallocation.

    Before:
    ```mlir
    %a = memref.alloc() : memref<8xf32>
    linalg.generic {identity} ins(%x) outs(%a)
    %b = memref.alloc() : memref<8xf32>
    linalg.generic {identity} ins(%a) outs(%b)
    memref.copy %b, %out
    ```
    After:
    ```mlir
    %a = memref.alloc() {bufferization.manual_deallocation} : memref<8xf32>
    linalg.generic {identity} ins(%x) outs(%a)
    linalg.generic {identity} ins(%a) outs(%a)
    memref.copy %a, %out
    memref.dealloc %a {bufferization.manual_deallocation} : memref<8xf32>
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect"];
}

def QuantSTEOutlinePass : Pass<"quant-ste-outline", "::mlir::ModuleOp"> {
  let summary = "Compile equal kernels once";
  let description = [{
    The layers of a network repeat, and with them its kernels. Linalg ops on
    buffers that are equal up to the buffers (same types, body, constants) and
    occur at least `min-uses` times become calls of one private function, so
    that vectorization and code generation see each once. Of a function with
    more than 64 of them, those that occur once do too: what only calls others
    is not worth LLVM's time. An op whose body captures anything but constants
    stays where it is.

    It runs behind bufferization, where the types of the operands, with their
    layouts, are settled: a call then never costs a copy.

    Before:
    ```mlir
    linalg.generic ... ins(%x, %a : memref<64x64xf32>, memref<f32>) outs(%y : memref<64x64xf32>) {...}
    linalg.generic ... ins(%u, %b : memref<64x64xf32>, memref<f32>) outs(%v : memref<64x64xf32>) {...}
    ```
    After:
    ```mlir
    call @kernel_generic(%x, %a, %y) : (memref<64x64xf32>, memref<f32>, memref<64x64xf32>) -> ()
    call @kernel_generic(%u, %b, %v) : (memref<64x64xf32>, memref<f32>, memref<64x64xf32>) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect",
                           "::mlir::LLVM::LLVMDialect"];
  let options = [
    Option<"minUses", "min-uses", "unsigned", /*default=*/"2",
           "How often a kernel must occur to become a function">];
  let statistics = [
    Statistic<"numFunctions", "functions", "Number of functions made">,
    Statistic<"numCalls", "calls", "Number of kernels turned into calls">];
}

def QuantSTEExpandShapePass : Pass<"quant-ste-expand-shape"> {
  let summary = "Turn memref.expand_shape into a cast with computed strides";
  let description = [{
    `expand-strided-metadata` takes at most one dynamic size in each group of
    dimensions, and crashes where there are more. Here the strides come from the
    op's `output_shape`, which says them all.

    Before:
    ```mlir
    %y = memref.expand_shape %x [[0, 1]] output_shape [%a, %b] : memref<?xf32> into memref<?x?xf32>
    ```
    After:
    ```mlir
    %y = memref.reinterpret_cast %x to offset: [0], sizes: [%a, %b], strides: [%b, 1]
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
                           "::mlir::memref::MemRefDialect"];
}

def QuantSTEExpandMathPass : Pass<"quant-ste-expand-math"> {
  let summary = "Compute exp, log and tanh by the polynomials of the rules";
  let description = [{
    A scalar `math.exp`, `exp2`, `log`, `log2`, `tanh` or `cosh` would be a call
    of the C library for each element, whose bits differ from one library to the
    next. Here it becomes the fixed polynomial, in double precision, that the
    gradient rules use: vector code with the same bits on every machine. f32,
    bf16 and f16 are rounded once from it, which is correct rounding in nearly
    every case (within 0.51 ULP in all of f32); f64 is within 2 ULP (exp, exp2),
    3 (log, log2, cosh) or 4 (tanh).

    Before:
    ```mlir
    %y = math.exp %x : f32
    ```
    After:
    ```mlir
    %wide = arith.extf %x : f32 to f64
    ...
    %y = arith.truncf %scaled : f64 to f32
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def QuantSTEVectorizePass : Pass<"quant-ste-vectorize", "::mlir::func::FuncOp"> {
  let summary = "Turn linalg on buffers into parallel loops over vectors";
  let description = [{
    A kernel is a `linalg.generic` (or what can be made one: a named op, a copy
    that is large or not contiguous) with a loop that runs along memory in every
    operand that sees it, and a body of elementwise ops. Its iterations are cut
    into units by element index, which `scf.forall` hands out as tasks; the
    innermost loop is over vectors, its last elements masked. Values that do not
    vary along a loop are computed outside of it.

    A sum has one partial result per unit: 64 lanes by element index, added by
    halves. The partial results are added in order, in f64. So its bits depend
    on the shape alone, not on the number of threads or the length of the
    machine's vectors. The terms of a matrix product are added in order.

    Other ops are left to convert-linalg-to-loops; a remark (see
    `--remarks-filter`) gives the reason.

    Before:
    ```mlir
    linalg.generic ... ins(%x, %alpha : memref<?xf32>, memref<f32>) outs(%y : memref<?xf32>) {...}
    ```
    After:
    ```mlir
    %a = memref.load %alpha[] : memref<f32>
    scf.forall (%task) in (%tasks) {
      scf.for %i = %lo to %split step %c64 {
        %v = vector.load %x[%i] : memref<?xf32>, vector<64xf32>
        ...
      }
      scf.for %i = %split to %hi step %c16 {
        %mask = vector.create_mask %left : vector<16xi1>
        ...
      }
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"];
  let statistics = [
    Statistic<"numKernels", "kernels", "Number of kernels made of vectors">,
    Statistic<"numPlainLoops", "plain-loops", "Number left to plain loops">];
}

def QuantSTEMapToGPUPass : Pass<"quant-ste-map-to-gpu", "::mlir::ModuleOp"> {
  let summary = "Turn linalg on buffers into kernels for a GPU";
  let description = [{
    Each `linalg.generic`, and what can be made one, becomes a `gpu.func` and its
    `gpu.launch_func`; equal kernels are one. All buffers are taken to be in the
    memory of the GPU: the host computes with sizes and addresses only.

    Where a loop runs along memory in every operand that sees it (as for
    quant-ste-vectorize), a kernel reads and writes 16 bytes at a time, several
    of them under way, in a version for aligned buffers and one for all others.
    Teams of threads run through the rows of that loop. A sum over it has one
    partial result per team, added up by shuffles and through shared memory; a
    sum over other loops, down columns, one per block. A second kernel adds the
    parts in a fixed order, in f64 (f32 for f16 and bf16). How many there are
    depends on the shape alone, not on the chip: so do the bits of the sum.

    In any other kernel a thread computes one element by the loops as they
    stand, in their order. That holds for products of matrices.

    Before:
    ```mlir
    linalg.generic ... ins(%x, %alpha : memref<?xf32>, memref<f32>) outs(%y : memref<?xf32>) {...}
    ```
    After:
    ```mlir
    scf.if %aligned {
      gpu.launch_func @quant_ste_kernels::@f_aligned blocks in (%blocks, %c1, %c1)
        threads in (%c256, %c1, %c1) args(%base : memref<f32>, %n : index, ...)
    } else {
      gpu.launch_func @quant_ste_kernels::@f_any ...
    }
    ```
  }];
  let options = [
    Option<"chip", "chip", "std::string", /*default=*/"\"sm_80\"",
           "The chip that the kernels are shaped for">,
    Option<"unroll", "unroll", "unsigned", /*default=*/"0",
           "16-byte accesses of each operand that a thread has under way (0: "
           "what the table says of the chip; the bits of sums are the same)">,
    Option<"minBlocks", "min-blocks", "unsigned", /*default=*/"0",
           "Blocks that must fit on a multiprocessor at once (0: the table)">,
    Option<"maxBlocks", "max-blocks", "int64_t", /*default=*/"0",
           "Blocks of a kernel without sums (0: the table)">,
    Option<"sums", "sums", "::mlir::quant_ste::GpuSums",
           /*default=*/"::mlir::quant_ste::GpuSums::Ordered",
           "How the sums of blocks are added",
           [{::llvm::cl::values(
             clEnumValN(::mlir::quant_ste::GpuSums::Ordered, "ordered",
                        "By a second kernel, in a fixed order"),
             clEnumValN(::mlir::quant_ste::GpuSums::Atomic, "atomic",
                        "By atomic additions of f32 and f64, in any order"))}]>,
    Option<"shareSmall", "share-small", "bool", /*default=*/"false",
           "One kernel for small tensors of all shapes, where several are "
           "quantized alike">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"];
}

def QuantSTEBatchLaunchesPass
    : Pass<"quant-ste-batch-launches", "::mlir::ModuleOp"> {
  let summary = "Launch small kernels that are equal at once";
  let description = [{
    Below a million elements a launch takes longer than its kernel. Launches of one
    kernel (or of the same two, for aligned buffers and for others) on few blocks
    that do not wait for one another become the launch of a kernel that has the
    arguments of all of them: a block finds by its number whose part it does. A
    later launch moves up to the first one, with the allocations and the sizes
    that it needs, unless something in between writes what it reads, or reads or
    writes what it writes.

    Before:
    ```mlir
    gpu.launch_func @kernels::@f blocks in (%c2, %c1, %c1) threads in (%c256, %c1, %c1) args(%x : memref<f32>)
    gpu.launch_func @kernels::@f blocks in (%c3, %c1, %c1) threads in (%c256, %c1, %c1) args(%y : memref<f32>)
    ```
    After:
    ```mlir
    gpu.launch_func @kernels::@f_batch blocks in (%c5, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%c2 : index, %x : memref<f32>, %y : memref<f32>)
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::gpu::GPUDialect",
                           "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numBatches", "batches", "Number of launches of several">,
    Statistic<"numBatched", "batched", "Number of launches in them">];
}

def QuantSTEDeviceScalarsPass
    : Pass<"quant-ste-device-scalars", "::mlir::func::FuncOp"> {
  let summary = "Compute with elements of tensors in kernels";
  let description = [{
    Where tensors are in the memory of a GPU, the host cannot look at an element.
    A scalar that a `linalg.generic` or `linalg.fill` takes, and that is computed
    from tensors of rank 0, is computed in its body; `tensor.from_elements` of
    one element becomes a fill.

    Before:
    ```mlir
    %a = tensor.extract %sum[] : tensor<f32>
    %b = arith.divf %a, %n : f32
    %y = linalg.generic ... ins(%x, %b : tensor<?xf32>, f32) ...
    ^bb0(%in: f32, %mean: f32, %out: f32): ...
    ```
    After:
    ```mlir
    %y = linalg.generic ... ins(%x, %sum, %n : tensor<?xf32>, tensor<f32>, f32) ...
    ^bb0(%in: f32, %a: f32, %n_: f32, %out: f32):
      %mean = arith.divf %a, %n_ : f32 ...
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def QuantSTEExactDivisionPass : Pass<"quant-ste-exact-division"> {
  let summary = "Divide by a reciprocal, with the bits of a division";
  let description = [{
    Where many f32 vectors are divided by the same number, its reciprocal is made
    once, and each quotient is a product and its correction by two fused
    multiply-adds, which is the correctly rounded quotient (ExactDivision.cpp).
    Vectors with a magnitude outside of 2^-80 .. 2^80 that is not 0, and divisors
    outside of 2^-40 .. 2^40, are divided as before.

    Before:
    ```mlir
    %d = vector.broadcast %s : f32 to vector<4xf32>
    %q = arith.divf %x, %d : vector<4xf32>
    ```
    After:
    ```mlir
    %r = arith.divf %one, %s : f32
    %y = vector.broadcast %r : f32 to vector<4xf32>
    %q = scf.if %outside -> (vector<4xf32>) {
      %q0 = arith.divf %x, %d : vector<4xf32>
      scf.yield %q0 : vector<4xf32>
    } else {
      %n = arith.negf %d : vector<4xf32>
      %q1 = arith.mulf %x, %y : vector<4xf32>
      %rest = math.fma %n, %q1, %x : vector<4xf32>
      %q2 = math.fma %rest, %y, %q1 : vector<4xf32>
      %q3 = math.copysign %q2, %q1 : vector<4xf32>
      scf.yield %q3 : vector<4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def QuantSTEDeviceMathPass
    : Pass<"quant-ste-device-math", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Turn math into exact instructions of the GPU";
  let description = [{
    convert-gpu-to-nvvm makes calls of NVIDIA's libdevice of `math.roundeven`
    and others. Here they become intrinsics of LLVM, which are instructions, so
    that no result depends on a toolkit. What only a library has is an error.

    Before:
    ```mlir
    %y = math.roundeven %x : vector<4xf32>
    ```
    After:
    ```mlir
    %y = llvm.call_intrinsic "llvm.roundeven"(%x) : (vector<4xf32>) -> vector<4xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def QuantSTESerializeGPUPass
    : Pass<"quant-ste-serialize-gpu", "::mlir::ModuleOp"> {
  let summary = "Compile kernels in the NVVM dialect to PTX";
  let description = [{
    As gpu-module-to-binary, but independent of what CUDA toolkit is installed,
    without contraction of multiplications and additions, and with an error,
    instead of an abort, for a chip or PTX version that there is not.

    Before:
    ```mlir
    gpu.module @kernels { llvm.func @f(...) attributes {gpu.kernel, nvvm.kernel} {...} }
    ```
    After:
    ```mlir
    gpu.binary @kernels [#gpu.object<#nvvm.target<O = 3, chip = "sm_90">, assembly = "...">]
    ```
  }];
  let options = [
    Option<"chip", "chip", "std::string", /*default=*/"\"sm_80\"",
           "The chip that code is made for: sm_75 to sm_121">,
    Option<"ptx", "ptx", "unsigned", /*default=*/"0",
           "PTX version, 78 for 7.8 (0: the first that knows the chip)">,
    Option<"bitcode", "bitcode", "bool", /*default=*/"false",
           "LLVM bitcode in place of PTX">,
    Option<"image", "image", "::mlir::quant_ste::DeviceImage",
           /*default=*/"::mlir::quant_ste::DeviceImage::PTX",
           "What is made of the PTX by a CUDA toolkit",
           [{::llvm::cl::values(
             clEnumValN(::mlir::quant_ste::DeviceImage::PTX, "ptx",
                        "Nothing"),
             clEnumValN(::mlir::quant_ste::DeviceImage::Cubin, "cubin",
                        "Code for the chip, by ptxas"),
             clEnumValN(::mlir::quant_ste::DeviceImage::Fatbin, "fatbin",
                        "Code for the chip and PTX, by fatbinary"))}]>
  ];
  let dependentDialects = ["::mlir::gpu::GPUDialect",
                           "::mlir::NVVM::NVVMDialect"];
}

def QuantSTELowerLaunchesPass
    : Pass<"quant-ste-lower-launches", "::mlir::ModuleOp"> {
  let summary = "Turn launches into calls of the CUDA runtime of quant_ste";
  let description = [{
    The code of a `gpu.binary` becomes a constant, `gpu.launch_func` a call of
    `quant_ste_cuda_launch` (Runtime/Cuda.h), which loads the code where it has
    not, and launches on the stream of the calling thread.

    Before:
    ```mlir
    gpu.launch_func @kernels::@f blocks in (%n, %c1, %c1) threads in (%c256, %c1, %c1) args(%x : memref<f32>)
    ```
    After:
    ```mlir
    llvm.call @quant_ste_cuda_launch(%image, %size, %name, %n, %c256, %arguments)
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect"];
}

def QuantSTEDeviceMemoryPass
    : Pass<"quant-ste-device-memory", "::mlir::ModuleOp"> {
  let summary = "Allocate buffers in the memory of the GPU";
  let description = [{
    Calls of malloc, aligned_alloc and free become calls of
    `quant_ste_cuda_malloc` and so on, in the order of the stream.

    Before:
    ```mlir
    %p = llvm.call @malloc(%size) : (i64) -> !llvm.ptr
    ```
    After:
    ```mlir
    %p = llvm.call @quant_ste_cuda_malloc(%size) : (i64) -> !llvm.ptr
    ```
  }];
}

def QuantSTEDifferentiatePass
    : Pass<"quant-ste-differentiate", "::mlir::ModuleOp"> {
  let summary = "Turn requests for derivatives into functions and calls";
  let description = [{
    Serves `quant_ste.value_and_grad`, `quant_ste.vjp` and `quant_ste.jvp`: each
    is replaced by a call of a private function made for it, once for each
    function and set of arguments.

    Reverse mode makes `@f_vjp(args, cotangents of the float results) ->
    (results, gradients in wrt order)`, forward mode `@f_jvp(args, tangents of
    wrt) -> (results, tangents of the float results)`. A private declaration of
    that name and type is filled in. The options ask for the derivative of one
    function, public, as a request would.

    Only what depends on a wrt argument and reaches a result is differentiated;
    integers carry no derivative, and `quant_ste.detach` stops it. A value that
    is used several times gets the sum; an argument without a path gets zeros;
    no gradient is computed that nobody asks for. A call is differentiated
    through the derivative of the callee. A function with the attribute
    `quant_ste.vjp = @g` has a rule of its own, which is called instead:
    `@g(args, cotangents) -> gradients of the float arguments`; likewise
    `quant_ste.jvp = @h`, `@h(args, tangents of the float arguments) -> tangents
    of the float results`. With `quant_ste.vjp_forward = @h` besides, `@h(args)
    -> (results, residuals)` is called in place of the function and `@g` takes
    `(residuals, cotangents)`: residuals are of any type and number, masks and
    indices too. Such a function wants `no_inline` if functions are inlined
    before this pass. A function that only has a rule for one mode has no
    derivative in the other.

    The generated function is marked for later passes: `quant_ste.num_primal_results`,
    how many of its results are the function's own, and `quant_ste.cotangent` or
    `quant_ste.tangent` on the arguments that it has besides.

    An op without a gradient rule on such a path is an error, as are a region
    that captures a value that carries a derivative, and several blocks.

    Before:
    ```mlir
    func.func private @f(%x: tensor<?xf32>) -> tensor<?xf32> {
      %y = arith.mulf %x, %x : tensor<?xf32>
      return %y : tensor<?xf32>
    }
    func.func @g(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
      %y, %dx = quant_ste.vjp @f(%x) cotangents(%t) wrt [0]
        : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
      return %dx : tensor<?xf32>
    }
    ```
    After:
    ```mlir
    func.func private @f_vjp(%x: tensor<?xf32>,
        %t: tensor<?xf32> {quant_ste.cotangent}) -> (tensor<?xf32>, tensor<?xf32>)
        attributes {quant_ste.num_primal_results = 1 : i64} {
      %y = arith.mulf %x, %x : tensor<?xf32>
      %0 = arith.mulf %t, %x : tensor<?xf32>
      %1 = arith.mulf %t, %x : tensor<?xf32>
      %dx = arith.addf %0, %1 : tensor<?xf32>
      return %y, %dx : tensor<?xf32>, tensor<?xf32>
    }
    func.func @g(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
      %0:2 = call @f_vjp(%x, %t)
        : (tensor<?xf32>, tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
      return %0#1 : tensor<?xf32>
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"",
           "The function to differentiate, besides what is asked in the IR">,
    ListOption<"wrt", "wrt", "int64_t",
               "Numbers of the arguments to differentiate by (default: all "
               "float arguments)">,
    Option<"mode", "mode", "::mlir::quant_ste::DifferentiationMode",
           "::mlir::quant_ste::DifferentiationMode::Reverse",
           "Which derivative of 'function' to make",
           [{::llvm::cl::values(
               clEnumValN(::mlir::quant_ste::DifferentiationMode::Reverse,
                          "reverse", "@f_vjp"),
               clEnumValN(::mlir::quant_ste::DifferentiationMode::Forward,
                          "forward", "@f_jvp"))}]>
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::quant_ste::QuantSTEDialect",
    "::mlir::tensor::TensorDialect"];
}

class QuantSTE_ResidualPass<string name>
    : Pass<name, "::mlir::ModuleOp"> {
  let options = [
    Option<"function", "function", "std::string", /*default=*/"",
           "The function to plan (default: all that have cotangents)">,
    Option<"policy", "residuals", "::mlir::quant_ste::ResidualPolicy",
           /*default=*/"::mlir::quant_ste::ResidualPolicy::minimal",
           "What is kept",
           [{::llvm::cl::values(
               clEnumValN(::mlir::quant_ste::ResidualPolicy::minimal,
                          "minimal", "the fewest bytes; elementwise ops may be "
                          "computed again"),
               clEnumValN(::mlir::quant_ste::ResidualPolicy::speed,
                          "speed", "the fewest bytes with which no tensor is "
                          "computed twice"),
               clEnumValN(::mlir::quant_ste::ResidualPolicy::all,
                          "all", "every tensor that the backward reads"))}]>,
    Option<"budget", "budget", "int64_t", /*default=*/"-1",
           "Bytes that may be kept; the first policy from `residuals` on, in "
           "the order all, speed, minimal, that keeps no more (default: any)">,
    Option<"recomputeProducts", "recompute-products", "bool",
           /*default=*/"false",
           "Products, convolutions and sums may be computed again; with a "
           "budget, those with the largest results and no more than it takes">,
    Option<"dynamicSize", "dynamic-size", "int64_t", /*default=*/"256",
           "What a dynamic size counts as">,
    Option<"keepArguments", "keep-arguments", "bool", /*default=*/"true",
           "The caller has the arguments in the backward too: they cost "
           "nothing">,
    Option<"keepResults", "keep-results", "bool", /*default=*/"true",
           "The caller has the results in the backward too: they cost nothing">,
    Option<"packBits", "pack-bits", "bool", /*default=*/"true",
           "An i1 takes a bit; else a byte">
  ];
  let dependentDialects = ["::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::quant_ste::QuantSTEDialect",
                           "::mlir::tensor::TensorDialect"];
}

def QuantSTEPlanResidualsPass
    : QuantSTE_ResidualPass<"quant-ste-plan-residuals"> {
  let summary = "Choose what the backward keeps, and compute the rest again";
  let description = [{
    Works on joint functions, as quant-ste-differentiate makes them, after
    convert-quant-ste-to-linalg and inlining, and prepares them for
    quant-ste-split. The values of the forward that the backward needs are a
    cut through the graph of all values that see no cotangent: the tensors, and
    the scalars in the bodies of elementwise generics, each of which stands for
    a tensor. A value costs its bytes, an i1 a bit (rows rounded up to bytes),
    arguments and results of the primal nothing. The pass keeps the minimum cut,
    the one nearest the backward where several are equal; what lies behind it is
    computed again. Only elementwise ops, reshapes and copies are computed
    twice: products, convolutions and reductions are not, unless asked for.

    What is kept passes through a `quant_ste.residual`, booleans as packed bits.

    Before:
    ```mlir
    func.func @f_vjp(%x: tensor<64xf32>, %dy: tensor<64xf32> {quant_ste.cotangent}) ... {
      %dx = linalg.generic ... ins(%dy, %x : ...) {
      ^bb0(%t: f32, %v: f32, %o: f32):
        %below = arith.cmpf olt, %v, %zero : f32
        %d = arith.select %below, %zero, %t : f32
        linalg.yield %d : f32
      }
    ```
    After (keep-arguments=false):
    ```mlir
      %mask = linalg.generic ... ins(%x : tensor<64xf32>) { ... arith.cmpf ... }
      %bits = quant_ste.pack_bits %mask : tensor<64xi1> -> tensor<8xi8>
      %kept = quant_ste.residual %bits : tensor<8xi8>
      %below = quant_ste.unpack_bits %kept : tensor<8xi8> -> tensor<64xi1>
      %dx = linalg.generic ... ins(%below, %dy : ...) { ... arith.select ... }
    ```
  }];
}

def QuantSTEPrintResidualsPass
    : QuantSTE_ResidualPass<"quant-ste-print-residuals"> {
  let summary = "Print what quant-ste-plan-residuals would keep, and why";
  let description = [{
    To standard error; the IR stays as it is. Each `?` of a size counts as
    `dynamic-size`, and is printed in the product behind the number.

    ```
    residuals of @f_vjp, minimal: 1024 bytes, each ? taken as 256
      keep %2#0 : tensor<?x32xi1>, 1024 bytes (?*4): 'arith.ori' is the smallest cut in front of what the backward reads
      keep %arg1 : tensor<32x8xf32>, 0 bytes: an argument, alive anyway
    ```
  }];
}

def QuantSTESplitPass : Pass<"quant-ste-split", "::mlir::ModuleOp"> {
  let summary = "Split a joint vjp into a forward and a backward function";
  let description = [{
    `@f_vjp(args, cotangents) -> (results, gradients)`, as
    quant-ste-differentiate makes it, becomes `@f_fwd(args) -> (results,
    residuals)` and `@f_bwd(residuals, cotangents) -> gradients`. Run it after
    convert-quant-ste-to-linalg, and after inlining: a call that takes a
    cotangent cannot be split. The joint function stays if something calls it.

    What is computed from a cotangent or a `quant_ste.residual` is the backward.
    A function without residuals gets those of quant-ste-plan-residuals with its
    defaults. Constants and empty tensors are made again.

    Residuals are marked `quant_ste.residual` among the forward's results and
    the backward's arguments, in the same order. A backward argument that is
    argument i of the forward is marked `quant_ste.argument = i`, one that is its
    result i `quant_ste.result = i`: these the forward does not return (again).

    With `donate-residuals` the backward may write over its residuals, each of
    which its caller passes on once: they are marked `quant_ste.donated` and
    `bufferization.writable`, and their memory holds cotangents as soon as they
    are dead (quant-ste-reuse-buffers).

    Before:
    ```mlir
    func.func @f_vjp(%x: tensor<64xf32>, %dy: tensor<64xf32> {quant_ste.cotangent})
        -> (tensor<64xf32>, tensor<64xf32>) attributes {quant_ste.num_primal_results = 1 : i64}
    ```
    After:
    ```mlir
    func.func @f_fwd(%x: tensor<64xf32>)
        -> (tensor<64xf32>, tensor<8xi8> {quant_ste.residual})
    func.func @f_bwd(%bits: tensor<8xi8> {quant_ste.residual},
        %dy: tensor<64xf32> {quant_ste.cotangent}) -> tensor<64xf32>
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"",
           "The function to split (default: all that have cotangents)">,
    Option<"keepArguments", "keep-arguments", "bool", /*default=*/"true",
           "As in quant-ste-plan-residuals, for functions that it has not seen">,
    Option<"donateResiduals", "donate-residuals", "bool", /*default=*/"false",
           "The backward may write over the residuals that are passed to it">
  ];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::quant_ste::QuantSTEDialect",
                           "::mlir::tensor::TensorDialect"];
}

def QuantSTEExpandBFloatPass : Pass<"quant-ste-expand-bfloat"> {
  let summary = "Round to bf16 by integer arithmetic";
  let description = [{
    Where the processor has no instruction for it, LLVM rounds to bf16 by a call
    for each element, of a function that not every run-time library has. Here
    `arith.truncf` to bf16 becomes integer arithmetic (to nearest even, NaN to
    the quiet NaN 0x7fc0, from f64 with a single rounding), and a selection
    between bf16 values one between their bits.

    What is chosen among values that were bf16 or f16, and constants that have
    that type, is not rounded again: only its NaNs become what rounding makes of
    them.

    Before:
    ```mlir
    %y = arith.truncf %x : f32 to bf16
    ```
    After:
    ```mlir
    %bits = arith.bitcast %x : f32 to i32
    ... %r = arith.addi %bits, %half : i32
    %y = arith.bitcast %selected : i16 to bf16
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def QuantSTEGuardParallelPass : Pass<"quant-ste-guard-parallel"> {
  let summary = "Start no threads for a loop of one iteration";
  let description = [{
    An `omp.parallel` around a loop starts its threads even if there is only one
    iteration to run, which is what a small tensor comes to. This pass gives it
    an `if` clause; the results are the same.

    Before:
    ```mlir
    omp.parallel { omp.wsloop { omp.loop_nest (%i) : index = (%c0) to (%n) step (%c1) { ... } } }
    ```
    After:
    ```mlir
    %several = arith.cmpi sgt, %n, %c1 : index
    omp.parallel if(%several) { ... }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::omp::OpenMPDialect"];
}

def QuantSTELowerAssertionsPass
    : Pass<"quant-ste-lower-assertions", "::mlir::ModuleOp"> {
  let summary = "Lower cf.assert to a call of the runtime";
  let description = [{
    Upstream's lowering writes the message to the buffer of stdout and calls
    abort(), which loses both the message and the process. This one calls
    `quant_ste_assertion_failed` with the message, behind the line of the op, if
    it is known: compiled by qopt-run or the C API, the call then returns with
    the error; elsewhere the message goes to stderr before abort().

    An assertion in a loop of several threads is an error: they could not be
    left.

    Before:
    ```mlir
    cf.assert %fits, "expected equal sizes" loc("f.mlir":3:8)
    ```
    After:
    ```mlir
    cf.cond_br %fits, ^bb1, ^bb2
    ^bb2:
      // "f.mlir:3:8: expected equal sizes"
      %message = llvm.mlir.addressof @quant_ste_assertion : !llvm.ptr
      llvm.call @quant_ste_assertion_failed(%message) : (!llvm.ptr) -> ()
      llvm.unreachable
    ```
  }];
  let dependentDialects = ["::mlir::cf::ControlFlowDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def QuantSTEHoistFramesPass
    : InterfacePass<"quant-ste-hoist-frames", "::mlir::FunctionOpInterface"> {
  let summary = "Allocate memory of the frame in front of serial loops";
  let description = [{
    An `alloca` in the body of an `scf.parallel` is memory of each iteration's
    own. Where the loop is run by one thread, one for all iterations is enough;
    left in the loop, each would take more of the stack.

    Before:
    ```mlir
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      %sums = memref.alloca() : memref<64x32xf32>
    ```
    After:
    ```mlir
    %sums = memref.alloca() : memref<64x32xf32>
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    ```
  }];
}

def QuantSTESerialPathPass : Pass<"quant-ste-serial-path", "::mlir::ModuleOp"> {
  let summary = "Run a single task without the runtime of parallel loops";
  let description = [{
    Even where OpenMP starts no threads, entering and leaving a parallel region
    takes longer than a kernel of a few thousand elements. Here the body of each
    `scf.parallel` becomes a function, which is called at once where there is
    only one iteration.

    Before:
    ```mlir
    scf.parallel (%i) = (%c0) to (%n) step (%c1) { ... }
    ```
    After:
    ```mlir
    %several = arith.cmpi sgt, %n, %c1 : index
    scf.if %several {
      scf.parallel (%i) = (%c0) to (%n) step (%c1) { func.call @f_task(%i, ...) }
    } else {
      %one = arith.cmpi eq, %n, %c1 : index
      scf.if %one { func.call @f_task(%c0, ...) }
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def QuantSTEFusePass : Pass<"quant-ste-fuse"> {
  let summary = "Compute a value where it is used";
  let description = [{
    Upstream's fusion of elementwise producers into their consumers, where
    nothing is computed twice for it: the producer has one use, and the consumer
    sees each of its elements once. Matrix products neither take in producers
    nor are taken in. The time that fusing a chain takes grows with the square
    of its length: a body stops growing at `max-ops` ops.

    Before:
    ```mlir
    %0 = linalg.generic ... ins(%x) { ... math.roundeven ... }
    %1 = linalg.generic ... ins(%0, %s) { ... arith.mulf ... }
    ```
    After:
    ```mlir
    %1 = linalg.generic ... ins(%x, %s) { ... math.roundeven ... arith.mulf ... }
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"maxOps", "max-ops", "unsigned", /*default=*/"256",
           "The largest number of ops in a fused body">];
}

def QuantSTEFuseSiblingsPass : Pass<"quant-ste-fuse-siblings"> {
  let summary = "Read a tensor once for all that is computed from it";
  let description = [{
    Two `linalg.generic` ops over the same loops that read a common tensor, in
    the order of the loops, become one with the results of both: so the forward
    value, dx and the gradients of all parameters of a quantizer come from one
    pass over memory. Nothing between them may use the first one, all sums must
    run over the same loops, and neither may be a matrix product.

    Before:
    ```mlir
    %y = linalg.generic ... ins(%x, %s) outs(%e0)
    %g:2 = linalg.generic ... ins(%dy, %x, %s) outs(%e1, %zero)
    ```
    After:
    ```mlir
    %r:3 = linalg.generic ... ins(%x, %s, %dy) outs(%e0, %e1, %zero)
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
  let options = [
    Option<"maxOps", "max-ops", "unsigned", /*default=*/"256",
           "The largest number of ops in a fused body">];
  let statistics = [
    Statistic<"numMerged", "merged", "Number of ops merged into another">];
}

def QuantSTEDecomposeAggregatesPass : Pass<"quant-ste-decompose-aggregates"> {
  let summary = "Softmax as the structured ops it is made of";
  let description = [{
    Replaces each op on tensors that upstream knows as a sequence of structured
    ops (`linalg.softmax`; AggregatedOpInterface) by that sequence, which fuses,
    vectorizes and is planned by quant-ste-plan-residuals like any other.

    Before:
    ```mlir
    %y = linalg.softmax dimension(1) ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
    After: the maximum of each row, exp of the difference to it, the sum of each
    row, and the quotient: four `linalg.generic`.
  }];
  let dependentDialects = [
    "arith::ArithDialect", "linalg::LinalgDialect", "math::MathDialect",
    "tensor::TensorDialect"
  ];
}

def QuantSTEUnrollWindowsPass : Pass<"quant-ste-unroll-windows"> {
  let summary = "Run through the taps of convolutions and poolings outside";
  let description = [{
    An operand or a result of a structured op on tensors that is read in windows,
    x[2*i + k], is for one k a strided slice. Loops over the taps k go outside;
    what is left inside are products, sums and extrema of slices, for which the
    vector loops of products and sums serve. Convolutions and poolings of all
    layouts, strides and dilations, and their gradients, are this one form.

    Before:
    ```mlir
    %y = linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>}
      ins(%x, %w : tensor<8x9x9x16xf32>, tensor<3x3x16x32xf32>) outs(%o : tensor<8x4x4x32xf32>)
    ```
    After:
    ```mlir
    %y = scf.for %kh = 0 to 3 iter_args(%o1 = %o) {
      scf.for %kw = 0 to 3 iter_args(%o2 = %o1) {
        %xs = tensor.extract_slice %x[0, %kh, %kw, 0] [8, 4, 4, 16] [1, 2, 2, 1]
        %ws = tensor.extract_slice %w[%kh, %kw, 0, 0] [1, 1, 16, 32] [1, 1, 1, 1]
        %p = linalg.generic {(n, h, w, f, c): o(n, h, w, f) += xs(n, h, w, c) * ws(c, f)}
        scf.yield %p
      }
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
                           "::mlir::bufferization::BufferizationDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"keepProducts", "keep-products", "bool", /*default=*/"false",
           "Leave convolutions of which quant-ste-gather-windows makes products "
           "of matrices">];
}

def QuantSTEGatherWindowsPass
    : Pass<"quant-ste-gather-windows", "::mlir::func::FuncOp"> {
  let summary = "Make convolutions on buffers products of matrices";
  let description = [{
    What a convolution, or the gradient of one, reads in windows x[2*i + k] is
    copied to a buffer that has a dimension for each of the loops (im2col; Chellapilla,
    Puri and Simard 2006, "High performance convolutional neural networks for
    document processing"). What is left is a product of matrices, or a batch of
    them, which a library can compute: those of quant-ste-products-to-runtime with
    `device`. A result that is written in windows, as the gradient by x, is made in
    such a buffer first; then each of its elements adds up the terms it has there,
    in the order of the taps (col2im). Factors that are no matrices in memory for
    another reason are copied too.

    The copies take `most-bytes` at most: where they would take more, a loop goes
    through the images a few at a time. Convolutions by depth, which are no products
    of matrices, stay, and those that sum in less than f32. Factors of types that
    cuBLAS does not multiply, one of f32 and one of bf16 say, are widened to the type
    of the sum by such copies, those of plain products too.

    Before:
    ```mlir
    linalg.conv_2d_nchw_fchw ins(%x, %w : memref<4x16x18x18xf32>, memref<32x16x3x3xf32>)
      outs(%y : memref<4x32x16x16xf32>)
    ```
    After:
    ```mlir
    %m = memref.alloc() : memref<16x3x3x4x16x16xf32>
    linalg.generic {m(c, kh, kw, n, h, w) = x(n, c, h + kh, w + kw)}
    linalg.generic {y(n, f, h, w) += m(c, kh, kw, n, h, w) * w(f, c, kh, kw)}
    memref.dealloc %m
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
  let options = [
    Option<"mostBytes", "most-bytes", "int64_t", /*default=*/"int64_t(256) << 20",
           "Bytes that the copies for one convolution may take; one image is "
           "always copied whole">];
  let statistics = [
    Statistic<"numGathered", "gathered", "Number of convolutions made products">];
}

def QuantSTETransposeFactorsPass : Pass<"quant-ste-transpose-factors"> {
  let summary = "Lay matrix factors out as the vector loop runs";
  let description = [{
    The terms of a matrix product are added in order, so that its vector loop
    must be one of the result's: the last one. A factor whose memory it does not
    run along, as the weights [out, in] of x * W^T, is transposed first, if the
    product reads it more than once.

    Before:
    ```mlir
    %y = linalg.matmul indexing_maps = [(m, n, k) -> (m, k), (m, n, k) -> (n, k), (m, n, k) -> (m, n)]
           ins(%x, %w) outs(%c)
    ```
    After:
    ```mlir
    %t = linalg.transpose ins(%w) outs(%e) permutation = [1, 0]
    %y = linalg.generic {indexing_maps = [(m, n, k) -> (m, k), (m, n, k) -> (k, n), (m, n, k) -> (m, n)], ...}
           ins(%x, %t) outs(%c)
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"narrowSums", "narrow-sums", "bool", /*default=*/"false",
           "Only products that the runtime does not compute: those that sum in "
           "f16 or bf16">];
}

def QuantSTEAbsorbTransposesPass : Pass<"quant-ste-absorb-transposes"> {
  let summary = "Read matrix factors as they are stored";
  let description = [{
    A `linalg.transpose` whose result is a factor of a matrix product becomes
    part of the product's indexing map. For products that the runtime computes,
    which reads factors of any strides (quant-ste-products-to-runtime).

    Before:
    ```mlir
    %t = linalg.transpose ins(%w) outs(%e) permutation = [1, 0]
    %y = linalg.matmul ins(%x, %t) outs(%c)
    ```
    After:
    ```mlir
    %y = linalg.generic {indexing_maps = [(m, n, k) -> (m, k), (m, n, k) -> (n, k), (m, n, k) -> (m, n)], ...}
           ins(%x, %w) outs(%c)
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def QuantSTEProductsToRuntimePass
    : Pass<"quant-ste-products-to-runtime", "::mlir::ModuleOp"> {
  let summary = "Call the runtime for matrix products and convolutions";
  let description = [{
    Every linalg op on buffers that computes `c += a * b` with indices that are
    linear in the loops becomes a call of `quant_ste_matmul`
    (`quant_ste/Runtime/Matmul.h`): named or generic, transposed, in batches,
    convolutions with strides and dilations, and what differentiation makes of
    them. The factors are f16, bf16, f32 or f64 and are widened to the type of
    the sum, f32 or f64. Products of fewer than 2048 multiplications, products
    with a vector, and those that sum in a narrower type stay.

    Each product and each sum is rounded, and the terms are added in the order
    of the loops: the bits are those of the plain loops, on any number of
    threads. With `library` a library may compute it, if one was found when this
    was built; then the order of the terms is the library's.

    Before:
    ```mlir
    linalg.matmul ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%c : memref<64x64xf32>)
    ```
    After:
    ```mlir
    %args = memref.alloca() : memref<12xi64>   // addresses, types, numbers of loops
    %loops = memref.alloca() : memref<12xi64>  // sizes and strides
    ...
    call @quant_ste_matmul(%0, %1) : (!llvm.ptr, !llvm.ptr) -> ()
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"];
  let options = [
    Option<"library", "library", "bool", /*default=*/"false",
           "A library may do it, with roundings of its own">,
    Option<"requireLibrary", "require-library", "bool", /*default=*/"false",
           "It is an error if there is no library">,
    Option<"parallel", "parallel", "bool", /*default=*/"true",
           "Use the threads of OpenMP">,
    Option<"device", "device", "bool", /*default=*/"false",
           "Buffers are in the memory of a GPU: products of matrices become "
           "calls of quant_ste_cuda_matmul (Runtime/Cuda.h), which cuBLAS "
           "serves; everything else stays">];
  let statistics = [
    Statistic<"numProducts", "products", "Number of products made calls">];
}

def QuantSTEPackCapturesPass
    : Pass<"quant-ste-pack-captures", "::mlir::ModuleOp"> {
  let summary = "Hand threads one pointer to all that a parallel region takes";
  let description = [{
    LLVM's translation of `omp.parallel` puts each value that the region takes
    from outside into memory of its own, and the addresses of these into a
    structure: two stores and two loads for each, of which a kernel has dozens.
    This pass stores the values into one structure and loads them inside.
    Constants are made again, and arguments that a callee does not use are not
    handed over.

    Before:
    ```mlir
    omp.parallel { ... llvm.call @task(%i, %size, %x) : (i64, i64, !llvm.ptr) -> () ... }
    ```
    After:
    ```mlir
    %all = llvm.alloca %one x !llvm.struct<(i64, ptr)> : (i64) -> !llvm.ptr
    llvm.store %size, %0
    llvm.store %x, %1
    omp.parallel { ... %2 = llvm.load ... llvm.call @task(%i, %2, %3) ... }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::omp::OpenMPDialect"];
}

def QuantSTEOrderStoresPass : Pass<"quant-ste-order-stores"> {
  let summary = "Make stores past the caches visible before a function returns";
  let description = [{
    No barrier between threads, and no lock that is released, orders stores that
    go past the caches. Behind them, at the end of the parallel region or of the
    function that they are in, this pass puts a fence.

    An empty piece of assembly behind each store keeps LLVM from merging it with
    a plain store in another branch, which would make it plain.

    Before:
    ```mlir
    llvm.store %v, %p {alignment = 64 : i64, nontemporal} : vector<64xf32>, !llvm.ptr
    llvm.return
    ```
    After:
    ```mlir
    llvm.store %v, %p {alignment = 64 : i64, nontemporal} : vector<64xf32>, !llvm.ptr
    llvm.inline_asm has_side_effects asm_dialect = att "", "" : () -> ()
    llvm.fence seq_cst
    llvm.return
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def QuantSTEFenceExtensionsPass : Pass<"quant-ste-fence-extensions"> {
  let summary = "Keep LLVM from comparing narrow floats in place of wide ones";
  let description = [{
    LLVM 22's InstCombine narrows `fcmp olt (fpext half %x), 0.0`, and where the
    comparison has a second use then rebuilds `select(x < 0, 0, x)` from its
    inverse, `select(x ugt 0, x, 0)`: -0 becomes +0. An arithmetic fence behind
    each extension, which costs no instruction, keeps both from happening.

    Before:
    ```mlir
    %1 = llvm.fpext %0 : vector<64xf16> to vector<64xf32>
    ```
    After:
    ```mlir
    %1 = llvm.fpext %0 : vector<64xf16> to vector<64xf32>
    %2 = llvm.call_intrinsic "llvm.arithmetic.fence"(%1) : (vector<64xf32>) -> vector<64xf32>
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // QUANT_STE_TRANSFORMS_PASSES_TD
