//===- RuleToLinalg.cpp - a scalar rule as linalg.generic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Conversion/RuleToLinalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "quant_ste/Dialect/QuantSTE/IR/RuleOp.h"
#include "quant_ste/Rules/Readings/APFloatScalar.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::quant_ste;
using mlir::quant_ste::rules::Footprint;
using mlir::quant_ste::rules::PartialKind;
using utils::IteratorType;

//===----------------------------------------------------------------------===//
// Small builders
//===----------------------------------------------------------------------===//

static Value convertFloat(ImplicitLocOpBuilder &b, Value v, Type to) {
  if (v.getType() == to)
    return v;
  if (v.getType().getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, to, v);
  return arith::TruncFOp::create(b, to, v);
}

static Value zeros(ImplicitLocOpBuilder &b, ArrayRef<OpFoldResult> sizes,
                   Type elementType) {
  Value zero = arith::ConstantOp::create(b, b.getFloatAttr(elementType, 0.0));
  Value init = tensor::EmptyOp::create(b, sizes, elementType);
  return linalg::FillOp::create(b, ValueRange{zero}, ValueRange{init})
      .getResult(0);
}

static Value castTo(ImplicitLocOpBuilder &b, Value v, Type type) {
  return v.getType() == type ? v : tensor::CastOp::create(b, type, v);
}

using BodyBuilder =
    function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, ValueRange)>;

/// linalg.generic; a loop that some result does not see is a reduction.
static linalg::GenericOp buildGeneric(ImplicitLocOpBuilder &b,
                                      ValueRange inputs, ValueRange inits,
                                      ArrayRef<AffineMap> inputMaps,
                                      ArrayRef<AffineMap> initMaps,
                                      BodyBuilder body) {
  SmallVector<AffineMap> maps(inputMaps);
  llvm::append_range(maps, initMaps);
  SmallVector<IteratorType> iterators;
  for (unsigned d = 0, n = maps.front().getNumDims(); d < n; ++d)
    iterators.push_back(
        llvm::all_of(initMaps,
                     [&](AffineMap m) { return m.isFunctionOfDim(d); })
            ? IteratorType::parallel
            : IteratorType::reduction);
  return linalg::GenericOp::create(
      b, TypeRange(inits), inputs, inits, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder inner(loc, nested);
        SmallVector<Value> yields = body(inner, args);
        linalg::YieldOp::create(inner, yields);
      });
}

static SmallVector<Value> widen(ImplicitLocOpBuilder &b, ValueRange scalars,
                                FloatType compute) {
  return llvm::map_to_vector(
      scalars, [&](Value v) { return convertFloat(b, v, compute); });
}

namespace {
/// The primal operands that a body reads. Tensors are inputs of the generic;
/// a splat constant stands in the body, where what follows from it folds (the
/// range of a constant bit width, say).
class PrimalInputs {
public:
  /// Reads operand i when bit i of `needs` is set.
  PrimalInputs(ValueRange operands, ArrayRef<AffineMap> maps, uint32_t needs,
               SmallVectorImpl<Value> &inputs,
               SmallVectorImpl<AffineMap> &inputMaps)
      : sources(operands.size()) {
    for (auto [i, v] : llvm::enumerate(operands)) {
      if (!(needs & (1u << i)))
        continue;
      // Operand 0 gives the loops their sizes.
      if (i > 0 && (sources[i].constant = getSplat(v)))
        continue;
      sources[i].slot = inputs.size();
      inputs.push_back(v);
      inputMaps.push_back(maps[i]);
    }
  }

  /// The scalars in the compute type; null for an operand that is not read.
  SmallVector<Value> scalars(ImplicitLocOpBuilder &body, ValueRange args,
                             FloatType compute) const {
    return llvm::map_to_vector(sources, [&](const Source &s) -> Value {
      if (s.constant)
        return arith::ConstantOp::create(
            body,
            body.getFloatAttr(
                compute, roundTo(*s.constant, compute.getFloatSemantics())));
      return s.slot < 0 ? Value() : convertFloat(body, args[s.slot], compute);
    });
  }

private:
  struct Source {
    int slot = -1;
    std::optional<APFloat> constant;
  };
  SmallVector<Source> sources;

  static std::optional<APFloat> getSplat(Value v) {
    Attribute attr;
    if (!matchPattern(v, m_Constant(&attr)))
      return std::nullopt;
    if (auto f = dyn_cast<FloatAttr>(attr))
      return f.getValue();
    auto dense = dyn_cast<DenseFPElementsAttr>(attr);
    if (!dense || !dense.isSplat())
      return std::nullopt;
    return dense.getSplatValue<APFloat>();
  }
};
} // namespace

static constexpr uint32_t kReadAll = ~0u;

