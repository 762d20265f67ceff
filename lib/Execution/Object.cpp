//===- Object.cpp - LLVM dialect to object code -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Object.h"
#include "LongFunctions.h"
#include "TargetForms.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "quant_ste/Support/CollectErrors.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/Internalize.h"

using namespace mlir;
using namespace mlir::quant_ste;

std::string quant_ste::getEntryName(StringRef function) {
  return ("quant_ste_call_" + function).str();
}

//===----------------------------------------------------------------------===//
// The entry of a function
//===----------------------------------------------------------------------===//

namespace {
/// Builds, for @f : (tensor<?xf32>, i64) -> tensor<f32>,
///
///   define void @quant_ste_call_f(ptr %slots) {
///     ; load the five fields of descriptor 0, the scalar 1, and the three
///     ; fields of descriptor 2, where the result goes
///     call void @f(ptr, ptr, i64, i64, i64, i64, ptr, ptr, i64)
///   }
///
/// so that one host signature serves functions of every arity, and every way
/// of returning results.
struct EntryBuilder {
  llvm::Module &module;
  llvm::IRBuilder<> b{module.getContext()};

  llvm::Value *slot(llvm::Value *slots, unsigned i) {
    llvm::Value *at = b.CreateConstInBoundsGEP1_64(b.getPtrTy(), slots, i);
    return b.CreateLoad(b.getPtrTy(), at);
  }
  /// Every field of a descriptor takes 8 bytes; the first two are pointers.
  llvm::Value *field(llvm::Value *descriptor, unsigned i) {
    llvm::Type *type = b.getInt64Ty();
    llvm::Value *at = b.CreateConstInBoundsGEP1_64(type, descriptor, i);
    if (i < 2)
      type = b.getPtrTy();
    return b.CreateLoad(type, at);
  }
  /// {ptr, ptr, i64} and, from rank 1 on, {.., [rank x i64], [rank x i64]}.
  static bool isDescriptor(llvm::Type *type, unsigned rank) {
    auto *fields = dyn_cast<llvm::StructType>(type);
    return fields && fields->getNumElements() == (rank ? 5u : 3u);
  }
  LogicalResult build(const Signature &signature);
};
} // namespace

LogicalResult EntryBuilder::build(const Signature &signature) {
  llvm::Function *f = module.getFunction(signature.function);
  if (!f || f->isDeclaration() || f->isVarArg())
    return failure();
  auto *entry = llvm::Function::Create(
      llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false),
      llvm::GlobalValue::ExternalLinkage, getEntryName(signature.function),
      module);
  entry->addFnAttr(llvm::Attribute::NoUnwind);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "", entry));
  llvm::Value *slots = entry->getArg(0);

  SmallVector<llvm::Value *> operands;
  // What the type says already, the function need not be told: a network has
  // thousands of arguments.
  auto addDescriptor = [&](const ValueType &type, llvm::Value *from) {
    unsigned rank = type.shape.size();
    SmallVector<std::optional<int64_t>> known(3 + 2 * rank);
    known[2] = 0;
    int64_t stride = 1;
    for (unsigned d = rank; d-- > 0;) {
      known[3 + rank + d] = stride;
      if (type.shape[d] == ValueType::kDynamic)
        break;
      known[3 + d] = type.shape[d];
      stride *= type.shape[d];
    }
    for (auto [k, constant] : llvm::enumerate(known))
      operands.push_back(constant ? b.getInt64(*constant) : field(from, k));
  };
  for (auto [i, type] : llvm::enumerate(signature.arguments)) {
    llvm::Value *from = slot(slots, i);
    if (!type.isScalar) {
      addDescriptor(type, from);
      continue;
    }
    if (operands.size() >= f->arg_size())
      return failure();
    operands.push_back(
        b.CreateLoad(f->getArg(operands.size())->getType(), from));
  }
  SmallVector<unsigned> returned;
  for (unsigned k = 0, e = signature.results.size(); k < e; ++k)
    if (signature.hasDestination(k))
      addDescriptor(signature.results[k],
                    slot(slots, signature.arguments.size() + k));
    else
      returned.push_back(k);
  if (operands.size() != f->arg_size() ||
      !llvm::all_of(llvm::zip(operands, f->args()), [](auto pair) {
        return std::get<0>(pair)->getType() == std::get<1>(pair).getType();
      }))
    return failure();

  llvm::CallInst *call = b.CreateCall(f, operands);
  call->setCallingConv(f->getCallingConv());
  llvm::Type *type = f->getReturnType();
  if (type->isVoidTy() != returned.empty())
    return failure();
  if (returned.size() > 1 && (!isa<llvm::StructType>(type) ||
                              type->getStructNumElements() != returned.size()))
    return failure();
  for (auto [n, k] : llvm::enumerate(returned)) {
    llvm::Value *value =
        returned.size() == 1 ? call : b.CreateExtractValue(call, n);
    const ValueType &result = signature.results[k];
    if (isDescriptor(value->getType(), result.shape.size()) == result.isScalar)
      return failure();
    b.CreateStore(value, slot(slots, signature.arguments.size() + k));
  }
  b.CreateRetVoid();
  return success();
}

//===----------------------------------------------------------------------===//
// Code generation
//===----------------------------------------------------------------------===//

/// Kernels come inlined, unrolled and in vectors: what remains is to put values
/// into registers, to simplify what lowering spelled out, and to move it out of
/// loops; and to make vectors of the loops that were left to it. All of clang
/// -O2 takes six times as long, for the same code.
/// The first of them are linear, and leave long functions short of aggregates.
static constexpr StringLiteral kFirstPasses =
    "globaldce,ipsccp,deadargelim,function(sroa,early-cse,simplifycfg)";
