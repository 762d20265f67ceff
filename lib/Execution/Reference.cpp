//===- Reference.cpp - functions evaluated on the host ----------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Reference.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Rules/Philox.h"
#include "quant_ste/Rules/Readings/APFloatScalar.h"
#include <cstring>

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Loops over the iteration space of a rule
//===----------------------------------------------------------------------===//

namespace {
/// Where the element of an array is that belongs to a point of the loops.
struct Access {
  SmallVector<int64_t> strides; // per loop; 0: the array does not see it

  int64_t at(ArrayRef<int64_t> point) const {
    int64_t offset = 0;
    for (auto [i, stride] : llvm::zip_equal(point, strides))
      offset += i * stride;
    return offset;
  }
};
} // namespace

static SmallVector<int64_t> shapeBy(AffineMap map, ArrayRef<int64_t> loops) {
  return llvm::map_to_vector(map.getResults(), [&](AffineExpr e) {
    return loops[cast<AffineDimExpr>(e).getPosition()];
  });
}

static Access accessBy(AffineMap map, ArrayRef<int64_t> loops) {
  Access access{SmallVector<int64_t>(map.getNumDims(), 0)};
  SmallVector<int64_t> shape = shapeBy(map, loops);
  auto strides = computeStrides(shape);
  for (auto [r, stride] : llvm::enumerate(strides))
    access.strides[map.getDimPosition(r)] = stride;
  return access;
}

