//===- ResidualPlan.cpp - what a backward keeps -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResidualPlan.h"
#include "FlowNetwork.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;
using ValueSet = llvm::SetVector<Value>;
using utils::IteratorType;

//===----------------------------------------------------------------------===//
// Joint functions
//===----------------------------------------------------------------------===//

ValueSet quant_ste::readBy(Operation *op) {
  ValueSet values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

llvm::DenseSet<Value> quant_ste::sliceFrom(Block &block,
                                           ArrayRef<Value> seeds) {
  llvm::DenseSet<Value> slice(seeds.begin(), seeds.end());
  for (Operation &op : block)
    if (llvm::any_of(readBy(&op), [&](Value v) { return slice.contains(v); }))
      slice.insert_range(op.getResults());
  return slice;
}

bool quant_ste::isRemade(Value v) {
  Operation *op = v.getDefiningOp();
  if (!op)
    return false;
  if (op->hasTrait<OpTrait::ConstantLike>())
    return true;
  return isa<tensor::EmptyOp, linalg::FillOp>(op) &&
         llvm::all_of(op->getOperands(), isRemade);
}

FailureOr<JointFunction> JointFunction::get(func::FuncOp f) {
  JointFunction joint{f, {}, {}};
  if (!f.getBody().hasOneBlock()) {
    f.emitError("cannot split @")
        << f.getName() << ": expected a body of one block";
    return failure();
  }
  for (BlockArgument arg : f.getArguments()) {
    bool isCotangent =
        bool(f.getArgAttr(arg.getArgNumber(), "quant_ste.cotangent"));
    (isCotangent ? joint.cotangents : joint.primals).push_back(arg);
  }
  auto numPrimals =
      f->getAttrOfType<IntegerAttr>("quant_ste.num_primal_results");
  if (!numPrimals || joint.cotangents.empty() || numPrimals.getInt() < 0 ||
      numPrimals.getInt() > static_cast<int64_t>(f.getNumResults())) {
    f.emitError(
        "expected a function that quant-ste-differentiate made in "
        "reverse mode, with 'quant_ste.num_primal_results' and arguments "
        "marked 'quant_ste.cotangent'");
    return failure();
  }
  joint.numPrimalResults = numPrimals.getInt();
  auto late = sliceFrom(joint.getBlock(), joint.cotangents);
  for (auto [i, result] : llvm::enumerate(joint.getPrimalResults()))
    if (late.contains(result)) {
      f.emitError("cannot split @")
          << f.getName() << ": result #" << i
          << " is computed by an op that also takes a cotangent; inline calls "
             "first";
      return failure();
    }
  return joint;
}

SmallVector<Value> JointFunction::getPrimalResults() const {
  auto results = getBlock().getTerminator()->getOperands();
  return SmallVector<Value>(results.take_front(numPrimalResults));
}

SmallVector<Value> JointFunction::getGradients() const {
  auto results = getBlock().getTerminator()->getOperands();
  return SmallVector<Value>(results.drop_front(numPrimalResults));
}

FailureOr<SmallVector<func::FuncOp>>
quant_ste::findJointFunctions(ModuleOp module, StringRef name) {
  SmallVector<func::FuncOp> functions;
  if (!name.empty()) {
    if (auto f = module.lookupSymbol<func::FuncOp>(name))
      return SmallVector<func::FuncOp>{f};
    return module.emitError("expected a function named '")
           << name << "' to split, found none";
  }
  for (auto f : module.getOps<func::FuncOp>())
    if (f->hasAttr("quant_ste.num_primal_results") && !f.isExternal() &&
        llvm::any_of(f.getArguments(), [&](BlockArgument arg) {
          return f.getArgAttr(arg.getArgNumber(), "quant_ste.cotangent");
        }))
      functions.push_back(f);
  return functions;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

static int64_t getBits(Type type) {
  return type.isIntOrFloat() ? type.getIntOrFloatBitWidth() : 64;
}

/// The bytes of a tensor of the shape, with `dynamicSize` for each `?`; too
/// many for any cut where the number overflows.
static int64_t countBytes(ArrayRef<int64_t> shape, Type element,
                          const ResidualOptions &options, int64_t rowDims,
                          std::string *formula = nullptr) {
  bool packs = options.pack && element.isInteger(1) && !shape.empty();
  int64_t outer = packs ? shape.size() - rowDims : shape.size();
  int64_t bytes = 1, fixed = 1;
  SmallVector<std::string> factors;
  auto multiply = [&](int64_t n) {
    constexpr int64_t kMany = int64_t(1) << 50;
    if (llvm::MulOverflow(bytes, n, bytes) || bytes > kMany)
      bytes = kMany;
  };
  for (int64_t size : shape.take_front(outer)) {
    if (ShapedType::isDynamic(size))
      factors.push_back("?");
    else
      fixed *= size;
    multiply(ShapedType::isDynamic(size) ? options.dynamicSize : size);
  }
  if (!packs) {
    int64_t each = llvm::divideCeil(getBits(element), 8);
    fixed *= each;
    multiply(each);
  } else {
    int64_t inner = getRowSize(shape, rowDims - 1), first = shape[outer];
    if (!ShapedType::isDynamic(first)) {
      fixed *= llvm::divideCeil(first * inner, 8);
      multiply(llvm::divideCeil(first * inner, 8));
    } else {
      factors.push_back(inner == 1 ? "ceil(?/8)"
                                   : "ceil(?*" + std::to_string(inner) + "/8)");
      multiply(llvm::divideCeil(options.dynamicSize * inner, 8));
    }
  }
  if (formula && !factors.empty()) {
    *formula = llvm::join(factors, "*");
    if (fixed != 1)
      *formula += "*" + std::to_string(fixed);
  }
  return bytes;
}

/// How many dimensions make a row of packed bits: as few as fill whole bytes,
/// which ask nothing of the loops that read them, or else all that run as one
/// loop through the generic that computes or reads them, or static ones.
static int64_t chooseRowDims(ArrayRef<int64_t> shape, linalg::GenericOp op) {
  int64_t rank = shape.size(), rowDims = 1;
  bool matches = op && op.getNumLoops() == shape.size();
  while (rowDims < rank) {
    int64_t row = getRowSize(shape, rowDims);
    if (!ShapedType::isDynamic(row) && row % 8 == 0)
      break;
    unsigned inner = rank - rowDims, outer = inner - 1;
    if (ShapedType::isDynamic(shape[inner]))
      break;
    bool areOne =
        !matches || llvm::all_of(op.getIndexingMapsArray(), [&](AffineMap map) {
          return map.isFunctionOfDim(inner) == map.isFunctionOfDim(outer);
        });
    if (!areOne)
      break;
    ++rowDims;
  }
  return rowDims;
}

static linalg::GenericOp getGenericAround(Value scalar) {
  return dyn_cast<linalg::GenericOp>(scalar.getParentBlock()->getParentOp());
}

static int64_t chooseRowDims(Value v) {
  if (auto type = dyn_cast<RankedTensorType>(v.getType()))
    return chooseRowDims(type.getShape(), v.getDefiningOp<linalg::GenericOp>());
  return 1;
}

static int64_t countBytes(Value v, const ResidualOptions &options,
                          std::string *formula = nullptr) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return countBytes(type ? type.getShape() : ArrayRef<int64_t>(),
                    getElementTypeOrSelf(v.getType()), options,
                    chooseRowDims(v), formula);
}

/// Of a scalar in a body that stands for a tensor over the loops.
static int64_t countScalarBytes(Value v, const ResidualOptions &options,
                                std::string *formula = nullptr) {
  linalg::GenericOp op = getGenericAround(v);
  SmallVector<int64_t> shape = op.getStaticLoopRanges();
  return countBytes(shape, v.getType(), options, chooseRowDims(shape, op),
                    formula);
}

//===----------------------------------------------------------------------===//
// Kinds of ops
//===----------------------------------------------------------------------===//

/// Another name for what there is, or a size: it costs nothing to have it
/// twice.
static bool isView(Operation *op) {
  return isa<tensor::DimOp, tensor::CastOp, tensor::CollapseShapeOp,
             tensor::ExpandShapeOp, tensor::EmptyOp, linalg::FillOp,
             affine::AffineApplyOp>(op) ||
         op->hasTrait<OpTrait::ConstantLike>();
}

/// A pass over memory at most: no products, no sums.
static bool isCheap(Operation *op) {
  if (isView(op) || isa<tensor::TensorDialect>(op->getDialect()))
    return true;
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return structured.getNumReductionLoops() == 0;
  return isa<GradientRuleInterface, UniformOp, DetachOp, PackBitsOp,
             UnpackBitsOp>(op) ||
         OpTrait::hasElementwiseMappableTraits(op) ||
         isa<arith::ArithDialect, math::MathDialect>(op->getDialect());
}

/// A generic whose scalars can be told apart.
static bool hasPlainBody(linalg::GenericOp op) {
  return op.hasPureTensorSemantics() &&
         llvm::all_of(
             op.getIndexingMapsArray(),
             [](AffineMap map) { return map.isProjectedPermutation(); }) &&
         llvm::all_of(op.getBody()->without_terminator(), [](Operation &inner) {
           return inner.getNumRegions() == 0 && isPure(&inner);
         });
}

/// One whose every result can be computed again, and again in part.
static bool isElementwise(linalg::GenericOp op) {
  return hasPlainBody(op) && op.getNumReductionLoops() == 0 &&
         llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
           return op.getMatchingIndexingMap(&init).isPermutation() &&
                  op.getMatchingBlockArgument(&init).use_empty();
         });
}

