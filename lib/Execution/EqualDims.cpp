//===- EqualDims.cpp - what a function's body needs of sizes ----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// tensor<?xf32> says nothing about which `?` are the same number, and compiled
// code does not ask: it would read past the end of the shorter array. The
// body's ops know. Every dimension of a value is a node; an op that iterates
// over its operands together joins nodes; what is joined with two dimensions of
// arguments, or with a constant size, is checked before each call. Packing bits
// makes one node the bytes of another.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "llvm/ADT/IntEqClasses.h"

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
/// One node, or class of them, counts the bytes of packed rows that have `bits`
/// bits for each element along the other.
struct Packing {
  unsigned bytes, like;
  int64_t bits;
};

/// Of a function's arguments and, counted after them, its results: classes of
/// dimensions that are equal, and which of these are packed.
struct Dims {
  std::vector<EqualDims> classes;
  std::vector<Packing> packings;
};

class DimGraph {
public:
  /// The first of the consecutive nodes of a value's dimensions.
  unsigned nodesOf(Value v) {
    auto [it, isNew] = first.try_emplace(v, sizes.size());
    if (isNew)
      llvm::append_range(sizes, cast<RankedTensorType>(v.getType()).getShape());
    return it->second;
  }
  void join(unsigned a, unsigned b) { joins.emplace_back(a, b); }
  void pack(Packing packing) { packings.push_back(packing); }
  void joinShapes(Value a, Value b) {
    auto type = dyn_cast<RankedTensorType>(a.getType());
    auto other = dyn_cast<RankedTensorType>(b.getType());
    if (!type || !other || type.getRank() != other.getRank())
      return;
    for (unsigned i = 0, e = type.getRank(); i < e; ++i)
      join(nodesOf(a) + i, nodesOf(b) + i);
  }
  /// Values indexed by `maps` of one iteration space.
  void joinByMaps(ValueRange values, ArrayRef<AffineMap> maps);
  /// What a callee says of the dimensions of `values`; a value may be null.
  void join(const Dims &dims, ArrayRef<Value> values);
  /// Of all dimensions of `values`; those by themselves too.
  Dims classesOf(ArrayRef<Value> values);

private:
  DenseMap<Value, unsigned> first;
  SmallVector<int64_t> sizes; // of each node, as its type says
  SmallVector<std::pair<unsigned, unsigned>> joins;
  SmallVector<Packing> packings;
};
} // namespace

void DimGraph::joinByMaps(ValueRange values, ArrayRef<AffineMap> maps) {
  SmallVector<std::optional<unsigned>> loops(
      maps.empty() ? 0 : maps.front().getNumDims());
  for (auto [v, map] : llvm::zip(values, maps)) {
    if (!isa<RankedTensorType>(v.getType()))
      continue;
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (auto d = dyn_cast<AffineDimExpr>(expr)) {
        unsigned node = nodesOf(v) + i;
        std::optional<unsigned> &loop = loops[d.getPosition()];
        if (loop)
          join(*loop, node);
        else
          loop = node;
      }
  }
}

void DimGraph::join(const Dims &dims, ArrayRef<Value> values) {
  SmallVector<std::optional<unsigned>> heads;
  for (const EqualDims &equal : dims.classes) {
    std::optional<unsigned> &head = heads.emplace_back();
    for (ArgumentDim d : equal.dims) {
      if (!values[d.argument])
        continue;
      unsigned node = nodesOf(values[d.argument]) + d.dim;
      if (head)
        join(*head, node);
      else
        head = node;
    }
    if (head && equal.size != ValueType::kDynamic) {
      join(*head, sizes.size());
      sizes.push_back(equal.size);
    }
  }
  for (const Packing &packing : dims.packings)
    if (heads[packing.bytes] && heads[packing.like])
      pack({*heads[packing.bytes], *heads[packing.like], packing.bits});
}

Dims DimGraph::classesOf(ArrayRef<Value> values) {
  for (Value v : values)
    if (isa<RankedTensorType>(v.getType()))
      nodesOf(v);
  llvm::IntEqClasses classes(sizes.size());
  for (auto [a, b] : joins)
    classes.join(a, b);
  classes.compress();

  Dims dims;
  std::vector<EqualDims> &all = dims.classes;
  all.resize(classes.getNumClasses());
  for (unsigned node = 0; node < sizes.size(); ++node)
    if (ShapedType::isStatic(sizes[node]))
      all[classes[node]].size = sizes[node];
  for (auto [n, v] : llvm::enumerate(values))
    if (auto type = dyn_cast<RankedTensorType>(v.getType()))
      for (unsigned d = 0, e = type.getRank(); d < e; ++d)
        all[classes[nodesOf(v) + d]].dims.push_back(
            {static_cast<unsigned>(n), d});
  for (const Packing &packing : packings)
    dims.packings.push_back(
        {classes[packing.bytes], classes[packing.like], packing.bits});
  return dims;
}

