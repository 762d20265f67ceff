//===- DeviceCode.cpp - from the NVVM dialect to PTX -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/DeviceCode.h"
#include "quant_ste/Support/CollectErrors.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/EndianStream.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTESERIALIZEGPUPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

static constexpr StringLiteral kTriple = "nvptx64-nvidia-cuda";

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createMachine(const DeviceCodeOptions &options) {
  llvm::Expected<const GpuTarget *> chip = lookupGpuTarget(options.chip);
  if (!chip)
    return chip.takeError();
  if (llvm::Error error = checkPtxVersion(**chip, options.ptx))
    return error;
  static std::once_flag once;
  std::call_once(once, [] {
    // An LLVM without this back end says so below.
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
  });
  std::string error;
  llvm::Triple triple{kTriple};
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError("this LLVM makes no code for NVIDIA GPUs: " +
                                   error);
  llvm::TargetOptions targetOptions;
  // One rounding per operation: never mul + add -> fma.
  targetOptions.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  unsigned ptx = options.ptx ? options.ptx : (*chip)->minPtx;
  std::string features = ("+ptx" + Twine(ptx)).str();
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, options.chip, features, targetOptions, std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

FailureOr<std::string>
quant_ste::emitDeviceCode(gpu::GPUModuleOp module,
                          const DeviceCodeOptions &options) {
  auto machine = createMachine(options);
  if (!machine)
    return module.emitError(llvm::toString(machine.takeError()));
  llvm::LLVMContext context;
  std::string errors;
  context.setDiagnosticHandler(std::make_unique<CollectErrors>(errors));
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(module, context, module.getName());
  if (!llvmModule)
    return module.emitError("expected kernels that translate to LLVM IR");
  llvmModule->setDataLayout((*machine)->createDataLayout());
  llvmModule->setTargetTriple((*machine)->getTargetTriple());
  optimize(*llvmModule, **machine);

  SmallVector<char> code;
  llvm::raw_svector_ostream os(code);
  if (options.format == DeviceFormat::LLVM) {
    for (llvm::Function &function : *llvmModule)
      if (!function.isDeclaration())
        function.addFnAttr("target-cpu", options.chip);
    // In LLVM's wrapper, which says how long it is.
    SmallVector<char> bitcode;
    llvm::raw_svector_ostream raw(bitcode);
    llvm::WriteBitcodeToFile(*llvmModule, raw);
    for (size_t word :
         {size_t(0x0b17c0de), size_t(0), size_t(20), bitcode.size(), size_t(0)})
      llvm::support::endian::write<uint32_t>(os, word,
                                             llvm::endianness::little);
    os << StringRef(bitcode.data(), bitcode.size());
  } else {
    llvm::legacy::PassManager passes;
    if ((*machine)->addPassesToEmitFile(passes, os, nullptr,
                                        llvm::CodeGenFileType::AssemblyFile))
      return module.emitError("LLVM writes no PTX");
    passes.run(*llvmModule);
  }
  if (!errors.empty())
    return module.emitError(errors);
  return std::string(code.begin(), code.end());
}

StringRef quant_ste::getDeviceCode(ModuleOp module) {
  for (auto binary : module.getOps<gpu::BinaryOp>())
    if (!binary.getObjects().empty())
      return cast<gpu::ObjectAttr>(binary.getObjects()[0]).getObject();
  return {};
}

namespace {
struct SerializeGPU
    : quant_ste::impl::QuantSTESerializeGPUPassBase<SerializeGPU> {
  using QuantSTESerializeGPUPassBase::QuantSTESerializeGPUPassBase;

  gpu::CompilationTarget getFormat() const {
    if (bitcode)
      return gpu::CompilationTarget::Offload;
    switch (image) {
    case DeviceImage::PTX:
      return gpu::CompilationTarget::Assembly;
    case DeviceImage::Cubin:
      return gpu::CompilationTarget::Binary;
    case DeviceImage::Fatbin:
      return gpu::CompilationTarget::Fatbin;
    }
    llvm_unreachable("unknown image");
  }

  void runOnOperation() override {
    DeviceCodeOptions options{chip, ptx,
                              bitcode ? DeviceFormat::LLVM : DeviceFormat::PTX};
    for (auto module : llvm::make_early_inc_range(
             getOperation().getOps<gpu::GPUModuleOp>())) {
      FailureOr<std::string> code = emitDeviceCode(module, options);
      if (failed(code))
        return signalPassFailure();
      if (!bitcode && image != DeviceImage::PTX) {
        auto assembled = assembleDeviceCode(ChipCode{chip, *code}, image);
        if (!assembled) {
          module.emitError(llvm::toString(assembled.takeError()));
          return signalPassFailure();
        }
        *code = std::move(*assembled);
      }
      OpBuilder b(module);
      auto target = NVVM::NVVMTargetAttr::get(&getContext(), /*O=*/3, kTriple,
                                              chip.getValue());
      auto object = gpu::ObjectAttr::get(
          &getContext(), target, getFormat(), b.getStringAttr(*code),
          DictionaryAttr(), gpu::KernelTableAttr());
      gpu::BinaryOp::create(b, module.getLoc(), module.getName(),
                            /*offloadingHandler=*/nullptr,
                            ArrayRef<Attribute>{object});
      module.erase();
    }
  }
};
} // namespace
