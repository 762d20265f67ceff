//===- Target.cpp - processors to compile for -------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Target.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Target words
//===----------------------------------------------------------------------===//

/// The triples of architectures by name.
static constexpr std::pair<StringLiteral, StringLiteral> kArchitectures[] = {
    {"x86_64", "x86_64-unknown-linux-gnu"},
    {"aarch64", "aarch64-unknown-linux-gnu"},
};

/// "haswell", "haswell,-avx2,f16c", "native".
static llvm::Expected<Level> parseLevel(StringRef text,
                                        const CodegenOptions &base) {
  Level level{text.str(), base};
  auto [cpu, features] = text.split(',');
  if (cpu.empty())
    return llvm::createStringError("expected the name of a processor, got '" +
                                   text + "'");
  if (cpu != "native")
    level.codegen.cpu = cpu.str();
  SmallVector<StringRef> names;
  features.split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names) {
    std::string &all = level.codegen.features;
    all += (all.empty() ? "" : ",");
    all += name.starts_with("-") ? "" : "+";
    all += name;
  }
  return level;
}

llvm::Expected<CpuTarget> CpuTarget::parse(StringRef word,
                                           const CodegenOptions &base) {
  auto [kind, levels] = word.split(':');
  CodegenOptions codegen = base;
  if (kind != "cpu") {
    const auto *known = llvm::find_if(
        kArchitectures, [&](const auto &a) { return a.first == kind; });
    if (known == std::end(kArchitectures))
      return llvm::createStringError(
          "expected a target cpu, x86_64 or aarch64, as in cpu:x86-64-v3, got "
          "'" +
          word + "'");
    codegen.triple = known->second.str();
    if (codegen.cpu.empty())
      codegen.cpu = kind == "x86_64" ? "x86-64" : "generic";
  }
  CpuTarget target;
  if (word.contains(':') && levels.empty())
    return llvm::createStringError("expected a processor after '" + word + "'");
  if (levels.empty()) {
    target.levels.push_back(
        {codegen.cpu.empty() ? "native" : codegen.cpu, codegen});
  } else {
    SmallVector<StringRef> names;
    levels.split(names, '+');
    for (StringRef name : names) {
      auto level = parseLevel(name, codegen);
      if (!level)
        return level.takeError();
      target.levels.push_back(std::move(*level));
    }
  }
  for (const Level &level : target.levels) {
    auto machine = createTargetMachine(level.codegen);
    if (!machine)
      return machine.takeError();
    if (target.levels.size() > 1 && !(*machine)->getTargetTriple().isX86_64())
      return llvm::createStringError("a choice between processors when a "
                                     "program is loaded is for x86-64 only, "
                                     "got '" +
                                     word + "'");
  }
  return target;
}

//===----------------------------------------------------------------------===//
// Target machines
//===----------------------------------------------------------------------===//

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
    return llvm::createStringError("this LLVM has no back end for " +
                                   triple.str() + ": " + error);
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

bool quant_ste::initializeNativeTarget() {
  static bool isInitialized = [] {
    return !llvm::InitializeNativeTarget() &&
           !llvm::InitializeNativeTargetAsmPrinter() &&
           !llvm::InitializeNativeTargetAsmParser(); // cpuid is inline
  }();
  return isInitialized;
}

static void initializeAll() {
  static bool isInitialized = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
    return true;
  }();
  (void)isInitialized;
}

