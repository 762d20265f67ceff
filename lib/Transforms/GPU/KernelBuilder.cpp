//===- KernelBuilder.cpp - a kernel and its launch -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Equal kernels
//===----------------------------------------------------------------------===//

static bool areEqual(gpu::GPUFuncOp a, gpu::GPUFuncOp b) {
  auto attributes = [](gpu::GPUFuncOp f) {
    NamedAttrList list(f->getAttrs());
    list.erase(SymbolTable::getSymbolAttrName());
    return list.getDictionary(f.getContext());
  };
  return attributes(a) == attributes(b) &&
         OperationEquivalence::isRegionEquivalentTo(
             &a.getBody(), &b.getBody(), OperationEquivalence::IgnoreLocations);
}

gpu::GPUFuncOp KernelLibrary::unique(gpu::GPUFuncOp function) {
  auto &alike = byType[function.getFunctionType()];
  auto *same = llvm::find_if(
      alike, [&](gpu::GPUFuncOp other) { return areEqual(other, function); });
  if (same != alike.end()) {
    function.erase();
    return *same;
  }
  alike.push_back(function);
  SymbolTable(module).insert(function);
  return function;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

/// Of every table, so that vectors of it are aligned wherever its views begin
/// at a multiple of their size.
static constexpr int64_t kTableAlignment = 64;

Value quant_ste::getRootBuffer(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  return buffer;
}

memref::GetGlobalOp quant_ste::getTable(Value buffer) {
  return getRootBuffer(buffer).getDefiningOp<memref::GetGlobalOp>();
}

void KernelLibrary::addTable(memref::GetGlobalOp table) {
  if (module.lookupSymbol(table.getNameAttr().getAttr()))
    return;
  auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
      table, table.getNameAttr());
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto copy = cast<memref::GlobalOp>(b.clone(*global));
  copy.setAlignment(
      std::max<uint64_t>(copy.getAlignment().value_or(0), kTableAlignment));
}

