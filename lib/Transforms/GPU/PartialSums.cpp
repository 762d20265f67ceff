//===- PartialSums.cpp - sums of threads and of blocks -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PartialSums.h"
#include "../CPU/Reductions.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::quant_ste;
using arith::AtomicRMWKind;
using arith::CmpIPredicate;

Value quant_ste::addLanes(ImplicitLocOpBuilder &b, AtomicRMWKind kind,
                          Value lanes) {
  SmallVector<Value> values;
  for (int64_t i = 0, n = cast<VectorType>(lanes.getType()).getDimSize(0);
       i < n; ++i)
    values.push_back(vector::ExtractOp::create(b, lanes, i));
  for (; values.size() > 1; values.resize(values.size() / 2))
    for (size_t i = 0, half = values.size() / 2; i < half; ++i)
      values[i] = arith::getReductionOp(kind, b, b.getLoc(), values[i],
                                        values[i + half]);
  return values.front();
}

static Value shuffleWord(ImplicitLocOpBuilder &b, Value word, int64_t offset) {
  return gpu::ShuffleOp::create(b, word, static_cast<int32_t>(offset),
                                static_cast<int32_t>(kWarpThreads),
                                gpu::ShuffleMode::XOR)
      .getShuffleResult();
}

Value quant_ste::shuffleXor(ImplicitLocOpBuilder &b, Value v, int64_t offset) {
  Type type = v.getType(), word = b.getI32Type();
  if (type.isIndex()) {
    v = arith::IndexCastOp::create(b, b.getI64Type(), v);
    return arith::IndexCastOp::create(b, type, shuffleXor(b, v, offset));
  }
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits == 32)
    return shuffleWord(b, v, offset);
  // Other widths as words of 32 bits.
  Type whole = b.getIntegerType(bits);
  if (isa<FloatType>(type))
    v = arith::BitcastOp::create(b, whole, v);
  if (bits < 32) {
    v = arith::ExtUIOp::create(b, word, v);
    v = shuffleWord(b, v, offset);
    v = arith::TruncIOp::create(b, whole, v);
  } else {
    Value shift = arith::ConstantIntOp::create(b, whole, 32);
    Value low = arith::TruncIOp::create(b, word, v);
    Value high = arith::ShRUIOp::create(b, v, shift);
    high = arith::TruncIOp::create(b, word, high);
    low = arith::ExtUIOp::create(b, whole, shuffleWord(b, low, offset));
    high = arith::ExtUIOp::create(b, whole, shuffleWord(b, high, offset));
    high = arith::ShLIOp::create(b, high, shift);
    v = arith::OrIOp::create(b, high, low);
  }
  return isa<FloatType>(type) ? arith::BitcastOp::create(b, type, v) : v;
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

BlockSums::BlockSums(KernelBuilder &kernel, StreamKernel &k,
                     ArrayRef<Value> sizes, Value parts, bool keptLast,
                     const KernelOptions &options)
    : kernel(kernel), k(k), options(options), host(kernel.host), sizes(sizes),
      keptLast(keptLast),
      isAtomic(options.sums == GpuSums::Atomic && canAddAtomically(k)),
      parts(parts) {
  Value one = KernelBuilder::index(host, 1),
        zero = KernelBuilder::index(host, 0);
  elements = one;
  for (unsigned loop : k.kept.set_bits()) {
    keptLoops.push_back(loop);
    elements = KernelBuilder::fold<arith::MulIOp>(host, elements, sizes[loop]);
  }
  hasParts = host.createOrFold<arith::CmpIOp>(CmpIPredicate::ugt, parts, one);
  count = KernelBuilder::fold<arith::MulIOp>(host, elements, parts);
  count = host.createOrFold<arith::SelectOp>(hasParts, count, zero);
  for (auto [i, kind] : llvm::enumerate(k.reductions)) {
    if (!kind)
      continue;
    reduced.push_back(i);
    outputs.push_back(k.outputs[i].value);
    if (isAtomic)
      continue;
    std::optional<int64_t> known = getConstantIntValue(count);
    auto type = MemRefType::get({known.value_or(ShapedType::kDynamic)},
                                getElementTypeOrSelf(outputs.back()));
    buffers.push_back(memref::AllocOp::create(
        host, type, known ? ValueRange() : ValueRange(count)));
  }
}