//===----------------------------------------------------------------------===//
// Forward
//===----------------------------------------------------------------------===//

SmallVector<Value> quant_ste::buildRuleForward(OpBuilder &builder,
                                               GradientRuleInterface rule,
                                               ValueRange operands) {
  ImplicitLocOpBuilder b(rule.getLoc(), builder);
  FloatType compute = rule.getComputeType();
  TypeRange types = rule->getResultTypes();
  auto body = [&](ImplicitLocOpBuilder &inner, ValueRange scalars) {
    SmallVector<Value> results = rule.emitForward(inner, scalars);
    for (auto [r, type] : llvm::zip_equal(results, types))
      r = convertFloat(inner, r, getElementTypeOrSelf(type));
    return results;
  };
  if (!isa<RankedTensorType>(operands.front().getType()))
    return body(b, widen(b, operands, compute));

  SmallVector<Value> inputs;
  SmallVector<AffineMap> inputMaps;
  PrimalInputs primals(operands, rule.getOperandMaps(), kReadAll, inputs,
                       inputMaps);
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, b.getLoc(), operands.front());
  SmallVector<AffineMap> resultMaps = rule.getResultMaps();
  SmallVector<Value> inits;
  for (auto [type, map] : llvm::zip_equal(types, resultMaps)) {
    SmallVector<OpFoldResult> own;
    for (unsigned r = 0; r < map.getNumResults(); ++r)
      own.push_back(sizes[map.getDimPosition(r)]);
    inits.push_back(
        tensor::EmptyOp::create(b, own, getElementTypeOrSelf(type)));
  }
  auto generic =
      buildGeneric(b, inputs, inits, inputMaps, resultMaps,
                   [&](ImplicitLocOpBuilder &inner, ValueRange args) {
                     return body(inner, primals.scalars(inner, args, compute));
                   });
  SmallVector<Value> results;
  for (auto [r, type] : llvm::zip_equal(generic.getResults(), types))
    results.push_back(castTo(b, r, type));
  return results;
}

//===----------------------------------------------------------------------===//
// Reverse mode
//===----------------------------------------------------------------------===//

/// Partial sums over the dimensions of `partialMap` -> the parameter's own
/// shape (`map`), then one rounding to its type.
static Value finishReduction(ImplicitLocOpBuilder &b, Value partial,
                             AffineMap partialMap, Type paramType,
                             AffineMap map) {
  Type accType = getElementTypeOrSelf(partial.getType());
  Type element = getElementTypeOrSelf(paramType);
  if (map != partialMap) {
    AffineMap in = b.getMultiDimIdentityMap(partialMap.getNumResults());
    SmallVector<AffineExpr> keptDims; // where the parameter's dimensions went
    SmallVector<OpFoldResult> sizes;
    for (AffineExpr e : map.getResults()) {
      unsigned d = *partialMap.getResultPosition(e);
      keptDims.push_back(b.getAffineDimExpr(d));
      sizes.push_back(tensor::getMixedSize(b, b.getLoc(), partial, d));
    }
    AffineMap out =
        AffineMap::get(in.getNumDims(), 0, keptDims, b.getContext());
    Value init = zeros(b, sizes, accType);
    partial =
        buildGeneric(b, partial, init, in, out,
                     [](ImplicitLocOpBuilder &body,
                        ValueRange args) -> SmallVector<Value> {
                       return {arith::AddFOp::create(body, args[1], args[0])};
                     })
            .getResult(0);
  }
  if (isa<FloatType>(paramType)) {
    Value scalar = tensor::ExtractOp::create(b, partial, ValueRange());
    return convertFloat(b, scalar, paramType);
  }
  if (element != accType) {
    AffineMap id = b.getMultiDimIdentityMap(map.getNumResults());
    Value init = tensor::EmptyOp::create(
        b, tensor::getMixedSizes(b, b.getLoc(), partial), element);
    partial = buildGeneric(b, partial, init, id, id,
                           [&](ImplicitLocOpBuilder &body,
                               ValueRange args) -> SmallVector<Value> {
                             return {convertFloat(body, args[0], element)};
                           })
                  .getResult(0);
  }
  // Same sizes, perhaps known less statically ([?] channels of x against [8]).
  return castTo(b, partial, paramType);
}

namespace {
/// One pass over memory that gives the gradients of the operands `active`.
struct VjpPass {
  ImplicitLocOpBuilder &b;
  GradientRuleInterface rule;
  ValueRange operands, cotangents;
  SmallVector<AffineMap> maps = rule.getOperandMaps();
  SmallVector<PartialFootprint> footprint = rule.getFootprint();
  FloatType compute = rule.getComputeType();

  bool isReduced(unsigned i) const { return maps[i] != maps.front(); }