static LogicalResult
forEachPoint(ArrayRef<int64_t> loops,
             function_ref<LogicalResult(ArrayRef<int64_t>)> body) {
  SmallVector<int64_t> point(loops.size(), 0);
  for (int64_t n = countElements(loops).value_or(0); n > 0; --n) {
    if (failed(body(point)))
      return failure();
    for (size_t d = loops.size(); d-- > 0;) {
      if (++point[d] < loops[d])
        break;
      point[d] = 0;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// One op with a gradient rule
//===----------------------------------------------------------------------===//

namespace {
/// A rule and the values of its operands.
struct RuleEvaluation {
  GradientRuleInterface rule;
  Location loc;
  ArrayRef<HostArray> operands;
  SmallVector<AffineMap> maps = rule.getOperandMaps();
  SmallVector<AffineMap> resultMaps = rule.getResultMaps();
  const llvm::fltSemantics &compute = rule.getComputeType().getFloatSemantics();
  ArrayRef<int64_t> loops = operands.front().getShape();
  SmallVector<Access> accesses = {};

  InFlightDiagnostic emitError() const { return mlir::emitError(loc); }

  FailureOr<HostArray> allocate(Type type, AffineMap map) {
    auto array =
        HostArray::zeros(getValueType(type)->element, shapeBy(map, loops));
    if (!array)
      return emitError() << llvm::toString(array.takeError());
    return std::move(*array);
  }
  /// The value at a point, in the compute type.
  APFloat load(const HostArray &array, const Access &access,
               ArrayRef<int64_t> point) const {
    return roundTo(array.getFloat(access.at(point)), compute);
  }
  SmallVector<APFloat> loadOperands(ArrayRef<int64_t> point) const {
    return llvm::map_to_vector(
        llvm::zip_equal(operands, accesses), [&](auto pair) {
          return load(std::get<0>(pair), std::get<1>(pair), point);
        });
  }
  SmallVector<Access> accessesOf(ArrayRef<AffineMap> of) const {
    return llvm::map_to_vector(of,
                               [&](AffineMap m) { return accessBy(m, loops); });
  }
  /// The shapes of run-time sizes agree.
  LogicalResult checkShape(const HostArray &array, AffineMap map) const {
    SmallVector<int64_t> expected = shapeBy(map, loops);
    if (array.getShape() == ArrayRef(expected))
      return success();
    return emitError() << "expected a value of type "
                       << formatType(array.getElementType(), expected)
                       << ", got " << array.getTypeString();
  }
  LogicalResult prepare() {
    for (auto [array, map] : llvm::zip_equal(operands, maps))
      if (failed(checkShape(array, map)))
        return failure();
    accesses = accessesOf(maps);
    return success();
  }

  FailureOr<SmallVector<HostArray>> allocateResults();
  FailureOr<SmallVector<HostArray>> forward();
  FailureOr<SmallVector<HostArray>> pullback(ArrayRef<HostArray> cotangents,
                                             ArrayRef<int64_t> wrt);
  FailureOr<SmallVector<HostArray>> pushforward(ArrayRef<HostArray> tangents,
                                                ArrayRef<int64_t> wrt);
};
} // namespace

FailureOr<SmallVector<HostArray>> RuleEvaluation::allocateResults() {
  SmallVector<HostArray> results;
  for (auto [type, map] : llvm::zip_equal(rule->getResultTypes(), resultMaps)) {
    auto result = allocate(type, map);
    if (failed(result))
      return failure();
    results.push_back(std::move(*result));
  }
  return results;
}

FailureOr<SmallVector<HostArray>> RuleEvaluation::forward() {
  if (failed(prepare()))
    return failure();
  FailureOr<SmallVector<HostArray>> results = allocateResults();
  if (failed(results))
    return failure();
  SmallVector<Access> out = accessesOf(resultMaps);
  auto onePoint = [&](ArrayRef<int64_t> point) -> LogicalResult {
    auto ys =
        rule.evaluateForward(loadOperands(point), [&] { return emitError(); });
    if (failed(ys))
      return failure();
    for (auto [result, access, y] : llvm::zip_equal(*results, out, *ys))
      result.setFloat(access.at(point), y);
    return success();
  };
  if (failed(forEachPoint(loops, onePoint)))
    return failure();
  return results;
}

FailureOr<SmallVector<HostArray>>
RuleEvaluation::pullback(ArrayRef<HostArray> cotangents,
                         ArrayRef<int64_t> wrt) {
  if (failed(prepare()))
    return failure();
  for (auto [array, map] : llvm::zip_equal(cotangents, resultMaps))
    if (failed(checkShape(array, map)))
      return failure();
  SmallVector<HostArray> gradients;
  SmallVector<SmallVector<double>> sums; // of the parameters
  for (int64_t i : wrt) {
    auto gradient = allocate(rule->getOperand(i).getType(), maps[i]);
    if (failed(gradient))
      return failure();
    bool isSum = maps[i] != maps.front();
    sums.emplace_back(isSum ? gradient->getNumElements() : 0, 0.0);
    gradients.push_back(std::move(*gradient));
  }
  SmallVector<Access> in = accessesOf(resultMaps);
  auto onePoint = [&](ArrayRef<int64_t> point) -> LogicalResult {
    SmallVector<APFloat> dys;
    for (auto [array, access] : llvm::zip_equal(cotangents, in))
      dys.push_back(load(array, access, point));
    auto all =
        rule.evaluateVjp(loadOperands(point), dys, [&] { return emitError(); });
    if (failed(all))
      return failure();
    for (auto [i, gradient, sum] : llvm::zip_equal(wrt, gradients, sums)) {
      int64_t at = accesses[i].at(point);
      if (maps[i] == maps.front())
        gradient.setFloat(at, (*all)[i]);
      else
        sum[at] += roundTo((*all)[i], APFloat::IEEEdouble()).convertToDouble();
    }
    return success();
  };
  if (failed(forEachPoint(loops, onePoint)))
    return failure();
  for (auto [gradient, sum] : llvm::zip_equal(gradients, sums))
    for (auto [at, value] : llvm::enumerate(sum))
      gradient.setFloat(at, APFloat(value));
  return gradients;
}

FailureOr<SmallVector<HostArray>>
RuleEvaluation::pushforward(ArrayRef<HostArray> tangents,
                            ArrayRef<int64_t> wrt) {
  if (failed(prepare()))
    return failure();
  for (auto [array, i] : llvm::zip_equal(tangents, wrt))
    if (failed(checkShape(array, maps[i])))
      return failure();
  FailureOr<SmallVector<HostArray>> results = allocateResults();
  if (failed(results))
    return failure();
  SmallVector<Access> out = accessesOf(resultMaps);
  auto onePoint = [&](ArrayRef<int64_t> point) -> LogicalResult {
    SmallVector<std::optional<APFloat>> ts(operands.size());
    for (auto [array, i] : llvm::zip_equal(tangents, wrt))
      ts[i] = load(array, accesses[i], point);
    auto tys =
        rule.evaluateJvp(loadOperands(point), ts, [&] { return emitError(); });
    if (failed(tys))
      return failure();
    for (auto [result, access, ty] : llvm::zip_equal(*results, out, *tys))
      result.setFloat(access.at(point), ty);
    return success();
  };
  if (failed(forEachPoint(loops, onePoint)))
    return failure();
  return results;
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

static FailureOr<HostArray> evaluateUniform(UniformOp op,
                                            ArrayRef<HostArray> operands) {
  auto integer = [&](unsigned i) { return *operands[i].getDataAs<int64_t>(); };
  SmallVector<int64_t> shape(op.getType().getShape());
  unsigned next = 2; // after the seed and the step
  for (int64_t &size : shape)
    if (ShapedType::isDynamic(size))
      size = integer(next++);
  auto zeros = HostArray::zeros(ElementType::f32, shape);
  if (!zeros)
    return op.emitError(llvm::toString(zeros.takeError()));
  float *u = zeros->getDataAs<float>();
  for (int64_t i = 0, n = zeros->getNumElements(); i < n; ++i)
    u[i] = rules::uniformAt(integer(0), integer(1), i);
  return std::move(*zeros);
}

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

/// The bytes of rows of bits, or the bits of rows of bytes. `shape` is that of
/// the bits.
static FailureOr<HostArray> evaluateBits(Operation *op, const HostArray &from,
                                         bool packs, ArrayRef<int64_t> shape,
                                         int64_t rowDims) {
  int64_t row = getRowSize(shape, rowDims);
  int64_t rowBytes = llvm::divideCeil(row, 8);
  SmallVector<int64_t> packed(shape.drop_back(rowDims));
  packed.push_back(rowBytes);
  if (!packs && from.getShape() != ArrayRef(packed))
    return op->emitError("expected a value of type ")
           << formatType(ElementType::i8, packed) << ", got "
           << from.getTypeString();
  auto to = packs ? HostArray::zeros(ElementType::i8, packed)
                  : HostArray::zeros(ElementType::i1, shape);
  if (!to)
    return op->emitError(llvm::toString(to.takeError()));
  uint8_t *bits = (packs ? from : *to).getDataAs<uint8_t>();
  uint8_t *bytes = (packs ? *to : from).getDataAs<uint8_t>();
  int64_t count = (packs ? from : *to).getNumElements();
  for (int64_t i = 0; i < count; ++i) {
    int64_t inRow = i % row, place = inRow % 8;
    uint8_t &byte = bytes[i / row * rowBytes + inRow / 8];
    if (packs)
      byte |= bits[i] << place;
    else
      bits[i] = byte >> place & 1;
  }
  return std::move(*to);
}

static FailureOr<HostArray> evaluateUnpackBits(UnpackBitsOp op,
                                               ArrayRef<HostArray> operands) {
  auto type = cast<RankedTensorType>(op.getX().getType());
  int64_t outer = type.getRank() - op.getRowDims();
  SmallVector<int64_t> shape(operands[0].getShape().take_front(outer));
  llvm::append_range(shape, type.getShape().drop_front(outer));
  if (op.getSize())
    shape[outer] = *operands[1].getDataAs<int64_t>();
  return evaluateBits(op, operands[0], /*packs=*/false, shape, op.getRowDims());
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static FailureOr<HostArray> evaluateConstant(arith::ConstantOp op) {
  std::optional<ValueType> type = getValueType(op.getType());
  if (!type)
    return op.emitError("the reference evaluator has no values of type ")
           << op.getType();
  auto zeros = HostArray::zeros(type->element, type->shape);
  if (!zeros)
    return op.emitError(llvm::toString(zeros.takeError()));
  HostArray array = std::move(*zeros);
  auto setBits = [&](int64_t i, const APInt &value) {
    uint64_t bits = value.getZExtValue();
    size_t bytes = getByteSize(type->element);
    std::memcpy(array.getDataAs<char>() + i * bytes, &bits, bytes);
  };
  if (auto value = dyn_cast<FloatAttr>(op.getValue()))
    array.setFloat(0, value.getValue());
  else if (auto value = dyn_cast<IntegerAttr>(op.getValue()))
    setBits(0, value.getValue());
  else if (auto values = dyn_cast<DenseFPElementsAttr>(op.getValue()))
    for (auto [i, value] : llvm::enumerate(values.getValues<APFloat>()))
      array.setFloat(i, value);
  else if (auto values = dyn_cast<DenseIntElementsAttr>(op.getValue()))
    for (auto [i, value] : llvm::enumerate(values.getValues<APInt>()))
      setBits(i, value);
  else
    return op.emitError("the reference evaluator needs the elements of a "
                        "constant, got ")
           << op.getValue();
  return array;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

namespace {
class Evaluator {
public:
  FailureOr<SmallVector<HostArray>> call(func::FuncOp function,
                                         ArrayRef<HostArray> arguments);

private:
  FailureOr<SmallVector<HostArray>> evaluate(Operation &op,
                                             ArrayRef<HostArray> operands);
  SymbolTableCollection symbols;
  SmallPtrSet<Operation *, 8> active; // callers of what runs
};
} // namespace

static GradientRuleInterface ruleIn(Region &body) {
  return cast<GradientRuleInterface>(body.front().front());
}

FailureOr<SmallVector<HostArray>>
Evaluator::evaluate(Operation &op, ArrayRef<HostArray> operands) {
  if (auto rule = dyn_cast<GradientRuleInterface>(op))
    return RuleEvaluation{rule, op.getLoc(), operands}.forward();
  if (auto pullback = dyn_cast<PullbackOp>(op)) {
    size_t given = pullback.getCotangents().size();
    return RuleEvaluation{ruleIn(pullback.getBody()), op.getLoc(),
                          operands.drop_front(given)}
        .pullback(operands.take_front(given), pullback.getWrt());
  }
  if (auto pushforward = dyn_cast<PushforwardOp>(op)) {
    size_t given = pushforward.getTangents().size();
    return RuleEvaluation{ruleIn(pushforward.getBody()), op.getLoc(),
                          operands.drop_front(given)}
        .pushforward(operands.take_front(given), pushforward.getWrt());
  }
  if (isa<DetachOp, ResidualOp>(op))
    return SmallVector<HostArray>(operands);
  if (isa<PackBitsOp, UnpackBitsOp>(op)) {
    auto pack = dyn_cast<PackBitsOp>(op);
    auto value = pack ? evaluateBits(pack, operands[0], /*packs=*/true,
                                     operands[0].getShape(), pack.getRowDims())
                      : evaluateUnpackBits(cast<UnpackBitsOp>(op), operands);
    if (failed(value))
      return failure();
    return SmallVector<HostArray>{std::move(*value)};
  }
  if (auto uniform = dyn_cast<UniformOp>(op)) {
    auto value = evaluateUniform(uniform, operands);
    if (failed(value))
      return failure();
    return SmallVector<HostArray>{std::move(*value)};
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto value = evaluateConstant(constant);
    if (failed(value))
      return failure();
    return SmallVector<HostArray>{std::move(*value)};
  }
  if (auto call = dyn_cast<func::CallOp>(op)) {
    auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        &op, call.getCalleeAttr());
    if (callee.isExternal())
      return op.emitError("the reference evaluator needs the body of @")
             << callee.getName();
    if (active.contains(callee))
      return op.emitError("the reference evaluator cannot end a recursion: @")
             << callee.getName() << " calls itself";
    return this->call(callee, operands);
  }
  return op.emitError("the reference evaluator does not know '")
         << op.getName()
         << "'; it knows ops with a gradient rule and their derivatives, "
            "quant_ste.uniform, pack_bits, unpack_bits and residual, "
            "arith.constant, func.call and func.return";
}

FailureOr<SmallVector<HostArray>>
Evaluator::call(func::FuncOp function, ArrayRef<HostArray> arguments) {
  if (!function.getBody().hasOneBlock())
    return function.emitError(
        "the reference evaluator needs a function of one block");
  active.insert(function);
  DenseMap<Value, HostArray> values;
  for (auto [value, array] :
       llvm::zip_equal(function.getArguments(), arguments))
    values.try_emplace(value, array);
  for (Operation &op : function.getBody().front()) {
    SmallVector<HostArray> operands;
    for (Value v : op.getOperands())
      operands.push_back(values.at(v));
    if (isa<func::ReturnOp>(op)) {
      active.erase(function);
      return operands;
    }
    auto results = evaluate(op, operands);
    if (failed(results))
      return failure();
    for (auto [value, array] : llvm::zip_equal(op.getResults(), *results))
      values.try_emplace(value, std::move(array));
  }
  return function.emitError("expected the function to end with func.return");
}

FailureOr<SmallVector<HostArray>>
quant_ste::evaluateReference(func::FuncOp function, ArrayRef<HostArray> given) {
  if (auto error = getSignature(function).check(given))
    return emitError(function.getLoc(), llvm::toString(std::move(error)));
  SmallVector<HostArray> arguments;
  for (const HostArray &array : given) {
    auto packed = array.packed();
    if (!packed)
      return emitError(function.getLoc(), llvm::toString(packed.takeError()));
    arguments.push_back(std::move(*packed));
  }
  auto results = Evaluator().call(function, arguments);
  if (failed(results))
    return failure();
  // What the caller gets is his own, even when it is an argument.
  for (HostArray &array : *results) {
    auto own = HostArray::zeros(array.getElementType(), array.getShape());
    if (!own)
      return emitError(function.getLoc(), llvm::toString(own.takeError()));
    own->assign(array);
    array = std::move(*own);
  }
  return results;
}