/// The tensor that an argument of a body runs through, whole and once.
static Value getTensorOf(Value scalar) {
  auto arg = dyn_cast<BlockArgument>(scalar);
  linalg::GenericOp op = arg ? getGenericAround(arg) : nullptr;
  if (!op)
    return {};
  OpOperand *operand = op.getMatchingOpOperand(arg);
  if (op.isDpsInit(operand) ||
      !op.getMatchingIndexingMap(operand).isPermutation())
    return {};
  return isa<RankedTensorType>(operand->get().getType()) ? operand->get()
                                                         : Value();
}

/// The loops that a scalar of a body varies with.
static llvm::SmallBitVector getLoops(linalg::GenericOp op, Value scalar) {
  llvm::SmallBitVector loops(op.getNumLoops());
  llvm::DenseSet<Value> seen;
  SmallVector<Value> stack{scalar};
  while (!stack.empty()) {
    Value v = stack.pop_back_val();
    if (!seen.insert(v).second)
      continue;
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      if (arg.getOwner() == op.getBody())
        for (unsigned d = 0; d < loops.size(); ++d)
          if (op.getMatchingIndexingMap(op.getMatchingOpOperand(arg))
                  .isFunctionOfDim(d))
            loops.set(d);
      continue;
    }
    Operation *def = v.getDefiningOp();
    if (def->getBlock() != op.getBody())
      continue;
    if (auto index = dyn_cast<linalg::IndexOp>(def))
      loops.set(index.getDim());
    llvm::append_range(stack, def->getOperands());
  }
  return loops;
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