void BlockSums::passAll() {
  for (Value buffer : buffers)
    inside.push_back(kernel.passBuffer(buffer, count, /*isConstant=*/false));
}

/// The output's dimensions are the kept loops, perhaps in another order.
SmallVector<Value> BlockSums::indicesOf(unsigned output, ArrayRef<Value> ivs) {
  return llvm::map_to_vector(k.outputs[output].loops,
                             [&](unsigned loop) { return ivs[loop]; });
}

Value BlockSums::combine(ImplicitLocOpBuilder &b, KernelBuilder &in,
                         unsigned output, Value buffer, ArrayRef<Value> at,
                         Value sum) {
  Value old = options.initial.lookup(output);
  if (old) {
    old = in.pass(old);
    if (auto type = dyn_cast<VectorType>(sum.getType()))
      old = vector::BroadcastOp::create(b, type, old);
  } else if (auto type = dyn_cast<VectorType>(sum.getType())) {
    old = vector::LoadOp::create(b, type, buffer, at);
  } else {
    old = memref::LoadOp::create(b, buffer, at);
  }
  return arith::getReductionOp(*k.reductions[output], b, b.getLoc(), old, sum);
}

static void storeTo(ImplicitLocOpBuilder &b, Value v, Value buffer,
                    ValueRange at) {
  if (isa<VectorType>(v.getType()))
    vector::StoreOp::create(b, v, buffer, at);
  else
    memref::StoreOp::create(b, v, buffer, at);
}

bool quant_ste::canAddAtomically(const StreamKernel &k) {
  return llvm::all_of(llvm::zip_equal(k.outputs, k.reductions), [](auto pair) {
    auto &[output, kind] = pair;
    Type type = getElementTypeOrSelf(output.value.getType());
    return !kind || (*kind == AtomicRMWKind::addf &&
                     isa<Float32Type, Float64Type>(type));
  });
}

void BlockSums::addTo(ImplicitLocOpBuilder &b, Value buffer, ArrayRef<Value> at,
                      Value sum) {
  auto add = [&](Value v, ValueRange indices) {
    memref::AtomicRMWOp::create(b, v.getType(), AtomicRMWKind::addf, v, buffer,
                                indices);
  };
  auto type = dyn_cast<VectorType>(sum.getType());
  if (!type)
    return add(sum, at);
  // A vector lies along the last dimension.
  SmallVector<Value> indices(at);
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    indices.back() = KernelBuilder::fold<arith::AddIOp>(
        b, at.back(), KernelBuilder::index(b, i));
    add(vector::ExtractOp::create(b, sum, i), indices);
  }
}

