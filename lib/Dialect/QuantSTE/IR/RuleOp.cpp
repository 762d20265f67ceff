//===- RuleOp.cpp - what holds for every op with a gradient rule -*- C++
//-*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/RuleOp.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/TypeUtilities.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Rules/Readings/APFloatScalar.h"

using namespace mlir;
using namespace mlir::quant_ste;

static std::optional<ArrayRef<int64_t>> getAxes(Operation *op, StringRef name) {
  auto attr = op->getAttrOfType<DenseI64ArrayAttr>((name + "_axes").str());
  if (!attr)
    return std::nullopt;
  return attr.asArrayRef();
}

static int64_t rankOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? tensor.getRank() : 0;
}

SmallVector<AffineMap> quant_ste::getParameterMaps(Operation *op,
                                                   ArrayRef<StringRef> names) {
  MLIRContext *ctx = op->getContext();
  unsigned rank = rankOf(op->getOperand(0).getType());
  SmallVector<AffineMap> maps{AffineMap::getMultiDimIdentityMap(rank, ctx)};
  for (StringRef name : names.drop_front()) {
    SmallVector<AffineExpr> dims;
    for (int64_t axis : getAxes(op, name).value_or(ArrayRef<int64_t>()))
      dims.push_back(getAffineDimExpr(axis, ctx));
    maps.push_back(AffineMap::get(rank, 0, dims, ctx));
  }
  return maps;
}

LogicalResult quant_ste::verifyAxes(Operation *op, StringRef name,
                                    ArrayRef<int64_t> axes, int64_t dataRank) {
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (axis < 0 || axis >= dataRank)
      return op->emitOpError("expected axes of '")
             << name << "' in [0, " << dataRank << "), got " << axis;
    if (i && axes[i - 1] >= axis)
      return op->emitOpError("expected axes of '")
             << name << "' in ascending order, got [" << axes << "]";
  }
  return success();
}

static LogicalResult verifyParameter(Operation *op, StringRef name, Type type,
                                     Type data) {
  Type element = getElementTypeOrSelf(type);
  Type dataElement = getElementTypeOrSelf(data);
  if (element != dataElement && !element.isF32())
    return op->emitOpError("expected '")
           << name << "' of element type " << dataElement
           << " (the data's) or 'f32', got " << type;

  std::optional<ArrayRef<int64_t>> given = getAxes(op, name);
  ArrayRef<int64_t> axes = given.value_or(ArrayRef<int64_t>());
  if (failed(verifyAxes(op, name, axes, rankOf(data))))
    return failure();
  if (rankOf(type) != static_cast<int64_t>(axes.size())) {
    InFlightDiagnostic diag = op->emitOpError("expected '");
    if (given)
      return diag << name << "' of rank " << axes.size() << ", one dimension "
                  << "for each of its axes, got " << type;
    return diag << name << "' to be one value for the whole tensor, as it has "
                << "no axes([...]), got " << type;
  }
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t size = cast<RankedTensorType>(type).getDimSize(i);
    int64_t dataSize = cast<RankedTensorType>(data).getDimSize(axis);
    if (ShapedType::isStatic(size) && ShapedType::isStatic(dataSize) &&
        size != dataSize)
      return op->emitOpError("expected dimension ")
             << i << " of '" << name << "' to have size " << dataSize
             << ", as dimension " << axis << " of the data has, got " << type
             << " for " << data;
  }
  if (isa<FloatType>(data) && !isa<FloatType>(type))
    return op->emitOpError("expected '")
           << name << "' to be a plain float, as the data is, got " << type;
  return success();
}

LogicalResult quant_ste::verifyWord(Operation *op,
                                    ArrayRef<std::string_view> words) {
  auto grad = op->getAttrOfType<GradientAttrInterface>("grad");
  if (llvm::is_contained(words, std::string_view(grad.getWord())))
    return success();
  return op->emitOpError("expected gradient rule ")
         << llvm::join(
                llvm::map_range(words,
                                [](std::string_view w) {
                                  return ("'" + StringRef(w) + "'").str();
                                }),
                " or ")
         << ", got '" << grad.getWord() << "'";
}

LogicalResult quant_ste::verifyRuleOp(Operation *op, ArrayRef<StringRef> names,
                                      ArrayRef<std::string_view> words,
                                      const std::string &invalid) {
  Type data = op->getOperand(0).getType();
  for (auto [name, type] :
       llvm::drop_begin(llvm::zip_equal(names, op->getOperandTypes())))
    if (failed(verifyParameter(op, name, type, data)))
      return failure();

  if (failed(verifyWord(op, words)))
    return failure();
  if (!invalid.empty())
    return op->emitOpError(invalid);
  return success();
}

FloatType quant_ste::getComputeTypeFor(Type data) {
  auto type = cast<FloatType>(getElementTypeOrSelf(data));
  return type.getWidth() < 32 ? Float32Type::get(type.getContext()) : type;
}

//===----------------------------------------------------------------------===//
// Folding
//===----------------------------------------------------------------------===//

/// Folding a tensor writes it out: only when it is small or a splat.
static constexpr int64_t kMaxFoldedElements = 1024;