class ResidualPlan::Graph {
public:
  explicit Graph(ResidualPlan &plan);

  /// Finds the cut and what is computed again behind it.
  void solve();

  /// Of the largest residuals, in order, the ops nearest behind them that are
  /// not computed twice, but could be: at most `count` lists, none empty.
  SmallVector<Step> findProducts(size_t count) const;

private:
  ResidualPlan &plan;
  const ResidualOptions &options;
  Block &block;
  llvm::DenseSet<Value> needed; ///< for the primal's results
  llvm::DenseSet<Value> results;
  FlowNetwork network;
  DenseMap<Value, unsigned> nodes;
  SmallVector<Value> values;                  ///< of the nodes
  SmallVector<SmallVector<unsigned, 2>> made; ///< what each is made of
  SmallVector<unsigned> sinks;
  llvm::DenseSet<Operation *> fixed; ///< ops that are not computed again

  bool isLate(Value v) const { return plan.late.contains(v); }
  bool isRecomputable(Operation *op);
  /// The value that stands for `v` among the nodes.
  Value represent(Value v);
  bool isKeptArgument(Value v);
  int64_t costOf(Value v);
  unsigned nodeOf(Value v);
  void addEdge(Value from, Value to);
  void addSink(Value v);
  void addOp(Operation &op);
  void addLate(Operation &op);
  void addBody(linalg::GenericOp op, bool isLateOp);
  std::string explain(Value v);
};

ResidualPlan::Graph::Graph(ResidualPlan &plan)
    : plan(plan), options(plan.options), block(plan.joint.getBlock()) {
  for (Value v : plan.joint.getPrimalResults()) {
    needed.insert(v);
    results.insert(v);
  }
  for (Operation &op : llvm::reverse(block.without_terminator()))
    if (llvm::any_of(op.getResults(),
                     [&](Value r) { return needed.contains(r); }) ||
        !isMemoryEffectFree(&op))
      needed.insert_range(readBy(&op));

  for (Value v : plan.joint.primals)
    network.addSource(nodeOf(v));
  for (Operation &op : block.without_terminator()) {
    if (llvm::any_of(op.getResults(), [&](Value r) { return isLate(r); }))
      addLate(op);
    else
      addOp(op);
  }
  for (Value v : plan.joint.getGradients())
    if (!isLate(v))
      addSink(v);
}

bool ResidualPlan::Graph::isRecomputable(Operation *op) {
  if (!isMemoryEffectFree(op))
    return false;
  // What the forward does not compute, the backward computes once.
  bool isPrimal = llvm::any_of(op->getResults(),
                               [&](Value r) { return needed.contains(r); });
  if (!isPrimal || isView(op) || plan.allowed.contains(op))
    return true;
  if (options.recomputeProducts && !options.budget)
    return true;
  return options.policy == ResidualPolicy::minimal && isCheap(op);
}

Value ResidualPlan::Graph::represent(Value v) {
  while (true) {
    if (Value result = plan.resultOf.lookup(v))
      return result;
    Value tensor = getTensorOf(v);
    if (!tensor || isLate(tensor))
      return v;
    v = tensor;
  }
}

/// Whether v is an argument that the caller still has in the backward.
bool ResidualPlan::Graph::isKeptArgument(Value v) {
  auto arg = dyn_cast<BlockArgument>(v);
  if (!arg || !options.keepArguments)
    return false;
  auto f = dyn_cast<func::FuncOp>(block.getParentOp());
  return !f || !f.getArgAttr(arg.getArgNumber(), "quant_ste.transient");
}

int64_t ResidualPlan::Graph::costOf(Value v) {
  if (v.getParentBlock() == &block) {
    if (isKeptArgument(v) || (options.keepResults && results.contains(v)))
      return 0;
    Operation *op = v.getDefiningOp();
    if (op && isa<tensor::EmptyOp, linalg::FillOp>(op))
      return FlowNetwork::kInfinite;
    return countBytes(v, options);
  }
  linalg::GenericOp op = getGenericAround(v);
  if (isa<BlockArgument>(v) || !getLoops(op, v).all() ||
      !RankedTensorType::isValidElementType(v.getType()))
    return FlowNetwork::kInfinite;
  return countScalarBytes(v, options);
}