static llvm::Expected<llvm::orc::JITTargetMachineBuilder>
createBuilder(const CodegenOptions &options) {
  if (!options.triple.empty()) {
    initializeAll();
    return llvm::orc::JITTargetMachineBuilder(llvm::Triple(options.triple));
  }
  if (!initializeNativeTarget())
    return llvm::createStringError("LLVM has no back end for this machine");
  // Looking at the processor takes longer than anything else here.
  static llvm::Expected<llvm::orc::JITTargetMachineBuilder> host =
      llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!host)
    return llvm::createStringError("cannot tell what machine this is");
  return *host;
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
quant_ste::createTargetMachine(const CodegenOptions &options) {
  auto builder = createBuilder(options);
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
  if (options.cpu.empty() && options.features.empty())
    return llvm::Error::success();
  auto machine = createTargetMachine(options);
  if (!machine)
    return machine.takeError();
  const llvm::MCSubtargetInfo &code = *(*machine)->getMCSubtargetInfo();
  static const llvm::StringMap<bool, llvm::MallocAllocator> host =
      llvm::sys::getHostCPUFeatures();
  for (const auto &feature : host)
    if (!feature.second && isForComputing(feature.first()) &&
        code.checkFeatures(("+" + feature.first()).str()))
      return llvm::createStringError(
          "expected a processor whose code runs on this machine (" +
          llvm::sys::getHostCPUName() + "), which lacks '" + feature.first() +
          "'; got '" + (options.cpu.empty() ? options.features : options.cpu) +
          "'");
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// cpuid
//===----------------------------------------------------------------------===//

namespace {
struct CpuidBit {
  StringLiteral feature;
  CpuidMask::Word word;
  unsigned bit;
};
} // namespace

/// Intel's manual, volume 2, CPUID; AMD's, volume 3, appendix E.
static constexpr CpuidBit kCpuidBits[] = {
    {"sse3", CpuidMask::Leaf1ECX, 0},
    {"ssse3", CpuidMask::Leaf1ECX, 9},
    {"fma", CpuidMask::Leaf1ECX, 12},
    {"cx16", CpuidMask::Leaf1ECX, 13},
    {"sse4.1", CpuidMask::Leaf1ECX, 19},
    {"sse4.2", CpuidMask::Leaf1ECX, 20},
    {"movbe", CpuidMask::Leaf1ECX, 22},
    {"popcnt", CpuidMask::Leaf1ECX, 23},
    {"avx", CpuidMask::Leaf1ECX, 28},
    {"f16c", CpuidMask::Leaf1ECX, 29},
    {"bmi", CpuidMask::Leaf7EBX, 3},
    {"avx2", CpuidMask::Leaf7EBX, 5},
    {"bmi2", CpuidMask::Leaf7EBX, 8},
    {"avx512f", CpuidMask::Leaf7EBX, 16},
    {"avx512dq", CpuidMask::Leaf7EBX, 17},
    {"avx512ifma", CpuidMask::Leaf7EBX, 21},
    {"avx512cd", CpuidMask::Leaf7EBX, 28},
    {"avx512bw", CpuidMask::Leaf7EBX, 30},
    {"avx512vl", CpuidMask::Leaf7EBX, 31},
    {"avx512vbmi", CpuidMask::Leaf7ECX, 1},
    {"avx512vbmi2", CpuidMask::Leaf7ECX, 6},
    {"gfni", CpuidMask::Leaf7ECX, 8},
    {"avx512vnni", CpuidMask::Leaf7ECX, 11},
    {"avx512bitalg", CpuidMask::Leaf7ECX, 12},
    {"avx512vpopcntdq", CpuidMask::Leaf7ECX, 14},
    {"amx-bf16", CpuidMask::Leaf7EDX, 22},
    {"avx512fp16", CpuidMask::Leaf7EDX, 23},
    {"amx-tile", CpuidMask::Leaf7EDX, 24},
    {"amx-int8", CpuidMask::Leaf7EDX, 25},
    {"avxvnni", CpuidMask::Leaf7_1EAX, 4},
    {"avx512bf16", CpuidMask::Leaf7_1EAX, 5},
    {"avxifma", CpuidMask::Leaf7_1EAX, 23},
    {"lzcnt", CpuidMask::ExtendedECX, 5},
    {"sse4a", CpuidMask::ExtendedECX, 6},
    {"xop", CpuidMask::ExtendedECX, 11},
    {"fma4", CpuidMask::ExtendedECX, 16},
    {"tbm", CpuidMask::ExtendedECX, 21},
};

CpuidMask quant_ste::getCpuidMask(const llvm::TargetMachine &machine) {
  const llvm::MCSubtargetInfo &code = *machine.getMCSubtargetInfo();
  auto has = [&](StringRef feature) {
    return code.checkFeatures(("+" + feature).str());
  };
  CpuidMask mask;
  for (const CpuidBit &bit : kCpuidBits)
    if (has(bit.feature))
      mask.words[bit.word] |= uint32_t(1) << bit.bit;
  if (has("avx")) {
    mask.words[CpuidMask::Leaf1ECX] |= uint32_t(1) << 27; // OSXSAVE
    mask.xcr0 |= 0x6;                                     // xmm, ymm
  }
  if (has("avx512f"))
    mask.xcr0 |= 0xe0; // mask registers, zmm
  if (has("amx-tile"))
    mask.xcr0 |= 0x60000;
  return mask;
}
