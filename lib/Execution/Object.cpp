//===- Object.cpp - LLVM dialect to object code -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Object.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/IR/DiagnosticHandler.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
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
  auto addDescriptor = [&](const ValueType &type, llvm::Value *from) {
    for (unsigned k = 0, n = 3 + 2 * type.shape.size(); k < n; ++k)
      operands.push_back(field(from, k));
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

namespace {
/// Without a handler LLVM would exit the process on an error.
struct CollectErrors : llvm::DiagnosticHandler {
  std::string &errors;
  explicit CollectErrors(std::string &errors) : errors(errors) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() == llvm::DS_Error) {
      llvm::raw_string_ostream os(errors);
      llvm::DiagnosticPrinterRawOStream printer(os);
      os << (errors.empty() ? "" : "; ");
      info.print(printer);
    }
    return true;
  }
};
} // namespace

/// LLVM itself only warns of names that it does not know, and ends the process
/// over a processor that cannot run code of this kind.
static llvm::Error
checkProcessor(const CodegenOptions &options,
               const llvm::orc::JITTargetMachineBuilder &builder) {
  const llvm::Triple &triple = builder.getTargetTriple();
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError(error);
  auto getInfo = [&](StringRef cpu, StringRef features) {
    return std::unique_ptr<llvm::MCSubtargetInfo>(
        target->createMCSubtargetInfo(triple, cpu, features));
  };
  std::unique_ptr<llvm::MCSubtargetInfo> any = getInfo("", "");
  if (!options.cpu.empty() && !any->isCPUStringValid(options.cpu))
    return llvm::createStringError("unknown processor '" + options.cpu + "'");
  SmallVector<StringRef> names;
  StringRef(options.features).split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names)
    if (llvm::none_of(any->getAllProcessorFeatures(), [&](const auto &known) {
          return name == ("+" + Twine(known.Key)).str() ||
                 name == ("-" + Twine(known.Key)).str();
        }))
      return llvm::createStringError("unknown processor feature '" + name +
                                     "'");
  if (triple.getArch() == llvm::Triple::x86_64 &&
      !getInfo(builder.getCPU(), builder.getFeatures().getString())
           ->checkFeatures("+64bit"))
    return llvm::createStringError(
        "expected a processor for 64-bit code, got '" + builder.getCPU() +
        (options.features.empty() ? "'" : "' with '" + options.features + "'"));
  return llvm::Error::success();
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const CodegenOptions &options) {
  static bool isInitialized = [] {
    return !llvm::InitializeNativeTarget() &&
           !llvm::InitializeNativeTargetAsmPrinter();
  }();
  if (!isInitialized)
    return llvm::createStringError("LLVM has no back end for this machine");
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder)
    return builder.takeError();
  if (!options.cpu.empty()) {
    builder->setCPU(options.cpu);
    builder->setFeatures(options.features); // not the host's
  } else if (!options.features.empty()) {
    builder->addFeatures({options.features});
  }
  if (auto error = checkProcessor(options, *builder))
    return error;
  builder->setRelocationModel(llvm::Reloc::PIC_);
  builder->setCodeModel(llvm::CodeModel::Small);
  builder->setCodeGenOptLevel(
      static_cast<llvm::CodeGenOptLevel>(options.optLevel));
  builder->getOptions().EmulatedTLS = false;
  // One rounding per operation: never mul + add -> fma.
  builder->getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return builder->createTargetMachine();
}

/// May code that computes use it? A virtual machine often hides the others
/// (memory protection, cache control), which nothing here asks for.
static bool isForComputing(StringRef feature) {
  static constexpr StringLiteral kFamilies[] = {
      "sse",  "ssse",  "avx",    "amx",   "fma",  "f16c",
      "bmi",  "lzcnt", "popcnt", "movbe", "neon", "fullfp16",
      "bf16", "i8mm",  "sve",    "sme",   "lse",  "dotprod"};
  return llvm::any_of(
      kFamilies, [&](StringRef family) { return feature.starts_with(family); });
}

llvm::Error quant_ste::checkRunsHere(const CodegenOptions &options) {
  auto machine = createTargetMachine(options);
  if (!machine)
    return machine.takeError();
  const llvm::MCSubtargetInfo &code = *(*machine)->getMCSubtargetInfo();
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    if (!feature.second && isForComputing(feature.first()) &&
        code.checkFeatures(("+" + feature.first()).str()))
      return llvm::createStringError(
          "expected a processor whose code runs on this machine (" +
          llvm::sys::getHostCPUName() + "), which lacks '" + feature.first() +
          "'; got '" + (options.cpu.empty() ? options.features : options.cpu) +
          "'");
  return llvm::Error::success();
}

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
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  static constexpr const llvm::OptimizationLevel *kLevels[] = {
      &llvm::OptimizationLevel::O0, &llvm::OptimizationLevel::O1,
      &llvm::OptimizationLevel::O2, &llvm::OptimizationLevel::O3};
  const llvm::OptimizationLevel &o = *kLevels[level];
  llvm::ModulePassManager passes =
      level == 0 ? builder.buildO0DefaultPipeline(o)
                 : builder.buildPerModuleDefaultPipeline(o);
  passes.run(module, modules);
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

  // The data layout is needed already during translation (struct layouts).
  llvm::DataLayout layout = (*machine)->createDataLayout();
  MLIRContext *ctx = module.getContext();
  module->setAttr(LLVM::LLVMDialect::getDataLayoutAttrName(),
                  StringAttr::get(ctx, layout.getStringRepresentation()));
  module->setAttr(LLVM::LLVMDialect::getTargetTripleAttrName(),
                  StringAttr::get(ctx, (*machine)->getTargetTriple().str()));

  llvm::LLVMContext llvmContext;
  std::string errors;
  llvmContext.setDiagnosticHandler(std::make_unique<CollectErrors>(errors));
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(module, llvmContext);
  if (!llvmModule)
    return emitError(module.getLoc(),
                     "expected a module that translates to LLVM IR");

  EntryBuilder entries{*llvmModule};
  llvm::StringSet<> visible;
  for (const Signature &f : functions) {
    if (!f.unsupported.empty())
      continue;
    if (failed(entries.build(f)))
      return emitError(module.getLoc(), "the pipeline changed how @")
             << f.function << " : " << f.str() << " is called";
    visible.insert(getEntryName(f.function));
  }
  llvm::internalizeModule(*llvmModule, [&](const llvm::GlobalValue &value) {
    return visible.contains(value.getName());
  });

  optimize(*llvmModule, **machine, options.optLevel);
  SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager codegen;
  if ((*machine)->addPassesToEmitFile(codegen, os, nullptr,
                                      llvm::CodeGenFileType::ObjectFile))
    return emitError(module.getLoc(),
                     "LLVM cannot emit objects for this machine");
  codegen.run(*llvmModule);
  if (!errors.empty())
    return emitError(module.getLoc(), "LLVM: ") << errors;
  return std::unique_ptr<llvm::MemoryBuffer>(
      std::make_unique<llvm::SmallVectorMemoryBuffer>(
          std::move(bytes), "quant_ste", /*RequiresNullTerminator=*/false));
}