unsigned ResidualPlan::Graph::nodeOf(Value v) {
  v = represent(v);
  auto [it, isNew] = nodes.try_emplace(v, values.size());
  if (isNew) {
    network.addNode(costOf(v));
    values.push_back(v);
    made.emplace_back();
  }
  return it->second;
}

void ResidualPlan::Graph::addEdge(Value from, Value to) {
  if (isRemade(from))
    return;
  unsigned source = nodeOf(from), target = nodeOf(to);
  if (source == target)
    return;
  network.addEdge(source, target);
  made[target].push_back(source);
}

void ResidualPlan::Graph::addSink(Value v) {
  if (isRemade(v))
    return;
  unsigned node = nodeOf(v);
  network.addSink(node);
  sinks.push_back(node);
}

void ResidualPlan::Graph::addOp(Operation &op) {
  if (llvm::all_of(op.getResults(), isRemade))
    return;
  if (!isRecomputable(&op)) {
    fixed.insert(&op);
    for (Value r : op.getResults())
      network.addSource(nodeOf(r));
    return;
  }
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (generic && isElementwise(generic) &&
      options.policy != ResidualPolicy::all)
    return addBody(generic, /*isLateOp=*/false);
  for (Value r : op.getResults())
    for (Value v : readBy(&op))
      addEdge(v, r);
}

void ResidualPlan::Graph::addLate(Operation &op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (generic && hasPlainBody(generic) && options.policy != ResidualPolicy::all)
    return addBody(generic, /*isLateOp=*/true);
  for (Value v : readBy(&op))
    if (!isLate(v))
      addSink(v);
}

void ResidualPlan::Graph::addBody(linalg::GenericOp op, bool isLateOp) {
  Block &body = *op.getBody();
  auto yielded = body.getTerminator()->getOperands();
  SmallVector<Value> lateArgs;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(&operand);
    if (op.isDpsInit(&operand) || isLate(operand.get()))
      lateArgs.push_back(arg);
    else if (represent(arg) == arg && !arg.use_empty())
      addEdge(operand.get(), arg);
    if (op.isDpsInit(&operand) && !isLate(operand.get())) {
      if (isLateOp)
        addSink(operand.get());
      else // what its size is made of
        for (Value r : op.getResults())
          addEdge(operand.get(), r);
    }
  }
  if (!isLateOp)
    for (auto [value, result] : llvm::zip_equal(yielded, op.getResults()))
      if (value.getParentBlock() == &body && !isa<BlockArgument>(value))
        plan.resultOf.try_emplace(value, result);
  auto lateScalars = sliceFrom(body, lateArgs);
  for (Operation &inner : body.without_terminator()) {
    bool isLateScalar = llvm::any_of(
        inner.getResults(), [&](Value r) { return lateScalars.contains(r); });
    for (Value v : inner.getOperands()) {
      if (lateScalars.contains(v))
        continue;
      if (isLateScalar)
        addSink(v);
      else
        for (Value r : inner.getResults())
          addEdge(v, r);
    }
  }
  for (auto [value, result] : llvm::zip_equal(yielded, op.getResults())) {
    if (isLateOp && !lateScalars.contains(value))
      addSink(value);
    if (!isLateOp && represent(value) != result)
      addEdge(value, result);
  }
}

std::string ResidualPlan::Graph::explain(Value v) {
  if (options.keepResults && results.contains(v))
    return "a result, alive anyway";
  if (v.getParentBlock() == &block && isa<BlockArgument>(v))
    return isKeptArgument(v) ? "an argument, alive anyway" : "an argument";
  Operation *op = v.getDefiningOp();
  if (fixed.contains(op))
    return ("'" + op->getName().getStringRef() + "' is not computed twice")
        .str();
  return ("'" + op->getName().getStringRef() +
          "' is the smallest cut in front of what the backward reads")
      .str();
}

SmallVector<ResidualPlan::Step>
ResidualPlan::Graph::findProducts(size_t count) const {
  auto bySize =
      llvm::map_to_vector(plan.kept, [](const Kept &k) { return &k; });
  llvm::sort(bySize, [](const Kept *x, const Kept *y) {
    return std::pair(-x->bytes, x) < std::pair(-y->bytes, y);
  });
  SmallVector<Step> steps;
  // What lies behind a larger residual has been found with that one.
  llvm::BitVector seen(values.size());
  SmallVector<unsigned> stack;
  for (const Kept *k : bySize) {
    if (steps.size() == count || k->bytes == 0)
      break;
    llvm::SetVector<Operation *> products;
    stack.push_back(nodes.lookup(k->value));
    while (!stack.empty()) {
      unsigned node = stack.pop_back_val();
      if (seen[node])
        continue;
      seen.set(node);
      Operation *op = values[node].getDefiningOp();
      if (op && fixed.contains(op) && isMemoryEffectFree(op))
        products.insert(op);
      llvm::append_range(stack, made[node]);
    }
    if (!products.empty())
      steps.push_back(products.takeVector());
  }
  return steps;
}