/// A pullback or pushforward shares the iteration space of the op it holds.
static void joinDerivative(DimGraph &graph, Operation &op) {
  auto rule = cast<GradientRuleInterface>(op.getRegion(0).front().front());
  SmallVector<AffineMap> maps = rule.getOperandMaps();
  auto wrt = op.getAttrOfType<DenseI64ArrayAttr>("wrt").asArrayRef();
  SmallVector<AffineMap> wrtMaps =
      llvm::map_to_vector(wrt, [&](int64_t i) { return maps[i]; });
  bool isReverse = isa<PullbackOp>(op);
  // Operands: cotangents (tangents), then primals.
  SmallVector<Value> values(op.getOperands());
  llvm::append_range(values, op.getResults());
  SmallVector<AffineMap> all = isReverse ? rule.getResultMaps() : wrtMaps;
  llvm::append_range(all, maps);
  llvm::append_range(all, isReverse ? wrtMaps : rule.getResultMaps());
  graph.joinByMaps(values, all);
}

/// A dimension of `v` is as long as `size`, perhaps that of another tensor.
static void joinSize(DimGraph &graph, Value v, unsigned i, Value size) {
  auto dim = size ? size.getDefiningOp<tensor::DimOp>() : nullptr;
  if (!dim || !isa<RankedTensorType>(dim.getSource().getType()))
    return;
  auto type = cast<RankedTensorType>(dim.getSource().getType());
  std::optional<int64_t> index = dim.getConstantIndex();
  if (index && *index >= 0 && *index < type.getRank())
    graph.join(graph.nodesOf(v) + i, graph.nodesOf(dim.getSource()) + *index);
}

/// Rows of booleans and their bytes, of which a row has one dimension.
static void joinBits(DimGraph &graph, Value bits, Value bytes) {
  unsigned row = cast<RankedTensorType>(bytes.getType()).getRank() - 1;
  for (unsigned i = 0; i < row; ++i)
    graph.join(graph.nodesOf(bits) + i, graph.nodesOf(bytes) + i);
  auto rest =
      cast<RankedTensorType>(bits.getType()).getShape().drop_front(row + 1);
  if (!ShapedType::isDynamicShape(rest))
    graph.pack({graph.nodesOf(bytes) + row, graph.nodesOf(bits) + row,
                ShapedType::getNumElements(rest)});
}

/// What has been found out of each function, about its arguments and, counted
/// after them, its results. Empty while it is looked at, which ends recursion.
using Known = DenseMap<Operation *, Dims>;
static const Dims &inferDims(func::FuncOp function, Known &known);

static bool isFloat(Type type) {
  return isa<FloatType>(getElementTypeOrSelf(type));
}

/// What belongs to each argument and result of the callee besides its value:
/// gradients and cotangents, or tangents. Null where there is none.
static SmallVector<Value> getDerivatives(Operation &op, func::FuncOp callee) {
  unsigned numArguments = callee.getNumArguments();
  unsigned numResults = callee.getNumResults();
  SmallVector<Value> all(numArguments + numResults);
  SmallVector<Value> ofArguments, ofResults;
  ArrayRef<int64_t> wrt;
  if (auto request = dyn_cast<ValueAndGradOp>(op)) {
    wrt = request.getWrt();
    ofArguments = request.getResults().drop_front(numResults);
  } else if (auto request = dyn_cast<VjpOp>(op)) {
    wrt = request.getWrt();
    ofArguments = request.getResults().drop_front(numResults);
    ofResults = request.getCotangents();
  } else if (auto request = dyn_cast<JvpOp>(op)) {
    wrt = request.getWrt();
    ofArguments = request.getTangents();
    ofResults = request.getResults().drop_front(numResults);
  }
  for (auto [i, v] : llvm::zip(wrt, ofArguments))
    all[i] = v;
  unsigned next = 0;
  for (unsigned i = 0; i < numResults && next < ofResults.size(); ++i)
    if (isFloat(callee.getResultTypes()[i]))
      all[numArguments + i] = ofResults[next++];
  return all;
}

/// What the callee needs and promises holds for the values at the call.
static void joinCall(DimGraph &graph, Operation &op, Known &known) {
  auto name = op.getAttrOfType<FlatSymbolRefAttr>("callee");
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(&op, name);
  if (!callee)
    return;
  SmallVector<Value> values(
      op.getOperands().take_front(callee.getNumArguments()));
  llvm::append_range(values,
                     op.getResults().take_front(callee.getNumResults()));
  graph.join(inferDims(callee, known), values);
  for (auto [v, derivative] :
       llvm::zip_equal(values, getDerivatives(op, callee)))
    if (derivative)
      graph.joinShapes(v, derivative);
}