  /// The scalar gradients of `active`, given widened scalars of the operands
  /// that are read (null: not read) and of the cotangents.
  SmallVector<Value> emitScalars(ImplicitLocOpBuilder &body,
                                 ArrayRef<Value> scalars, ArrayRef<Value> dys,
                                 uint32_t needs) {
    // An operand that nothing reads is stood in for by the cotangent.
    SmallVector<Value> all(scalars);
    for (Value &v : all)
      if (!v)
        v = dys.front();
    SmallVector<Value> results(rule->getNumResults(), dys.front());
    if (needs & Footprint::kResult)
      results = rule.emitForward(body, all);
    return rule.emitVjp(body, all, results, dys);
  }

  uint32_t needsOf(ArrayRef<unsigned> active) const {
    uint32_t needs = 0;
    for (unsigned i : active)
      needs |= footprint[i].needs;
    // The results are recomputed from the operands.
    return needs & Footprint::kResult ? kReadAll : needs;
  }

  void run(ArrayRef<unsigned> active, ArrayRef<unsigned> extraKept,
           MutableArrayRef<Value> grads);
};
} // namespace

void VjpPass::run(ArrayRef<unsigned> active, ArrayRef<unsigned> extraKept,
                  MutableArrayRef<Value> grads) {
  AffineMap identity = maps.front();
  unsigned rank = identity.getNumDims();
  uint32_t needs = needsOf(active);

  // Inputs: the cotangents and the primal values that are read.
  SmallVector<Value> inputs(cotangents);
  SmallVector<AffineMap> inputMaps = rule.getResultMaps();
  PrimalInputs primals(operands, maps, needs, inputs, inputMaps);

  // All reduced gradients accumulate over the same dimensions, those that no
  // reduced operand sees, because upstream's tiling and vectorizer know one set
  // of reduction loops per op:
  //   x[n,c], scale[c], zero_point[]:  both gradients are [c] here, and the
  //   zero point's is summed to [] by a second, small op.
  llvm::SmallBitVector kept(rank);
  for (unsigned d : extraKept)
    kept.set(d);
  for (unsigned i : active)
    if (isReduced(i))
      for (unsigned d = 0; d < rank; ++d)
        if (maps[i].isFunctionOfDim(d))
          kept.set(d);
  SmallVector<AffineExpr> keptDims;
  SmallVector<OpFoldResult> keptSizes;
  // Sizes come from the cotangent: asking x for its size would keep x alive in
  // a split backward.
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, b.getLoc(), cotangents.front());
  for (unsigned d : kept.set_bits()) {
    keptDims.push_back(b.getAffineDimExpr(d));
    keptSizes.push_back(sizes[d]);
  }
  AffineMap partialMap = AffineMap::get(rank, 0, keptDims, b.getContext());

  // Sums are never accumulated in less than f32.
  FloatType sumType = getComputeTypeFor(compute);
  SmallVector<Value> inits;
  SmallVector<AffineMap> initMaps;
  for (unsigned i : active) {
    if (isReduced(i)) {
      inits.push_back(zeros(b, keptSizes, sumType));
      initMaps.push_back(partialMap);
      continue;
    }
    inits.push_back(tensor::EmptyOp::create(
        b, sizes, getElementTypeOrSelf(operands[i].getType())));
    initMaps.push_back(identity);
  }

  auto generic = buildGeneric(
      b, inputs, inits, inputMaps, initMaps,
      [&](ImplicitLocOpBuilder &body, ValueRange args) {
        SmallVector<Value> dys =
            widen(body, args.take_front(cotangents.size()), compute);
        SmallVector<Value> all =
            emitScalars(body, primals.scalars(body, args, compute), dys, needs);
        SmallVector<Value> yields;
        for (auto [k, i] : llvm::enumerate(active)) {
          Value out = args[inputs.size() + k], g = all[i];
          if (isReduced(i))
            g = arith::AddFOp::create(body, out,
                                      convertFloat(body, g, sumType));
          yields.push_back(convertFloat(body, g, out.getType()));
        }
        return yields;
      });

  for (auto [i, result] : llvm::zip_equal(active, generic.getResults()))
    grads[i] = isReduced(i) ? finishReduction(b, result, partialMap,
                                              operands[i].getType(), maps[i])
                            : castTo(b, result, operands[i].getType());
}