void ResidualPlan::Graph::solve() {
  llvm::BitVector cut = network.findCut();
  llvm::BitVector seen(values.size());
  llvm::SetVector<Operation *> again;
  SmallVector<unsigned> stack;
  for (unsigned sink : sinks) {
    stack.push_back(sink);
    while (!stack.empty()) {
      unsigned node = stack.pop_back_val();
      if (seen[node])
        continue;
      seen.set(node);
      Value v = values[node];
      plan.wanted.insert(v);
      if (cut[node]) {
        Kept kept{v, costOf(v), "", explain(v)};
        if (kept.bytes != 0 && v.getParentBlock() == &block)
          countBytes(v, options, &kept.formula);
        else if (kept.bytes != 0)
          countScalarBytes(v, options, &kept.formula);
        plan.cut.insert(v);
        plan.kept.push_back(std::move(kept));
        continue;
      }
      if (Operation *op = v.getDefiningOp();
          op && op->getBlock() == &block && !isView(op) && needed.contains(v))
        again.insert(op);
      llvm::append_range(stack, made[node]);
    }
  }
  for (Operation *op : again) {
    int64_t bytes = 0;
    for (Value r : op->getResults())
      if (needed.contains(r) && !plan.cut.contains(r))
        bytes += countBytes(r, options);
    plan.recomputed.push_back({op, bytes});
  }
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

int64_t ResidualPlan::getBytes() const {
  int64_t bytes = 0;
  for (const Kept &k : kept)
    bytes += k.bytes;
  return bytes;
}

/// The policy that keeps less.
static ResidualPolicy getNext(ResidualPolicy policy) {
  return policy == ResidualPolicy::all ? ResidualPolicy::speed
                                       : ResidualPolicy::minimal;
}

FailureOr<ResidualPlan> ResidualPlan::make(JointFunction joint,
                                           const ResidualOptions &options) {
  ResidualOptions tried = options;
  auto late = sliceFrom(joint.getBlock(), joint.cotangents);
  // The products that may be computed again, as they came.
  SmallVector<Step> steps;
  size_t batch = 1;
  auto attempt = [&](size_t numSteps, SmallVector<Step> *next = nullptr) {
    ResidualPlan plan(joint, tried);
    plan.late = late;
    for (const Step &step : ArrayRef(steps).take_front(numSteps))
      plan.allowed.insert_range(step);
    Graph graph(plan);
    graph.solve();
    if (next)
      *next = graph.findProducts(batch);
    return plan;
  };
  auto fits = [&](const ResidualPlan &plan) {
    return !options.budget || plan.getBytes() <= *options.budget;
  };
  ResidualPlan plan = attempt(0);
  while (!fits(plan) && tried.policy != ResidualPolicy::minimal) {
    tried.policy = getNext(tried.policy);
    plan = attempt(0);
  }
  // Then what the largest residuals are made by: of twice as many each time, so
  // that there are few plans to make, and then of no more than it takes.
  size_t tooFew = 0;
  while (!fits(plan)) {
    SmallVector<Step> more;
    if (options.recomputeProducts)
      plan = attempt(steps.size(), &more);
    if (more.empty()) {
      joint.f.emitError("expected residuals of at most ")
          << *options.budget << " bytes for @" << joint.f.getName() << ", got "
          << plan.getBytes() << " at the least"
          << (options.recomputeProducts ? ""
                                        : "; recompute-products may keep less");
      return failure();
    }
    tooFew = steps.size();
    llvm::append_range(steps, more);
    batch *= 2;
    plan = attempt(steps.size());
  }
  size_t enough = steps.size();
  while (enough - tooFew > 1) {
    size_t middle = tooFew + (enough - tooFew) / 2;
    ResidualPlan smaller = attempt(middle);
    if (!fits(smaller)) {
      tooFew = middle;
      continue;
    }
    enough = middle;
    plan = std::move(smaller);
  }
  return plan;
}

static StringRef getName(ResidualPolicy policy) {
  switch (policy) {
  case ResidualPolicy::minimal:
    return "minimal";
  case ResidualPolicy::speed:
    return "speed";
  case ResidualPolicy::all:
    return "all";
  }
  llvm_unreachable("unknown policy");
}

void ResidualPlan::print(raw_ostream &os) {
  AsmState names(joint.f);
  auto printBytes = [&](int64_t bytes, StringRef formula) {
    os << bytes << " bytes";
    if (!formula.empty())
      os << " (" << formula << ")";
  };
  os << "residuals of @" << joint.f.getName() << ", " << getName(options.policy)
     << ": " << getBytes() << " bytes";
  if (llvm::any_of(kept, [](const Kept &k) { return !k.formula.empty(); }))
    os << ", each ? taken as " << options.dynamicSize;
  os << "\n";
  for (Kept &k : kept) {
    os << "  keep ";
    k.value.printAsOperand(os, names);
    os << " : ";
    if (k.value.getParentBlock() == &joint.getBlock())
      os << k.value.getType();
    else
      os << RankedTensorType::get(
          getGenericAround(k.value).getStaticLoopRanges(), k.value.getType());
    os << ", ";
    printBytes(k.bytes, k.formula);
    os << ": " << k.why << "\n";
  }
  for (const Recomputed &r : recomputed) {
    os << "  recompute ";
    llvm::interleaveComma(r.op->getResults(), os,
                          [&](Value v) { v.printAsOperand(os, names); });
    os << " : '" << r.op->getName() << "', " << r.bytes
       << " bytes less: " << (isCheap(r.op) ? "elementwise" : "asked for")
       << ", from what is kept\n";
  }
}

//===----------------------------------------------------------------------===//
// Applying a plan
//===----------------------------------------------------------------------===//

namespace {
/// The part of a generic's body that some of its scalars need.
struct BodySlice {
  ValueSet args, kept, captured;
  llvm::DenseSet<Operation *> ops;
};
} // namespace

class ResidualPlan::Materializer {
public:
  explicit Materializer(ResidualPlan &plan);
  void run();

private:
  ResidualPlan &plan;
  Block &block;
  IRMapping lateOf; ///< what late ops read in place of early values
  DenseMap<Operation *, unsigned> order;
  llvm::DenseSet<Value> alive;                       ///< kept for nothing
  DenseMap<Block *, SmallVector<Value>> keptScalars; ///< by their bodies

  bool isLateOp(Operation &op) const {
    return llvm::any_of(op.getResults(),
                        [&](Value r) { return plan.late.contains(r); });
  }
  /// Does a late op read something else in its place?
  bool isReplaced(Value v) const {
    return v.getParentBlock() == &block && !plan.late.contains(v) &&
           !isRemade(v);
  }
  bool isKeptScalar(Value v) const {
    return plan.cut.contains(v) || plan.cut.contains(plan.resultOf.lookup(v));
  }
  BodySlice slice(linalg::GenericOp op, ArrayRef<Value> scalars,
                  bool stopAtKept);
  SmallVector<unsigned> wantedResults(linalg::GenericOp op);
  bool isTakenApart(Operation *op) const;
  ValueSet readLate(Operation *op);
  void prepare(OpBuilder &b, Operation *lateOp);
  void keep(OpBuilder &b, Value v);
  Value keepTensor(OpBuilder &b, Value v, bool isAlive,
                   linalg::GenericOp around);
  void keepScalars(OpBuilder &b, linalg::GenericOp op);
  Value computeScalar(OpBuilder &b, linalg::GenericOp op, Value scalar);
  void cloneLate(OpBuilder &b, Operation *op);
  linalg::GenericOp rebuild(OpBuilder &b, linalg::GenericOp op,
                            ArrayRef<unsigned> results);
};

ResidualPlan::Materializer::Materializer(ResidualPlan &plan)
    : plan(plan), block(plan.joint.getBlock()) {
  for (Kept &k : plan.kept) {
    if (k.bytes == 0)
      alive.insert(k.value);
    if (k.value.getParentBlock() != &block)
      keptScalars[k.value.getParentBlock()].push_back(k.value);
  }
}

BodySlice ResidualPlan::Materializer::slice(linalg::GenericOp op,
                                            ArrayRef<Value> scalars,
                                            bool stopAtKept) {
  BodySlice slice;
  SmallVector<Value> stack(scalars);
  while (!stack.empty()) {
    Value v = stack.pop_back_val();
    if (v.getParentBlock() != op.getBody()) {
      slice.captured.insert(v);
    } else if (isa<BlockArgument>(v)) {
      slice.args.insert(v);
    } else if (stopAtKept && isKeptScalar(v)) {
      slice.kept.insert(v);
    } else if (slice.ops.insert(v.getDefiningOp()).second) {
      llvm::append_range(stack, v.getDefiningOp()->getOperands());
    }
  }
  return slice;
}

/// Which results of a generic the backward needs and does not have.
SmallVector<unsigned>
ResidualPlan::Materializer::wantedResults(linalg::GenericOp op) {
  SmallVector<unsigned> wanted;
  for (OpResult r : op->getResults())
    if (plan.late.contains(r) ||
        (!plan.cut.contains(r) && plan.wanted.contains(r)))
      wanted.push_back(r.getResultNumber());
  return wanted;
}

/// As the graph has it.
bool ResidualPlan::Materializer::isTakenApart(Operation *op) const {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || plan.options.policy == ResidualPolicy::all)
    return false;
  return isLateOp(*op) ? hasPlainBody(generic) : isElementwise(generic);
}