Value KernelBuilder::addTable(memref::GetGlobalOp table) {
  library.addTable(table);
  OpBuilder::InsertionGuard guard(device);
  device.setInsertionPointToStart(&function.getBody().front());
  auto inside = cast<memref::GetGlobalOp>(device.clone(*table));
  return memref::ExtractStridedMetadataOp::create(device, inside)
      .getBaseBuffer();
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// A kernel's name in PTX, which allows fewer characters than a symbol of MLIR
/// has. KernelLibrary::unique keeps equal ones apart.
static std::string getPTXIdentifier(StringRef name) {
  std::string identifier = name.str();
  for (char &c : identifier)
    if (!llvm::isAlnum(c) && c != '_' && c != '$')
      c = '_';
  if (identifier.empty() || llvm::isDigit(identifier.front()))
    identifier.insert(identifier.begin(), '_');
  return identifier;
}

KernelBuilder::KernelBuilder(ImplicitLocOpBuilder &host, KernelLibrary &library,
                             StringRef name, unsigned minBlocks, bool passSizes)
    : host(host), device(host.getLoc(), host.getContext()), library(library),
      passSizes(passSizes) {
  MLIRContext *ctx = host.getContext();
  device.setInsertionPointToEnd(library.getModule().getBody());
  function = gpu::GPUFuncOp::create(device, getPTXIdentifier(name),
                                    FunctionType::get(ctx, {}, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    UnitAttr::get(ctx));
  function.setKnownBlockSizeAttr(
      device.getDenseI32ArrayAttr({kBlockThreads, 1, 1}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    device.getI32IntegerAttr(minBlocks));
  device.setInsertionPointToStart(&function.getBody().front());
  block = gpu::BlockIdOp::create(device, gpu::Dimension::x);
  thread = gpu::ThreadIdOp::create(device, gpu::Dimension::x);
}

Value KernelBuilder::addArgument(Value value,
                                 ArrayRef<NamedAttribute> attributes) {
  unsigned at = arguments.size();
  arguments.push_back(value);
  (void)function.insertArgument(at, value.getType(),
                                device.getDictionaryAttr(attributes),
                                value.getLoc());
  return function.getArgument(at);
}

Value KernelBuilder::pass(Value scalar) {
  Value &inside = passed[scalar];
  if (inside)
    return inside;
  Operation *op = scalar.getDefiningOp();
  Type type = scalar.getType();
  bool isSize = type.isIndex() || type.isInteger(1);
  if (!op || !op->hasTrait<OpTrait::ConstantLike>() || (passSizes && isSize))
    return inside = addArgument(scalar);
  OpBuilder::InsertionGuard guard(device);
  device.setInsertionPointToStart(&function.getBody().front());
  return inside = device.clone(*op)->getResult(0);
}

/// Row-major strides of a buffer without gaps.
static SmallVector<Value> getStrides(ImplicitLocOpBuilder &b,
                                     ArrayRef<Value> sizes) {
  SmallVector<Value> strides(sizes.size());
  Value stride = arith::ConstantIndexOp::create(b, 1);
  for (unsigned d = sizes.size(); d-- > 0;) {
    strides[d] = stride;
    stride = KernelBuilder::fold<arith::MulIOp>(b, stride, sizes[d]);
  }
  return strides;
}

Value KernelBuilder::passBuffer(Value buffer, ArrayRef<Value> sizes,
                                bool isConstant) {
  auto type = cast<MemRefType>(buffer.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(host, buffer);
  SmallVector<NamedAttribute> attributes;
  if (isConstant)
    for (StringRef name : {LLVM::LLVMDialect::getNoAliasAttrName(),
                           LLVM::LLVMDialect::getReadonlyAttrName()})
      attributes.push_back(device.getNamedAttr(name, device.getUnitAttr()));
  memref::GetGlobalOp table = getTable(buffer);
  Value base = table ? addTable(table)
                     : addArgument(metadata.getBaseBuffer(), attributes);

  auto [typeStrides, typeOffset] = type.getStridesAndOffset();
  Value offset = index(device, 0);
  if (ShapedType::isDynamic(typeOffset))
    offset = pass(metadata.getOffset());
  else if (typeOffset != 0)
    offset = index(device, typeOffset);
  SmallVector<Value> inside =
      llvm::map_to_vector(sizes, [&](Value size) { return pass(size); });
  SmallVector<Value> strides;
  if (type.getLayout().isIdentity())
    strides = getStrides(device, inside);
  else
    for (auto [known, stride] :
         llvm::zip_equal(typeStrides, metadata.getStrides()))
      strides.push_back(ShapedType::isDynamic(known) ? pass(stride)
                                                     : index(device, known));
  SmallVector<OpFoldResult> mixedSizes = getAsOpFoldResult(inside);
  SmallVector<OpFoldResult> mixedStrides = getAsOpFoldResult(strides);
  OpFoldResult mixedOffset = getAsOpFoldResult(offset);
  auto known = [](OpFoldResult v) {
    return getConstantIntValue(v).value_or(ShapedType::kDynamic);
  };
  auto layout =
      StridedLayoutAttr::get(device.getContext(), known(mixedOffset),
                             llvm::map_to_vector(mixedStrides, known));
  auto insideType = MemRefType::get(llvm::map_to_vector(mixedSizes, known),
                                    type.getElementType(), layout);
  return memref::ReinterpretCastOp::create(
      device, insideType, base, mixedOffset, mixedSizes, mixedStrides);
}

Value KernelBuilder::addShared(int64_t size, Type element) {
  auto space = gpu::AddressSpaceAttr::get(
      device.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  auto type =
      MemRefType::get({size}, element, MemRefLayoutAttrInterface(), space);
  return function.addWorkgroupAttribution(type, device.getLoc());
}

int64_t quant_ste::getElementBytes(Type element) {
  if (element.isIndex())
    return IndexType::kInternalStorageBitWidth / 8;
  return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

//===----------------------------------------------------------------------===//
// Launch
//===----------------------------------------------------------------------===//

/// Says of each vector access that it is aligned to its size. False if there is
/// none.
static bool alignVectors(gpu::GPUFuncOp function) {
  bool hasVectors = false;
  auto align = [&](auto op, VectorType type) {
    if (type.getNumElements() == 1 ||
        cast<MemRefType>(op.getBase().getType()).getMemorySpace())
      return;
    op.setAlignment(type.getNumElements() *
                    getElementBytes(type.getElementType()));
    hasVectors = true;
  };
  function.walk([&](vector::LoadOp op) { align(op, op.getVectorType()); });
  function.walk([&](vector::StoreOp op) { align(op, op.getVectorType()); });
  return hasVectors;
}

void KernelBuilder::launchFunction(gpu::GPUFuncOp callee, Value blocks) {
  Value one = index(host, 1), threads = index(host, kBlockThreads);
  gpu::LaunchFuncOp::create(host, callee, gpu::KernelDim3{blocks, one, one},
                            gpu::KernelDim3{threads, one, one},
                            /*dynamicSharedMemorySize=*/Value(), arguments);
}

/// convert-gpu-to-nvvm does not know vector.step.
static void expandSteps(gpu::GPUFuncOp function) {
  function.walk([](vector::StepOp op) {
    OpBuilder b(op);
    auto type = cast<VectorType>(op.getType());
    auto numbers = llvm::to_vector(llvm::seq(type.getNumElements()));
    Value constant = arith::ConstantOp::create(
        b, op.getLoc(), DenseIntElementsAttr::get(type, numbers));
    op.replaceAllUsesWith(constant);
    op.erase();
  });
}

void KernelBuilder::launch(Value blocks, Value isAligned) {
  gpu::ReturnOp::create(device);
  expandSteps(function);
  gpu::GPUFuncOp aligned;
  if (isAligned) {
    aligned = cast<gpu::GPUFuncOp>(
        device.getInsertionBlock()->getParentOp()->clone());
    aligned.setName((function.getName() + "_aligned").str());
    if (alignVectors(aligned))
      function.setName((function.getName() + "_any").str());
    else
      aligned.erase(), aligned = nullptr;
  }
  function->remove();
  gpu::GPUFuncOp any = library.unique(function);
  if (!aligned)
    return launchFunction(any, blocks);
  aligned = library.unique(aligned);
  auto choice = scf::IfOp::create(host, isAligned, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(host);
  host.setInsertionPointToStart(choice.thenBlock());
  launchFunction(aligned, blocks);
  host.setInsertionPointToStart(choice.elseBlock());
  launchFunction(any, blocks);
}
