//===- BodyEmitter.cpp - a kernel's body in lanes -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BodyEmitter.h"
#include "BitMoves.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::quant_ste;

BodyEmitter::BodyEmitter(ImplicitLocOpBuilder &b, StreamKernel &kernel,
                         bool hasMaskRegisters)
    : b(b), k(kernel), hasMaskRegisters(hasMaskRegisters) {
  auto loopsOf = [&](const StreamOperand &operand) {
    llvm::SmallBitVector loops(k.getNumLoops());
    for (unsigned loop : operand.loops)
      loops.set(loop);
    return loops;
  };
  for (auto [i, input] : llvm::enumerate(k.inputs))
    seen[k.getInputArg(i)] = loopsOf(input);
  // The old value of an output changes in the innermost loop.
  for (unsigned i = 0; i < k.outputs.size(); ++i)
    seen[k.getOutputArg(i)] = llvm::SmallBitVector(k.getNumLoops(), true);
  for (Operation &op : k.getBody().without_terminator()) {
    llvm::SmallBitVector loops(k.getNumLoops());
    if (auto index = dyn_cast<linalg::IndexOp>(op))
      for (auto [loop, merged] : llvm::enumerate(k.loops))
        loops[loop] = llvm::is_contained(merged, index.getDim());
    for (Value operand : op.getOperands())
      if (auto it = seen.find(operand); it != seen.end())
        loops |= it->second;
    for (Value result : op.getResults())
      seen[result] = loops;
  }
}

BodyEmitter::Scope BodyEmitter::makeScope() {
  Scope scope;
  scope.ivs.resize(k.getNumLoops());
  for (auto [i, input] : llvm::enumerate(k.inputs))
    if (!input.isBuffer())
      scope.scalars.map(k.getInputArg(i), input.value);
  return scope;
}

bool BodyEmitter::isReady(Scope &scope, Value v) {
  auto it = seen.find(v);
  return it == seen.end() ||
         llvm::all_of(it->second.set_bits(),
                      [&](unsigned d) { return scope.ivs[d] != nullptr; });
}

void BodyEmitter::emit(Scope &scope) {
  for (auto [i, input] : llvm::enumerate(k.inputs)) {
    // Of packed bits, the boolean stands for the byte.
    Value arg = input.bit ? input.bit : Value(k.getInputArg(i));
    if (arg.use_empty() || isEmitted(scope, arg) || !isReady(scope, arg))
      continue;
    Value v = load(scope, input);
    if (isVector(scope, arg))
      scope.vectors[arg] = v;
    else
      scope.scalars.map(arg, v);
  }
  for (auto [i, output] : llvm::enumerate(k.outputs)) {
    BlockArgument arg = k.getOutputArg(i);
    if (!arg.use_empty() && !k.reductions[i] && !output.bit && !output.term &&
        !isEmitted(scope, arg) && isReady(scope, arg))
      scope.vectors[arg] = load(scope, output);
  }
  for (Operation &op : k.getBody().without_terminator())
    if (!k.packing.contains(&op) && !isEmitted(scope, op.getResult(0)) &&
        isReady(scope, op.getResult(0)))
      emitOp(scope, op);
}

void BodyEmitter::emitOp(Scope &scope, Operation &op) {
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return emitIndex(scope, index);
  if (!isVector(scope, op.getResult(0))) {
    b.clone(op, scope.scalars);
    return;
  }
  OperationState state(op.getLoc(), op.getName());
  for (Value operand : op.getOperands())
    state.operands.push_back(getVector(scope, operand));
  for (Type type : op.getResultTypes())
    state.types.push_back(getVectorType(scope, type));
  state.addAttributes(op.getDiscardableAttrDictionary().getValue());
  state.propertiesAttr = op.getPropertiesAsAttribute();
  Operation *lanes = b.create(state);
  for (auto [from, to] : llvm::zip_equal(op.getResults(), lanes->getResults()))
    scope.vectors[from] = to;
}

void BodyEmitter::emitIndex(Scope &scope, linalg::IndexOp op) {
  unsigned loop = seen[op.getResult()].find_first();
  Value iv = scope.ivs[loop];
  if (loop != k.getVectorLoop()) {
    scope.scalars.map(op.getResult(), iv);
    return;
  }
  VectorType type = getVectorType(scope, b.getIndexType());
  Value first = vector::BroadcastOp::create(b, type, iv);
  Value step = vector::StepOp::create(b, type);
  scope.vectors[op.getResult()] = arith::AddIOp::create(b, first, step);
}