static SmallVector<Value> getYielded(linalg::GenericOp op,
                                     ArrayRef<unsigned> results) {
  return llvm::map_to_vector(results, [&](unsigned i) -> Value {
    return op.getBody()->getTerminator()->getOperand(i);
  });
}

/// The values whose late form the late form of the op reads.
ValueSet ResidualPlan::Materializer::readLate(Operation *op) {
  if (!isTakenApart(op))
    return readBy(op);
  auto generic = cast<linalg::GenericOp>(op);
  SmallVector<unsigned> results = wantedResults(generic);
  BodySlice part = slice(generic, getYielded(generic, results), true);
  ValueSet values = part.captured;
  for (Value arg : part.args)
    values.insert(
        generic.getMatchingOpOperand(cast<BlockArgument>(arg))->get());
  for (unsigned i : results)
    values.insert(generic.getDpsInits()[i]);
  for (Value scalar : part.kept)
    values.insert(plan.resultOf.lookup(scalar) &&
                          plan.cut.contains(plan.resultOf.lookup(scalar))
                      ? plan.resultOf.lookup(scalar)
                      : scalar);
  return values;
}

/// Makes the late form of all that the op reads, in front of it.
void ResidualPlan::Materializer::prepare(OpBuilder &b, Operation *lateOp) {
  ValueSet keeps;
  llvm::SetVector<Operation *> again;
  SmallVector<Operation *> stack{lateOp};
  while (!stack.empty()) {
    for (Value v : readLate(stack.pop_back_val())) {
      if (lateOf.contains(v))
        continue;
      if (plan.cut.contains(v))
        keeps.insert(v);
      else if (isReplaced(v) && again.insert(v.getDefiningOp()))
        stack.push_back(v.getDefiningOp());
    }
  }
  for (Value v : keeps)
    keep(b, v);
  SmallVector<Operation *> ops = again.takeVector();
  llvm::sort(ops, [&](Operation *x, Operation *y) {
    return order.lookup(x) < order.lookup(y);
  });
  for (Operation *op : ops)
    cloneLate(b, op);
}