SmallVector<Value>
quant_ste::buildRuleVjp(OpBuilder &builder, GradientRuleInterface rule,
                        ValueRange operands, ValueRange cotangents,
                        ArrayRef<int64_t> wrt, const RuleVjpOptions &options) {
  ImplicitLocOpBuilder b(rule.getLoc(), builder);
  VjpPass pass{b, rule, operands, cotangents};
  SmallVector<Value> grads(operands.size());
  SmallVector<unsigned> active;
  bool isScalar = !isa<RankedTensorType>(operands.front().getType());
  for (int64_t i : wrt) {
    const PartialFootprint &part = pass.footprint[i];
    bool isIdentity = !pass.isReduced(i);
    // The gradient is the cotangent itself: no code at all.
    if (part.kind == PartialKind::One && isIdentity &&
        cotangents.front().getType() == operands[i].getType())
      grads[i] = cotangents.front();
    else if (part.kind != PartialKind::Zero)
      active.push_back(i);
  }

  if (isScalar && !active.empty()) {
    SmallVector<Value> scalars = widen(b, operands, pass.compute);
    SmallVector<Value> dys = widen(b, cotangents, pass.compute);
    SmallVector<Value> all =
        pass.emitScalars(b, scalars, dys, pass.needsOf(active));
    for (unsigned i : active)
      grads[i] = convertFloat(b, all[i], operands[i].getType());
  } else if (options.onePass && !active.empty()) {
    pass.run(active, options.kept, grads);
  } else {
    for (unsigned i : active)
      pass.run(i, options.kept, grads);
  }

  SmallVector<Value> wanted;
  for (int64_t i : wrt) {
    if (!grads[i]) { // a rule that answers zero: nothing flows
      Type type = operands[i].getType();
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor) {
        grads[i] = arith::ConstantOp::create(b, b.getFloatAttr(type, 0.0));
      } else {
        SmallVector<OpFoldResult> sizes =
            tensor::getMixedSizes(b, b.getLoc(), cotangents.front());
        SmallVector<OpFoldResult> own;
        for (unsigned r = 0; r < pass.maps[i].getNumResults(); ++r)
          own.push_back(sizes[pass.maps[i].getDimPosition(r)]);
        grads[i] = castTo(b, zeros(b, own, tensor.getElementType()), tensor);
      }
    }
    wanted.push_back(grads[i]);
  }
  return wanted;
}

//===----------------------------------------------------------------------===//
// Forward mode
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>>
quant_ste::buildRuleJvp(OpBuilder &builder, GradientRuleInterface rule,
                        ValueRange operands, ValueRange tangents,
                        ArrayRef<int64_t> wrt) {
  ImplicitLocOpBuilder b(rule.getLoc(), builder);
  FloatType compute = rule.getComputeType();
  TypeRange types = rule->getResultTypes();
  bool hasForwardMode = true;
  auto body = [&](ImplicitLocOpBuilder &inner, ValueRange scalars,
                  ValueRange given) {
    SmallVector<Value> ts(operands.size());
    for (auto [i, t] : llvm::zip_equal(wrt, given))
      ts[i] = convertFloat(inner, t, compute);
    SmallVector<Value> results(types.size(), scalars.front());
    if (llvm::any_of(rule.getFootprint(), [](const PartialFootprint &f) {
          return f.needs & Footprint::kResult;
        }))
      results = rule.emitForward(inner, scalars);
    FailureOr<SmallVector<Value>> out =
        rule.emitJvp(inner, scalars, results, ts);
    hasForwardMode = succeeded(out);
    SmallVector<Value> rounded;
    for (auto [k, type] : llvm::enumerate(types)) {
      Type element = getElementTypeOrSelf(type);
      if (hasForwardMode && (*out)[k])
        rounded.push_back(convertFloat(inner, (*out)[k], element));
      else
        rounded.push_back(
            arith::ConstantOp::create(inner, inner.getFloatAttr(element, 0.0)));
    }
    return rounded;
  };

  SmallVector<Value> results;
  if (!isa<RankedTensorType>(operands.front().getType())) {
    results = body(b, widen(b, operands, compute), tangents);
  } else {
    SmallVector<AffineMap> maps = rule.getOperandMaps();
    SmallVector<Value> inputs(tangents);
    SmallVector<AffineMap> inputMaps;
    for (int64_t i : wrt)
      inputMaps.push_back(maps[i]);
    PrimalInputs primals(operands, maps, kReadAll, inputs, inputMaps);
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, b.getLoc(), operands.front());
    SmallVector<Value> inits;
    for (Type type : types)
      inits.push_back(
          tensor::EmptyOp::create(b, sizes, getElementTypeOrSelf(type)));
    auto generic =
        buildGeneric(b, inputs, inits, inputMaps, rule.getResultMaps(),
                     [&](ImplicitLocOpBuilder &inner, ValueRange args) {
                       return body(inner, primals.scalars(inner, args, compute),
                                   args.take_front(wrt.size()));
                     });
    for (auto [r, type] : llvm::zip_equal(generic.getResults(), types))
      results.push_back(castTo(b, r, type));
  }
  if (!hasForwardMode)
    return failure();
  return results;
}