Attribute quant_ste::foldRuleOp(GradientRuleInterface op,
                                ArrayRef<Attribute> operands) {
  if (op->getNumResults() != 1 || llvm::is_contained(operands, Attribute()))
    return {};
  FloatType compute = op.getComputeType();
  Type resultType = op->getResult(0).getType();
  auto element = cast<FloatType>(getElementTypeOrSelf(resultType));
  auto evaluate = [&](ArrayRef<APFloat> in) {
    SmallVector<APFloat> wide;
    for (const APFloat &v : in)
      wide.push_back(roundTo(v, compute.getFloatSemantics()));
    return roundTo(op.evaluateForward(wide).front(),
                   element.getFloatSemantics());
  };

  if (isa<FloatType>(resultType)) {
    SmallVector<APFloat> in;
    for (Attribute a : operands)
      if (auto f = dyn_cast<FloatAttr>(a))
        in.push_back(f.getValue());
      else
        return {};
    return FloatAttr::get(resultType, evaluate(in));
  }

  auto type = cast<RankedTensorType>(resultType);
  SmallVector<DenseFPElementsAttr> dense;
  SmallVector<std::optional<APFloat>> splat;
  for (Attribute a : operands) {
    auto d = dyn_cast<DenseFPElementsAttr>(a);
    auto f = dyn_cast<FloatAttr>(a);
    if (!d && !f)
      return {};
    dense.push_back(d);
    splat.push_back(f             ? std::optional(f.getValue())
                    : d.isSplat() ? std::optional(d.getSplatValue<APFloat>())
                                  : std::nullopt);
  }
  if (!type.hasStaticShape() || type.getNumElements() == 0)
    return {};
  if (llvm::all_of(splat, [](const auto &s) { return s.has_value(); })) {
    SmallVector<APFloat> in;
    for (const auto &s : splat)
      in.push_back(*s);
    return DenseElementsAttr::get(type, evaluate(in));
  }
  if (type.getNumElements() > kMaxFoldedElements)
    return {};

  SmallVector<AffineMap> maps = op.getOperandMaps();
  SmallVector<APFloat> out;
  SmallVector<int64_t> strides = computeSuffixProduct(type.getShape());
  for (int64_t i = 0, n = type.getNumElements(); i < n; ++i) {
    SmallVector<int64_t> at = delinearize(i, strides);
    SmallVector<APFloat> in;
    for (auto [d, s, map] : llvm::zip_equal(dense, splat, maps)) {
      if (s) {
        in.push_back(*s);
        continue;
      }
      SmallVector<uint64_t> index;
      for (unsigned r = 0; r < map.getNumResults(); ++r)
        index.push_back(at[map.getDimPosition(r)]);
      in.push_back(d.getValues<APFloat>()[index]);
    }
    out.push_back(evaluate(in));
  }
  return DenseElementsAttr::get(type, out);
}

//===----------------------------------------------------------------------===//
// Derivatives
//===----------------------------------------------------------------------===//

/// Fills `body` with a copy of `op` on block arguments, and its yield.
static void isolate(OpBuilder &b, Operation *op, Region &body) {
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&body);
  IRMapping map;
  for (Value v : op->getOperands())
    if (!map.contains(v))
      map.map(v, block->addArgument(v.getType(), v.getLoc()));
    else
      block->addArgument(v.getType(), v.getLoc());
  Operation *copy = op->cloneWithoutRegions();
  copy->setOperands(block->getArguments());
  b.insert(copy);
  YieldOp::create(b, op->getLoc(), copy->getResults());
}

FailureOr<SmallVector<Value>>
quant_ste::buildPullback(OpBuilder &b, Operation *op,
                         ArrayRef<Value> cotangents, ArrayRef<bool> wanted) {
  auto rule = cast<GradientRuleInterface>(op);
  SmallVector<Value> grads(op->getNumOperands());
  SmallVector<int64_t> wrt;
  SmallVector<Type> types;
  for (auto [i, part] : llvm::enumerate(rule.getFootprint()))
    if (wanted[i] && part.kind != rules::PartialKind::Zero) {
      wrt.push_back(i);
      types.push_back(op->getOperand(i).getType());
    }
  if (wrt.empty())
    return grads;
  if (op->getNumResults() != 1)
    return op->emitError("cannot differentiate an op with a gradient rule and "
                         "several results yet");
  auto pullback = PullbackOp::create(b, op->getLoc(), types, cotangents,
                                     op->getOperands(), wrt);
  isolate(b, op, pullback.getBody());
  for (auto [i, g] : llvm::zip_equal(wrt, pullback.getGradients()))
    grads[i] = g;
  return grads;
}

LogicalResult quant_ste::verifyLinear(Operation *op) {
  auto grad = op->getAttrOfType<GradientAttrInterface>("grad");
  if (!grad || grad.isLinear())
    return success();
  return op->emitError("gradient rule '")
         << grad.getWord()
         << "' is not linear in the cotangent and has no forward mode";
}

FailureOr<SmallVector<Value>>
quant_ste::buildPushforward(OpBuilder &b, Operation *op,
                            ArrayRef<Value> tangents) {
  if (failed(verifyLinear(op)))
    return failure();
  auto rule = cast<GradientRuleInterface>(op);
  SmallVector<int64_t> wrt;
  SmallVector<Value> given;
  for (auto [i, part] : llvm::enumerate(rule.getFootprint()))
    if (tangents[i] && part.kind != rules::PartialKind::Zero) {
      wrt.push_back(i);
      given.push_back(tangents[i]);
    }
  if (wrt.empty())
    return SmallVector<Value>(op->getNumResults());
  auto pushforward = PushforwardOp::create(
      b, op->getLoc(), op->getResultTypes(), given, op->getOperands(), wrt);
  isolate(b, op, pushforward.getBody());
  return SmallVector<Value>(pushforward.getResultTangents());
}
