//===- LowerLaunches.cpp - launches as calls of the runtime -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/DeviceCode.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTELOWERLAUNCHESPASS
#define GEN_PASS_DEF_QUANTSTEDEVICEMEMORYPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

static constexpr StringLiteral kLaunch = "quant_ste_cuda_launch";

namespace {
class Launches {
public:
  explicit Launches(ModuleOp module)
      : module(module), symbols(module),
        pointer(LLVM::LLVMPointerType::get(module.getContext())),
        word(IntegerType::get(module.getContext(), 64)) {}
  void lower(gpu::LaunchFuncOp op);

private:
  /// The address of these bytes, and a zero.
  Value getString(ImplicitLocOpBuilder &b, const Twine &name, StringRef bytes);
  /// The address of a word that is 0 at first.
  Value getWord(ImplicitLocOpBuilder &b, const Twine &name);
  Value getArgument(ImplicitLocOpBuilder &b, Value v);
  LLVM::LLVMFuncOp getRuntime();

  ModuleOp module;
  SymbolTable symbols;
  Type pointer, word;
};
} // namespace

Value Launches::getString(ImplicitLocOpBuilder &b, const Twine &twine,
                          StringRef bytes) {
  std::string name = twine.str();
  if (!symbols.lookup(name)) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    auto type = LLVM::LLVMArrayType::get(top.getI8Type(), bytes.size() + 1);
    auto global = LLVM::GlobalOp::create(
        top, b.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal,
        name, top.getStringAttr(bytes.str() + '\0'),
        /*alignment=*/16);
    symbols.insert(global);
  }
  return LLVM::AddressOfOp::create(b, pointer, name);
}

Value Launches::getWord(ImplicitLocOpBuilder &b, const Twine &twine) {
  std::string name = twine.str();
  if (!symbols.lookup(name)) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    symbols.insert(LLVM::GlobalOp::create(
        top, b.getLoc(), word, /*isConstant=*/false, LLVM::Linkage::Internal,
        name, top.getI64IntegerAttr(0)));
  }
  return LLVM::AddressOfOp::create(b, pointer, name);
}

/// As the driver wants it in memory.
Value Launches::getArgument(ImplicitLocOpBuilder &b, Value v) {
  if (isa<MemRefType>(v.getType())) {
    v = memref::ExtractAlignedPointerAsIndexOp::create(b, v);
    return arith::IndexCastOp::create(b, word, v);
  }
  if (v.getType().isIndex())
    return arith::IndexCastOp::create(b, word, v);
  if (v.getType().isInteger(1))
    return arith::ExtUIOp::create(b, b.getI8Type(), v);
  return v;
}

/// void (id, image, its size, kernel, blocks, threads, arguments)
LLVM::LLVMFuncOp Launches::getRuntime() {
  if (auto function = symbols.lookup<LLVM::LLVMFuncOp>(kLaunch))
    return function;
  OpBuilder top = OpBuilder::atBlockEnd(module.getBody());
  auto function = LLVM::LLVMFuncOp::create(
      top, module.getLoc(), kLaunch,
      LLVM::LLVMFunctionType::get(
          LLVM::LLVMVoidType::get(module.getContext()),
          {pointer, pointer, word, pointer, word, word, pointer}));
  symbols.insert(function);
  return function;
}

void Launches::lower(gpu::LaunchFuncOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), op);
  auto binary = symbols.lookup<gpu::BinaryOp>(op.getKernelModuleName());
  StringRef code =
      cast<gpu::ObjectAttr>(binary.getObjects()[0]).getObject().getValue();
  SmallVector<Value> arguments = llvm::map_to_vector(
      op.getKernelOperands(), [&](Value v) { return getArgument(b, v); });

  // [addresses of the values][values]
  Value slots;
  {
    OpBuilder::InsertionGuard guard(b);
    auto function = op->getParentOfType<func::FuncOp>();
    b.setInsertionPointToStart(&function.getBody().front());
    Value size = LLVM::ConstantOp::create(
        b, word,
        b.getI64IntegerAttr(2 * std::max<size_t>(1, arguments.size())));
    slots = LLVM::AllocaOp::create(b, pointer, word, size, /*alignment=*/16);
  }
  for (auto [i, v] : llvm::enumerate(arguments)) {
    Value at = LLVM::GEPOp::create(
        b, pointer, word, slots,
        LLVM::GEPArg(static_cast<int32_t>(arguments.size() + i)));
    LLVM::StoreOp::create(b, v, at);
    Value slot = LLVM::GEPOp::create(b, pointer, word, slots,
                                     LLVM::GEPArg(static_cast<int32_t>(i)));
    LLVM::StoreOp::create(b, at, slot);
  }
  auto count = [&](Value v) {
    return arith::IndexCastOp::create(b, word, v).getResult();
  };
  Value image = getString(b, binary.getName() + "_image", code);
  Value size =
      LLVM::ConstantOp::create(b, word, b.getI64IntegerAttr(code.size()));
  StringRef kernel = op.getKernelName().getValue();
  Value name = getString(b, binary.getName() + "_name_" + kernel, kernel);
  LLVM::CallOp::create(b, getRuntime(),
                       ValueRange{getWord(b, binary.getName() + "_id"), image,
                                  size, name, count(op.getGridSizeX()),
                                  count(op.getBlockSizeX()), slots});
  op.erase();
}

namespace {
struct LowerLaunches
    : quant_ste::impl::QuantSTELowerLaunchesPassBase<LowerLaunches> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    Launches launches(module);
    SmallVector<gpu::LaunchFuncOp> ops;
    module.walk([&](gpu::LaunchFuncOp op) { ops.push_back(op); });
    for (gpu::LaunchFuncOp op : ops)
      launches.lower(op);
    for (auto binary :
         llvm::make_early_inc_range(module.getOps<gpu::BinaryOp>()))
      binary.erase();
    module->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  }
};

struct DeviceMemory
    : quant_ste::impl::QuantSTEDeviceMemoryPassBase<DeviceMemory> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    for (StringRef name : {"malloc", "aligned_alloc", "free"})
      if (auto f = symbols.lookup<LLVM::LLVMFuncOp>(name);
          f && f.isExternal() &&
          failed(symbols.rename(f, "quant_ste_cuda_" + name.str())))
        return signalPassFailure();
  }
};
} // namespace