static constexpr StringLiteral kPasses =
    "function(instcombine<no-verify-fixpoint>,loop-mssa(licm),loop-simplify,"
    "loop(loop-rotate),loop-mssa(licm),loop-vectorize,"
    "instcombine<no-verify-fixpoint>,gvn,simplifycfg,adce)";

static void optimize(llvm::Module &module, llvm::TargetMachine &machine,
                     unsigned level) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = true;
  tuning.LoopInterleaving = true;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassInstrumentationCallbacks callbacks;
  llvm::OptNoneInstrumentation skip(/*DebugLogging=*/false);
  skip.registerCallbacks(callbacks);
  llvm::PassBuilder builder(&machine, tuning, std::nullopt, &callbacks);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  static constexpr const llvm::OptimizationLevel *kLevels[] = {
      &llvm::OptimizationLevel::O0, &llvm::OptimizationLevel::O1,
      &llvm::OptimizationLevel::O2, &llvm::OptimizationLevel::O3};
  const llvm::OptimizationLevel &o = *kLevels[level];
  if (level != 2) {
    (level == 0 ? builder.buildO0DefaultPipeline(o)
                : builder.buildPerModuleDefaultPipeline(o))
        .run(module, modules);
    return;
  }
  auto run = [&](StringRef names) {
    llvm::ModulePassManager passes;
    [[maybe_unused]] llvm::Error error =
        builder.parsePassPipeline(passes, names);
    assert(!error && "the names above are of passes");
    llvm::consumeError(std::move(error));
    passes.run(module, modules);
  };
  run(kFirstPasses);
  simplifyLongFunctions(module);
  // What was known of functions may no longer hold.
  modules.clear();
  functions.clear();
  run(kPasses);
}

FailureOr<std::unique_ptr<llvm::Module>>
quant_ste::translateToLLVMIR(ModuleOp module, llvm::LLVMContext &context,
                             llvm::TargetMachine &machine) {
  // The data layout is needed already during translation (struct layouts).
  llvm::DataLayout layout = machine.createDataLayout();
  MLIRContext *ctx = module.getContext();
  module->setAttr(LLVM::LLVMDialect::getDataLayoutAttrName(),
                  StringAttr::get(ctx, layout.getStringRepresentation()));
  module->setAttr(LLVM::LLVMDialect::getTargetTripleAttrName(),
                  StringAttr::get(ctx, machine.getTargetTriple().str()));
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(module, context);
  if (!translated)
    return emitError(module.getLoc(),
                     "expected a module that translates to LLVM IR");
  return translated;
}

llvm::Error quant_ste::emitCode(llvm::Module &module,
                                llvm::TargetMachine &machine,
                                const CodegenOptions &options,
                                CodeFormat format,
                                const llvm::StringSet<> &visible,
                                SmallVectorImpl<char> &bytes) {
  std::string errors;
  llvm::LLVMContext &context = module.getContext();
  context.setDiagnosticHandler(std::make_unique<CollectErrors>(errors));
  llvm::scope_exit reset([&] { context.setDiagnosticHandler(nullptr); });
  llvm::internalizeModule(module, [&](const llvm::GlobalValue &value) {
    return visible.contains(value.getName());
  });
  {
    StepTimer timer(options, "LLVM passes");
    useTargetForms(module, machine);
    optimize(module, machine, options.optLevel);
  }
  llvm::raw_svector_ostream os(bytes);
  if (format == CodeFormat::LLVMIR) {
    os << module;
  } else {
    StepTimer timer(options, "code generation");
    llvm::legacy::PassManager codegen;
    auto type = format == CodeFormat::Assembly
                    ? llvm::CodeGenFileType::AssemblyFile
                    : llvm::CodeGenFileType::ObjectFile;
    // MLIR has verified what this comes from, and LLVM's tests its passes.
    constexpr bool kDisableVerify = true;
    if (machine.addPassesToEmitFile(codegen, os, nullptr, type, kDisableVerify))
      return llvm::createStringError("LLVM cannot emit code for " +
                                     machine.getTargetTriple().str());
    codegen.run(module);
  }
  if (!errors.empty())
    return llvm::createStringError("LLVM: " + errors);
  return llvm::Error::success();
}

FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
quant_ste::emitObject(ModuleOp module, ArrayRef<Signature> functions,
                      const CodegenOptions &options) {
  if (options.optLevel > 3)
    return emitError(module.getLoc(),
                     "expected an optimization level in 0..3, got ")
           << options.optLevel;
  auto machine = createTargetMachine(options);
  if (!machine)
    return emitError(module.getLoc(), llvm::toString(machine.takeError()));
  llvm::LLVMContext context;
  FailureOr<std::unique_ptr<llvm::Module>> translated;
  {
    StepTimer timer(options, "translation");
    translated = translateToLLVMIR(module, context, **machine);
  }
  if (failed(translated))
    return failure();
  EntryBuilder entries{**translated};
  llvm::StringSet<> visible;
  for (const Signature &f : functions) {
    if (!f.unsupported.empty())
      continue;
    if (failed(entries.build(f)))
      return emitError(module.getLoc(), "the pipeline changed how @")
             << f.function << " : " << f.str() << " is called";
    visible.insert(getEntryName(f.function));
  }
  SmallVector<char, 0> bytes;
  if (auto error = emitCode(**translated, **machine, options,
                            CodeFormat::Object, visible, bytes))
    return emitError(module.getLoc(), llvm::toString(std::move(error)));
  return std::unique_ptr<llvm::MemoryBuffer>(
      std::make_unique<llvm::SmallVectorMemoryBuffer>(
          std::move(bytes), "quant_ste", /*RequiresNullTerminator=*/false));
}
