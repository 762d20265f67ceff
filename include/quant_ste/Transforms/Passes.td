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

def QuantSTEOutlinePass : Pass<"quant-ste-outline", "::mlir::ModuleOp"> {
  let summary = "Compile equal kernels once";
  let description = [{
    The layers of a network repeat, and with them its kernels. Linalg ops on
    buffers that are equal up to the buffers (same types, body, constants) and
    occur at least `min-uses` times become calls of one private function, so
    that vectorization and code generation see each once. An op whose body
    captures anything but constants stays where it is.

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

def QuantSTEVectorizePass : Pass<"quant-ste-vectorize", "::mlir::func::FuncOp"> {
  let summary = "Turn linalg on buffers into parallel loops over vectors";
  let description = [{
    A kernel is a `linalg.generic` (or what can be made one: a named op, a copy
    that is not contiguous) with a loop that runs along memory in every operand
    that sees it, and a body of elementwise ops. Its iterations are cut into
    units by element index, which `scf.forall` hands out as tasks; the innermost
    loop is over vectors, its last elements masked. Values that do not vary
    along a loop are computed outside of it.

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
    of the float results`. Such a function wants `no_inline` if functions are
    inlined before this pass. A function that only has a rule for one mode has no
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

def QuantSTESplitPass : Pass<"quant-ste-split", "::mlir::ModuleOp"> {
  let summary = "Split a joint vjp into a forward and a backward function";
  let description = [{
    `@f_vjp(args, cotangents) -> (results, gradients)`, as
    quant-ste-differentiate makes it, becomes `@f_fwd(args) -> (results,
    residuals)` and `@f_bwd(residuals, cotangents) -> gradients`. Run it after
    convert-quant-ste-to-linalg, and after inlining: a call that takes a
    cotangent cannot be split. The joint function stays if something calls it.

    Residuals are what the backward reads of the forward. The body of each
    backward `linalg.generic` is cut where it meets the cotangent: a mask is
    saved as i1 in place of the f32 values that it is made of. Constants and
    empty tensors are made again, sizes are saved as indices. Residuals are
    marked `quant_ste.residual`, among the forward's results and the backward's
    arguments; one that is just argument i of the forward is also marked
    `quant_ste.argument = i`, so that a caller need not take it twice.

    Before:
    ```mlir
    func.func @f_vjp(%x: tensor<?xf32>, %dy: tensor<?xf32> {quant_ste.cotangent})
        -> (tensor<?xf32>, tensor<?xf32>) attributes {quant_ste.num_primal_results = 1 : i64}
    ```
    After:
    ```mlir
    func.func @f_fwd(%x: tensor<?xf32>)
        -> (tensor<?xf32>, tensor<?xi1> {quant_ste.residual})
    func.func @f_bwd(%mask: tensor<?xi1> {quant_ste.residual},
        %dy: tensor<?xf32> {quant_ste.cotangent}) -> tensor<?xf32>
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"",
           "The function to split (default: all that have cotangents)">,
    Option<"keepArguments", "keep-arguments", "bool", /*default=*/"true",
           "Arguments cost nothing, as the caller keeps them; where it does "
           "not, masks are saved in their place">
  ];
  let dependentDialects = ["::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect",
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
           "Use the threads of OpenMP">];
  let statistics = [
    Statistic<"numProducts", "products", "Number of products made calls">];
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