void ResidualPlan::Materializer::keep(OpBuilder &b, Value v) {
  if (lateOf.contains(v))
    return;
  if (v.getParentBlock() != &block)
    return keepScalars(b, getGenericAround(v));
  lateOf.map(v, keepTensor(b, v, alive.contains(v),
                           v.getDefiningOp<linalg::GenericOp>()));
}

/// `around` is the generic whose loops the value runs along.
Value ResidualPlan::Materializer::keepTensor(OpBuilder &b, Value v,
                                             bool isAlive,
                                             linalg::GenericOp around) {
  Location loc = v.getLoc();
  auto type = dyn_cast<RankedTensorType>(v.getType());
  bool packs = plan.options.pack && !isAlive && type && type.getRank() > 0 &&
               type.getElementType().isInteger(1);
  if (!packs)
    return ResidualOp::create(b, loc, v, isAlive);
  int64_t rowDims = chooseRowDims(type.getShape(), around);
  int64_t first = type.getRank() - rowDims;
  Value size;
  if (type.isDynamicDim(first)) {
    Value dim = tensor::DimOp::create(b, loc, v, first);
    size = ResidualOp::create(b, loc, dim, /*alive=*/false);
  }
  Value packed =
      PackBitsOp::create(b, loc, getPackedType(type, rowDims), v, rowDims);
  Value kept = ResidualOp::create(b, loc, packed, /*alive=*/false);
  return UnpackBitsOp::create(b, loc, type, kept, size, rowDims);
}

/// The size of each loop, by operands that the scalars are made of.
static SmallVector<OpFoldResult>
getLoopSizes(OpBuilder &b, linalg::GenericOp op, const ValueSet &args) {
  SmallVector<OpFoldResult> sizes(op.getNumLoops());
  for (Value arg : args) {
    OpOperand *operand = op.getMatchingOpOperand(cast<BlockArgument>(arg));
    AffineMap map = op.getMatchingIndexingMap(operand);
    for (unsigned d = 0; d < map.getNumResults(); ++d)
      if (OpFoldResult &size = sizes[map.getDimPosition(d)]; !size)
        size = tensor::getMixedSize(b, op.getLoc(), operand->get(), d);
  }
  return sizes;
}

/// For each scalar of `op` that is kept a generic of its own over its loops:
/// they fuse with whatever else reads the same.
void ResidualPlan::Materializer::keepScalars(OpBuilder &b,
                                             linalg::GenericOp op) {
  for (Value v : keptScalars.lookup(op.getBody()))
    lateOf.map(v,
               keepTensor(b, computeScalar(b, op, v), /*isAlive=*/false, op));
}

Value ResidualPlan::Materializer::computeScalar(OpBuilder &b,
                                                linalg::GenericOp op,
                                                Value scalar) {
  BodySlice part = slice(op, scalar, /*stopAtKept=*/false);
  SmallVector<Value> inputs, args;
  SmallVector<AffineMap> maps;
  for (BlockArgument arg : op.getBody()->getArguments())
    if (part.args.contains(arg)) {
      OpOperand *operand = op.getMatchingOpOperand(arg);
      inputs.push_back(operand->get());
      args.push_back(arg);
      maps.push_back(op.getMatchingIndexingMap(operand));
    }
  SmallVector<OpFoldResult> sizes = getLoopSizes(b, op, part.args);
  for (auto [size, range] : llvm::zip_equal(sizes, op.getStaticLoopRanges()))
    if (!ShapedType::isDynamic(range))
      size = b.getIndexAttr(range);
  Value init = tensor::EmptyOp::create(b, op.getLoc(), sizes, scalar.getType());
  maps.push_back(b.getMultiDimIdentityMap(op.getNumLoops()));
  SmallVector<IteratorType> parallel(op.getNumLoops(), IteratorType::parallel);
  return linalg::GenericOp::create(
             b, op.getLoc(), init.getType(), inputs, init, maps, parallel,
             [&](OpBuilder &nested, Location loc, ValueRange newArgs) {
               IRMapping map;
               map.map(args, newArgs.drop_back());
               for (Operation &inner : op.getBody()->without_terminator())
                 if (part.ops.contains(&inner))
                   nested.clone(inner, map);
               linalg::YieldOp::create(nested, loc, map.lookup(scalar));
             })
      .getResult(0);
}

