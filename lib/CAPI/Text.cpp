//===- Text.cpp - from a module's text to another ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "quant_ste/Conversion/Passes.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Transforms/Passes.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::capi;

/// Parses, lets `change` work on the module, and prints it again.
static char *rewrite(const char *text, size_t length, char **error,
                     function_ref<LogicalResult(ModuleOp)> change) {
  std::unique_ptr<MLIRContext> context = makeContext();
  // Of the ops that are added; parsing loads the others.
  context->loadDialect<func::FuncDialect, QuantSTEDialect>();
  CollectDiagnostics errors(*context);
  auto module = parseSourceString<ModuleOp>(StringRef(text, length),
                                            context.get(), "<text>");
  if (!module || failed(change(*module)) || failed(verify(*module)))
    return fail(error, errors.text);
  std::string out;
  llvm::raw_string_ostream os(out);
  module->print(os);
  os << '\n';
  return copyString(out);
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Runs the pipeline up to a phase.
template <class Pipeline>
static LogicalResult lowerTo(ModuleOp module, StringRef options, StringRef chip,
                             StringRef phase,
                             void (*build)(OpPassManager &, const Pipeline &)) {
  Pipeline pipeline;
  std::string message;
  llvm::raw_string_ostream os(message);
  if (failed(pipeline.parseFromString((options + " stop-after=" + phase).str(),
                                      os)))
    return emitError(module.getLoc(), StringRef(message).rtrim());
  if constexpr (std::is_same_v<Pipeline, GpuPipelineOptions>)
    if (!chip.empty())
      pipeline.chip = chip.str();
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  build(pm, pipeline);
  return pm.run(module);
}

char *quant_ste_lower(const char *text, size_t length,
                      const quant_ste_compile_options *options,
                      const char *phase, char **error) {
  return rewrite(text, length, error, [&](ModuleOp module) -> LogicalResult {
    if (!*phase)
      return success();
    CompileOptions compile = getCompileOptions(options);
    StringRef chip = StringRef(compile.target).split(':').second;
    if (compile.isForGpu())
      return lowerTo(module, compile.pipelineOptions, chip, phase,
                     buildGpuPipeline);
    return lowerTo(module, compile.pipelineOptions, chip, phase,
                   buildCpuPipeline);
  });
}

//===----------------------------------------------------------------------===//
// Derivatives
//===----------------------------------------------------------------------===//

static func::FuncOp lookup(ModuleOp module, StringRef name) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function)
    emitError(module.getLoc(), "no function @") << name;
  return function;
}

/// A public function of these types that returns what `make` makes of its
/// arguments.
static void
addFunction(ModuleOp module, Location loc, StringRef name, TypeRange arguments,
            function_ref<ValueRange(OpBuilder &, ValueRange)> make) {
  OpBuilder b(module.getBodyRegion());
  b.setInsertionPointToEnd(module.getBody());
  auto type = b.getFunctionType(arguments, {});
  auto function = func::FuncOp::create(b, loc, name, type);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  ValueRange results = make(b, entry->getArguments());
  func::ReturnOp::create(b, loc, results);
  function.setFunctionType(b.getFunctionType(arguments, results.getTypes()));
}