static const Dims &inferDims(func::FuncOp function, Known &known) {
  auto [it, isNew] = known.try_emplace(function);
  if (!isNew || function.isExternal())
    return it->second;
  DimGraph graph;
  // Only what surely runs: the ops of the body itself.
  for (Operation &op : function.getBody().front()) {
    if (auto rule = dyn_cast<GradientRuleInterface>(op)) {
      SmallVector<Value> values(op.getOperands());
      SmallVector<AffineMap> maps = rule.getOperandMaps();
      llvm::append_range(values, op.getResults());
      llvm::append_range(maps, rule.getResultMaps());
      graph.joinByMaps(values, maps);
    } else if (auto apply = dyn_cast<ApplyOp>(op)) {
      SmallVector<Value> values(op.getOperands());
      SmallVector<AffineMap> maps = apply.getOperandMaps();
      values.push_back(apply.getY());
      maps.push_back(maps.front());
      graph.joinByMaps(values, maps);
    } else if (isa<PullbackOp, PushforwardOp>(op)) {
      joinDerivative(graph, op);
    } else if (isa<func::CallOp, ValueAndGradOp, VjpOp, JvpOp>(op)) {
      joinCall(graph, op, known);
    } else if (auto linalg = dyn_cast<linalg::LinalgOp>(op)) {
      SmallVector<Value> values(op.getOperands());
      graph.joinByMaps(values, linalg.getIndexingMapsArray());
      for (auto [init, result] :
           llvm::zip(linalg.getDpsInits(), op.getResults()))
        graph.joinShapes(init, result);
    } else if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
      for (auto [i, size] : llvm::enumerate(empty.getMixedSizes()))
        joinSize(graph, empty, i, dyn_cast<Value>(size));
    } else if (auto pack = dyn_cast<PackBitsOp>(op)) {
      joinBits(graph, pack.getX(), pack.getPacked());
    } else if (auto unpack = dyn_cast<UnpackBitsOp>(op)) {
      joinBits(graph, unpack.getX(), unpack.getPacked());
      joinSize(graph, unpack.getX(),
               unpack.getPacked().getType().getRank() - 1, unpack.getSize());
    } else if (isa<tensor::CastOp, DetachOp>(op) ||
               OpTrait::hasElementwiseMappableTraits(&op)) {
      for (Value operand : op.getOperands())
        for (Value result : op.getResults())
          graph.joinShapes(operand, result);
    }
  }
  SmallVector<Value> values(function.getArguments());
  if (function.getBody().hasOneBlock())
    llvm::append_range(
        values, function.getBody().front().getTerminator()->getOperands());
  return known[function] = graph.classesOf(values);
}

/// Where a function's result has the sizes of its dimensions from.
static std::vector<SmallVector<ResultDim, 4>>
readResultDims(func::FuncOp function, const Dims &dims) {
  auto findArgument = [&](const EqualDims &equal) -> std::optional<ArgumentDim> {
    for (ArgumentDim d : equal.dims)
      if (d.argument < function.getNumArguments())
        return d;
    return std::nullopt;
  };
  std::vector<SmallVector<ResultDim, 4>> all;
  for (Type type : function.getResultTypes()) {
    all.emplace_back();
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      for (int64_t size : tensor.getShape())
        all.back().push_back(
            {ShapedType::isDynamic(size) ? ValueType::kDynamic : size, {}});
  }
  for (auto [i, equal] : llvm::enumerate(dims.classes)) {
    ResultDim from{equal.size, findArgument(equal)};
    for (const Packing &packing : dims.packings) {
      if (from.isKnownBeforeCall() || packing.bytes != i)
        continue;
      const EqualDims &like = dims.classes[packing.like];
      if (like.size != ValueType::kDynamic)
        from.size = getPackedSize(like.size * packing.bits);
      else if ((from.like = findArgument(like)))
        from.bits = packing.bits;
    }
    if (from.size != ValueType::kDynamic)
      from.like.reset();
    for (ArgumentDim d : equal.dims)
      if (d.argument >= function.getNumArguments())
        if (ResultDim &dim = all[d.argument - function.getNumArguments()][d.dim];
            dim.size == ValueType::kDynamic)
          dim = from;
  }
  return all;
}

void quant_ste::inferDims(func::FuncOp function, Signature &signature) {
  Known known;
  Dims dims = ::inferDims(function, known);
  signature.resultDims = readResultDims(function, dims);
  for (EqualDims &equal : dims.classes)
    llvm::erase_if(equal.dims, [&](ArgumentDim d) {
      return d.argument >= function.getNumArguments();
    });
  auto isDynamic = [&](ArgumentDim d) {
    return cast<RankedTensorType>(function.getArgumentTypes()[d.argument])
        .isDynamicDim(d.dim);
  };
  for (const Packing &packing : dims.packings) {
    ArrayRef<ArgumentDim> bytes = dims.classes[packing.bytes].dims;
    ArrayRef<ArgumentDim> like = dims.classes[packing.like].dims;
    if (!bytes.empty() && !like.empty() &&
        (isDynamic(bytes.front()) || isDynamic(like.front())))
      signature.packedDims.push_back(
          {bytes.front(), like.front(), packing.bits});
  }
  // What one dimension alone, or its type, already says needs no check.
  llvm::erase_if(dims.classes, [&](const EqualDims &equal) {
    return llvm::none_of(equal.dims, isDynamic) ||
           (equal.dims.size() == 1 && equal.size == ValueType::kDynamic);
  });
  signature.equalDims = std::move(dims.classes);
}