/// The generic with fewer results, reading late values and kept scalars.
linalg::GenericOp
ResidualPlan::Materializer::rebuild(OpBuilder &b, linalg::GenericOp op,
                                    ArrayRef<unsigned> results) {
  BodySlice part = slice(op, getYielded(op, results), /*stopAtKept=*/true);
  SmallVector<Value> inputs, inits, args;
  SmallVector<AffineMap> maps;
  for (Operation &inner : op.getBody()->without_terminator())
    for (Value scalar : inner.getResults()) {
      if (!part.kept.contains(scalar))
        continue;
      args.push_back(scalar);
      Value result = plan.resultOf.lookup(scalar);
      if (result && plan.cut.contains(result)) {
        unsigned i = cast<OpResult>(result).getResultNumber();
        inputs.push_back(lateOf.lookup(result));
        maps.push_back(op.getMatchingIndexingMap(op.getDpsInitOperand(i)));
      } else {
        inputs.push_back(lateOf.lookup(scalar));
        maps.push_back(b.getMultiDimIdentityMap(op.getNumLoops()));
      }
    }
  for (OpOperand *operand : op.getDpsInputOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(operand);
    if (!part.args.contains(arg))
      continue;
    inputs.push_back(lateOf.lookupOrDefault(operand->get()));
    args.push_back(arg);
    maps.push_back(op.getMatchingIndexingMap(operand));
  }
  for (unsigned i : results) {
    OpOperand *init = op.getDpsInitOperand(i);
    inits.push_back(lateOf.lookupOrDefault(init->get()));
    args.push_back(op.getMatchingBlockArgument(init));
    maps.push_back(op.getMatchingIndexingMap(init));
  }
  return linalg::GenericOp::create(
      b, op.getLoc(), TypeRange(ValueRange(inits)), inputs, inits, maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &nested, Location loc, ValueRange newArgs) {
        IRMapping map;
        map.map(args, newArgs);
        for (Value v : part.captured)
          if (lateOf.contains(v))
            map.map(v, lateOf.lookup(v));
        for (Operation &inner : op.getBody()->without_terminator())
          if (part.ops.contains(&inner))
            nested.clone(inner, map);
        auto yields =
            llvm::map_to_vector(getYielded(op, results), [&](Value v) {
              return map.lookupOrDefault(v);
            });
        linalg::YieldOp::create(nested, loc, yields);
      });
}

void ResidualPlan::Materializer::cloneLate(OpBuilder &b, Operation *op) {
  if (!isTakenApart(op)) {
    Operation *clone = b.clone(*op, lateOf);
    lateOf.map(op->getResults(), clone->getResults());
    return;
  }
  auto generic = cast<linalg::GenericOp>(op);
  SmallVector<unsigned> results = wantedResults(generic);
  linalg::GenericOp clone = rebuild(b, generic, results);
  for (auto [i, result] : llvm::zip_equal(results, clone.getResults()))
    lateOf.map(op->getResult(i), result);
}

void ResidualPlan::Materializer::run() {
  unsigned next = 0;
  SmallVector<Operation *> lateOps;
  for (Operation &op : block) {
    order[&op] = next++;
    if (isLateOp(op))
      lateOps.push_back(&op);
  }
  // Erased at the end: the plan refers to their scalars.
  SmallVector<Operation *> dead;
  for (Operation *op : lateOps) {
    OpBuilder b(op);
    prepare(b, op);
    if (isTakenApart(op)) {
      auto generic = cast<linalg::GenericOp>(op);
      linalg::GenericOp rest = rebuild(b, generic, wantedResults(generic));
      for (auto [from, to] :
           llvm::zip_equal(op->getResults(), rest.getResults())) {
        from.replaceAllUsesWith(to);
        plan.late.insert(to);
      }
      dead.push_back(op);
      continue;
    }
    op->walk([&](Operation *reader) {
      for (OpOperand &operand : reader->getOpOperands())
        if (Value to = lateOf.lookupOrNull(operand.get()))
          operand.set(to);
    });
  }
  // A gradient that sees no cotangent.
  Operation *ret = block.getTerminator();
  for (OpOperand &operand : ret->getOpOperands()) {
    Value v = operand.get();
    if (static_cast<int64_t>(operand.getOperandNumber()) <
            plan.joint.numPrimalResults ||
        !isReplaced(v))
      continue;
    OpBuilder b(ret);
    if (!lateOf.contains(v)) {
      if (plan.cut.contains(v)) {
        keep(b, v);
      } else {
        prepare(b, v.getDefiningOp());
        cloneLate(b, v.getDefiningOp());
      }
    }
    operand.set(lateOf.lookup(v));
  }
  for (Operation *op : dead)
    op->erase();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void ResidualPlan::apply() { Materializer(*this).run(); }