void BlockSums::store(ImplicitLocOpBuilder &b, ArrayRef<Value> ivs, Value part,
                      ValueRange sums) {
  if (isAtomic) {
    for (auto [output, sum] : llvm::zip_equal(reduced, sums))
      addTo(b, k.outputs[output].value, indicesOf(output, ivs), sum);
    return;
  }
  Value element = KernelBuilder::index(b, 0);
  for (unsigned loop : keptLoops) {
    element = KernelBuilder::fold<arith::MulIOp>(b, element,
                                                 kernel.pass(sizes[loop]));
    element = KernelBuilder::fold<arith::AddIOp>(b, element, ivs[loop]);
  }
  Value major = keptLast ? part : element, minor = keptLast ? element : part;
  Value extent = kernel.pass(keptLast ? elements : parts);
  Value at = KernelBuilder::fold<arith::MulIOp>(b, major, extent);
  at = KernelBuilder::fold<arith::AddIOp>(b, at, minor);
  auto choice = scf::IfOp::create(b, kernel.pass(hasParts),
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  for (auto [buffer, sum] : llvm::zip_equal(inside, sums))
    storeTo(b, sum, buffer, at);
  b.setInsertionPointToStart(choice.elseBlock());
  for (auto [output, sum] : llvm::zip_equal(reduced, sums)) {
    Value buffer = k.outputs[output].value;
    SmallVector<Value> indices = indicesOf(output, ivs);
    storeTo(b, combine(b, kernel, output, buffer, indices, sum), buffer,
            indices);
  }
}

//===----------------------------------------------------------------------===//
// The second kernel
//===----------------------------------------------------------------------===//

/// A warp adds the parts of one element: each thread every 32nd part, in their
/// order, and then the threads by halves.
void BlockSums::emitFinish(KernelBuilder &fin) {
  ImplicitLocOpBuilder &b = fin.device;
  auto index = [&](int64_t v) { return KernelBuilder::index(b, v); };
  SmallVector<Value> partBuffers, outputBuffers;
  for (auto [output, buffer, outside] :
       llvm::zip_equal(reduced, buffers, outputs)) {
    partBuffers.push_back(fin.passBuffer(buffer, count, /*isConstant=*/true));
    SmallVector<Value> dims = llvm::map_to_vector(
        k.outputs[output].loops, [&](unsigned loop) { return sizes[loop]; });
    outputBuffers.push_back(fin.passBuffer(outside, dims, false));
  }
  Value warps = index(kBlockThreads / kWarpThreads);
  Value lane = arith::RemUIOp::create(b, fin.thread, index(kWarpThreads));
  Value warp = arith::DivUIOp::create(b, fin.thread, index(kWarpThreads));
  Value element = arith::MulIOp::create(b, fin.block, warps);
  element = arith::AddIOp::create(b, element, warp);
  Value isElement =
      arith::CmpIOp::create(b, CmpIPredicate::ult, element, fin.pass(elements));
  Value zero = index(0);
  element = arith::SelectOp::create(b, isElement, element, zero);
  Value end = arith::SelectOp::create(b, isElement, fin.pass(parts), zero);
  SmallVector<Value> ivs(k.getNumLoops());
  Value rest = element;
  for (unsigned loop : llvm::reverse(keptLoops)) {
    Value size = fin.pass(sizes[loop]);
    ivs[loop] = loop == keptLoops.front()
                    ? rest
                    : KernelBuilder::fold<arith::RemUIOp>(b, rest, size);
    if (loop != keptLoops.front())
      rest = KernelBuilder::fold<arith::DivUIOp>(b, rest, size);
  }
  SmallVector<Value> totals;
  for (auto [output, buffer] : llvm::zip_equal(reduced, partBuffers)) {
    AtomicRMWKind kind = *k.reductions[output];
    Type type = getElementTypeOrSelf(buffer), wide = getWideType(type, b);
    Value neutral = getNeutral(b, kind, wide, 1);
    neutral = vector::ExtractOp::create(b, neutral, 0);
    auto sum = scf::ForOp::create(
        b, lane, end, index(kWarpThreads), neutral,
        [&](OpBuilder &nested, Location loc, Value part, ValueRange acc) {
          ImplicitLocOpBuilder n(loc, nested);
          Value at =
              arith::MulIOp::create(n, keptLast ? part : element,
                                    fin.pass(keptLast ? elements : parts));
          at = arith::AddIOp::create(n, at, keptLast ? element : part);
          Value v = memref::LoadOp::create(n, buffer, at);
          if (wide != type)
            v = arith::ExtFOp::create(n, wide, v);
          v = arith::getReductionOp(kind, n, loc, acc.front(), v);
          scf::YieldOp::create(n, v);
        });
    Value total = sum.getResult(0);
    for (int64_t offset = kWarpThreads / 2; offset > 0; offset /= 2)
      total = arith::getReductionOp(kind, b, b.getLoc(), total,
                                    shuffleXor(b, total, offset));
    if (wide != type)
      total = arith::TruncFOp::create(b, type, total);
    totals.push_back(total);
  }
  Value isFirst = arith::CmpIOp::create(b, CmpIPredicate::eq, lane, index(0));
  isFirst = arith::AndIOp::create(b, isFirst, isElement);
  auto choice = scf::IfOp::create(b, isFirst, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  for (auto [output, buffer, total] :
       llvm::zip_equal(reduced, outputBuffers, totals)) {
    SmallVector<Value> at = indicesOf(output, ivs);
    storeTo(b, combine(b, fin, output, buffer, at, total), buffer, at);
  }
}

void BlockSums::finish() {
  if (isAtomic)
    return;
  auto choice = scf::IfOp::create(host, hasParts, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(host);
    host.setInsertionPointToStart(choice.thenBlock());
    KernelBuilder fin(host, options.library, options.name + "_finish",
                      /*minBlocks=*/1, options.passSizes);
    emitFinish(fin);
    Value warps = KernelBuilder::index(host, kBlockThreads / kWarpThreads);
    fin.launch(KernelBuilder::fold<arith::CeilDivUIOp>(host, elements, warps));
  }
  for (Value buffer : buffers)
    memref::DeallocOp::create(host, buffer);
}