Value BodyEmitter::getVector(Scope &scope, Value v) {
  Value &vector = scope.vectors[v];
  if (!vector)
    vector = vector::BroadcastOp::create(b, getVectorType(scope, v.getType()),
                                         scope.scalars.lookupOrDefault(v));
  return vector;
}

Value BodyEmitter::getYielded(Scope &scope, unsigned output) {
  if (Value bit = k.outputs[output].bit)
    return getVector(scope, bit);
  if (Value term = k.outputs[output].term)
    return getVector(scope, term);
  return getVector(scope, k.getBody().getTerminator()->getOperand(output));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static bool isHalf(Type element) { return element.isF16() || element.isBF16(); }

/// How vectors of `element` are loaded and stored. In memory an i1 is a byte,
/// of value 0 or 1, but a vector of i1 would be stored as bits. And LLVM takes
/// a masked load of bf16 apart into f32 values, which it then rounds by calls,
/// and does not store vectors of f16 past the caches.
static Type getStorageType(Type element, OpBuilder &b) {
  if (element.isInteger(1))
    return b.getI8Type();
  return isHalf(element) ? Type(b.getI16Type()) : element;
}

/// The same memory as a buffer of the storage type. No op of the memref dialect
/// says that; to the LLVM dialect both are one type, and the cast goes.
static Value asStorage(ImplicitLocOpBuilder &b, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  Type storage = getStorageType(type.getElementType(), b);
  if (storage == type.getElementType())
    return buffer;
  auto raw = MemRefType::get(type.getShape(), storage, type.getLayout(),
                             type.getMemorySpace());
  return UnrealizedConversionCastOp::create(b, raw, buffer).getResult(0);
}

static SmallVector<Value> indicesOf(const BodyEmitter::Scope &scope,
                                    const StreamOperand &operand) {
  return llvm::map_to_vector(operand.loops,
                             [&](unsigned loop) { return scope.ivs[loop]; });
}

Value BodyEmitter::load(Scope &scope, const StreamOperand &operand) {
  SmallVector<Value> at = indicesOf(scope, operand);
  if (operand.bit && !hasMaskRegisters)
    return shiftBitsOut(b, operand.value, at, scope.width);
  if (operand.bit)
    return loadBits(b, operand.value, at, scope.width, scope.mask);
  if (!operand.sees(k.getVectorLoop()))
    return memref::LoadOp::create(b, operand.value, at);
  return loadAt(scope, operand.value, at);
}

Value BodyEmitter::loadAt(Scope &scope, Value buffer, ValueRange at) {
  Type element = getElementTypeOrSelf(buffer.getType());
  buffer = asStorage(b, buffer);
  VectorType type = getVectorType(scope, getStorageType(element, b));
  Value lanes;
  if (scope.mask) {
    Value zero = arith::ConstantOp::create(b, type, b.getZeroAttr(type));
    lanes = vector::MaskedLoadOp::create(b, type, buffer, at, scope.mask, zero);
  } else {
    lanes = vector::LoadOp::create(b, type, buffer, at);
  }
  if (element.isInteger(1))
    return arith::TruncIOp::create(b, getVectorType(scope, element), lanes);
  if (isHalf(element))
    return arith::BitcastOp::create(b, getVectorType(scope, element), lanes);
  return lanes;
}

void BodyEmitter::store(Scope &scope, const StreamOperand &operand,
                        Value value) {
  SmallVector<Value> at = indicesOf(scope, operand);
  if (operand.bit && !hasMaskRegisters)
    return shiftBitsIn(b, operand.value, at, value, scope.mask);
  if (operand.bit)
    return storeBits(b, operand.value, at, value, scope.mask);
  storeAt(scope, operand.value, at, value);
}

void BodyEmitter::storeAt(Scope &scope, Value buffer, ValueRange at,
                          Value value) {
  if (!isa<VectorType>(value.getType())) {
    memref::StoreOp::create(b, value, buffer, at);
    return;
  }
  Type element = getElementTypeOrSelf(buffer.getType());
  VectorType type = getVectorType(scope, getStorageType(element, b));
  if (element.isInteger(1))
    value = arith::ExtUIOp::create(b, type, value);
  else if (isHalf(element))
    value = arith::BitcastOp::create(b, type, value);
  buffer = asStorage(b, buffer);
  if (scope.mask)
    vector::MaskedStoreOp::create(b, buffer, at, scope.mask, value);
  else
    vector::StoreOp::create(b, value, buffer, at, scope.isNonTemporal,
                            scope.isNonTemporal ? llvm::MaybeAlign(64)
                                                : llvm::MaybeAlign());
}