static LogicalResult addDerivative(ModuleOp module, func::FuncOp primal,
                                   StringRef name, bool isForward,
                                   ArrayRef<int64_t> wrt) {
  if (module.lookupSymbol(name))
    return emitError(module.getLoc(), "the name @") << name << " is taken";
  TypeRange inputs = primal.getArgumentTypes();
  for (int64_t i : wrt)
    if (i < 0 || static_cast<size_t>(i) >= inputs.size() ||
        !isa<FloatType>(getElementTypeOrSelf(inputs[i])))
      return primal.emitError("expected wrt to list float arguments, got ")
             << i;
  SmallVector<Type> gradients, tangents;
  for (int64_t i : wrt)
    gradients.push_back(inputs[i]);
  for (Type type : primal.getResultTypes())
    if (isa<FloatType>(getElementTypeOrSelf(type)))
      tangents.push_back(type);
  // What the request takes besides the inputs, and gives besides the results.
  ArrayRef<Type> given = isForward ? gradients : tangents;
  ArrayRef<Type> asked = isForward ? tangents : gradients;
  SmallVector<Type> arguments(inputs), results(primal.getResultTypes());
  llvm::append_range(arguments, given);
  llvm::append_range(results, asked);
  addFunction(module, primal.getLoc(), name, arguments,
              [&](OpBuilder &b, ValueRange values) -> ValueRange {
                ValueRange primals = values.take_front(inputs.size());
                ValueRange directions = values.drop_front(inputs.size());
                Location loc = primal.getLoc();
                if (isForward)
                  return JvpOp::create(b, loc, results, primal.getName(),
                                       primals, directions, wrt)
                      .getResults();
                return VjpOp::create(b, loc, results, primal.getName(), primals,
                                     directions, wrt)
                    .getResults();
              });
  return success();
}

char *quant_ste_add_derivative(const char *text, size_t length,
                               const char *function, const char *name,
                               bool is_forward, const int32_t *wrt,
                               int32_t num_wrt, char **error) {
  return rewrite(text, length, error, [&](ModuleOp module) -> LogicalResult {
    func::FuncOp primal = lookup(module, function);
    if (!primal)
      return failure();
    return addDerivative(module, primal, name, is_forward,
                         SmallVector<int64_t>(wrt, wrt + num_wrt));
  });
}

char *quant_ste_split(const char *text, size_t length, const char *function,
                      const int32_t *wrt, int32_t num_wrt,
                      const int32_t *transient, int32_t num_transient,
                      const char *plan_options, char **error) {
  return rewrite(text, length, error, [&](ModuleOp module) -> LogicalResult {
    if (!lookup(module, function))
      return failure();
    QuantSTEDifferentiatePassOptions derivative;
    derivative.function = function;
    derivative.wrt.assign(wrt, wrt + num_wrt);
    MLIRContext *context = module.getContext();
    PassManager lower(context, ModuleOp::getOperationName());
    lower.addPass(createQuantSTEDifferentiatePass(derivative));
    lower.addPass(createInlinerPass());
    lower.addPass(createConvertElementwiseToLinalgPass());
    lower.addPass(createQuantSTEDecomposeAggregatesPass());
    lower.addPass(createConvertQuantSTEToLinalgPass());
    lower.addPass(createCanonicalizerPass());
    lower.addPass(createCSEPass());
    if (failed(lower.run(module)))
      return failure();
    func::FuncOp joint = lookup(module, (function + Twine("_vjp")).str());
    if (!joint)
      return failure();
    for (int32_t i : ArrayRef(transient, num_transient)) {
      if (i < 0 || static_cast<unsigned>(i) >= joint.getNumArguments())
        return joint.emitError("expected transient to list arguments, got ")
               << i;
      joint.setArgAttr(i, "quant_ste.transient", UnitAttr::get(context));
    }

    PassManager pm(context, ModuleOp::getOperationName());
    std::unique_ptr<Pass> plan = createQuantSTEPlanResidualsPass();
    // What is wrong with one LLVM says on the standard error.
    auto explain = [&](const Twine &message) {
      return emitError(module.getLoc(),
                       "expected options of quant-ste-plan-residuals, got '")
             << plan_options << "'" << message;
    };
    if (failed(plan->initializeOptions(plan_options, explain)))
      return failure();
    pm.addPass(std::move(plan));
    pm.addPass(createQuantSTESplitPass());
    return pm.run(module);
  });
}

//===----------------------------------------------------------------------===//
// Version
//===----------------------------------------------------------------------===//

char *quant_ste_version(void) {
  return copyString((Twine(QUANT_STE_VERSION) + " (LLVM " LLVM_VERSION_STRING +
                     ", " + llvm::sys::getDefaultTargetTriple() + ", " +
                     llvm::sys::getHostCPUName() + ")")
                        .str());
}
