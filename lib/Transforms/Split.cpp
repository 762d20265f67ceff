//===- Split.cpp - a forward and a backward function -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What depends on a cotangent is late, as is what only late ops need (a
// transposed weight); all else is early. The values that late ops read of early
// ones are the residuals; each is a tensor that lives from the forward function
// to the backward one. To have them narrow, each late linalg.generic is cut in
// its scalar body first:
//
//   late(dy, x, a):  below = x < 0; above = x > a; clipped = below || above
//                    dx = select(clipped, 0, dy)
//
// x is 32 bits an element, clipped is one. The values that meet the cotangent
// are computed early and saved when they are narrower than the inputs they are
// made of; an input that is kept anyway costs nothing.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTESPLITPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;
using ValueSet = llvm::SetVector<Value>;
using utils::IteratorType;

/// What an op reads, its regions included.
static ValueSet readBy(Operation *op) {
  ValueSet values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

/// The seeds, and everything computed from them in the block.
static llvm::DenseSet<Value> sliceFrom(Block &block, ArrayRef<Value> seeds) {
  llvm::DenseSet<Value> slice(seeds.begin(), seeds.end());
  for (Operation &op : block)
    if (llvm::any_of(readBy(&op), [&](Value v) { return slice.contains(v); }))
      slice.insert_range(op.getResults());
  return slice;
}

static unsigned bitsOf(Type type) {
  return type.isIntOrFloat() ? type.getIntOrFloatBitWidth() : 64;
}

//===----------------------------------------------------------------------===//
// Cutting one late generic
//===----------------------------------------------------------------------===//

namespace {
class GenericCut {
public:
  GenericCut(linalg::GenericOp op, const llvm::DenseSet<Value> &late,
             const llvm::DenseSet<Value> &saved)
      : op(op), body(*op.getBody()), late(late), saved(saved) {}

  /// Rewrites the op as an early and a late one where that saves memory, and
  /// gives the early one, or null.
  Operation *run();

private:
  linalg::GenericOp op;
  Block &body;
  const llvm::DenseSet<Value> &late;  ///< tensors
  const llvm::DenseSet<Value> &saved; ///< tensors kept in any case

  llvm::DenseSet<Value> lateScalars, wideScalars;
  ValueSet frontier; ///< of wide scalars that meet late ones

  bool isLate(Value scalar) const { return lateScalars.contains(scalar); }
  /// Cost, in bits for each iteration, of keeping what a scalar stands for.
  unsigned costOf(Value scalar);
  bool chooseFrontier();
  linalg::GenericOp buildEarly(OpBuilder &b, ArrayRef<Value> values);

  /// Whether an op of the body is computed early, its results being residuals
  /// or only needed for them.
  bool isEarlyWide(Operation &inner) const {
    return llvm::any_of(inner.getResults(), [&](Value r) {
      return wideScalars.contains(r) && !isLate(r);
    });
  }
};
} // namespace

unsigned GenericCut::costOf(Value scalar) {
  if (auto arg = dyn_cast<BlockArgument>(scalar))
    if (saved.contains(op.getMatchingOpOperand(arg)->get()))
      return 0;
  return bitsOf(scalar.getType());
}

/// Whether the frontier is narrower than the inputs of full size behind it.
bool GenericCut::chooseFrontier() {
  SmallVector<Value> lateArgs, wideArgs;
  unsigned inputCost = 0;
  for (OpOperand &in : op->getOpOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(&in);
    if (op.isDpsInit(&in) || late.contains(in.get())) {
      lateArgs.push_back(arg);
    } else if (op.getMatchingIndexingMap(&in).isPermutation() &&
               !arg.use_empty()) {
      wideArgs.push_back(arg);
      inputCost += costOf(arg);
    }
  }
  lateScalars = sliceFrom(body, lateArgs);
  wideScalars = sliceFrom(body, wideArgs);
  unsigned cost = 0;
  for (Operation &inner : body) {
    bool isLateOp =
        inner.hasTrait<OpTrait::IsTerminator>() ||
        llvm::any_of(inner.getResults(), [&](Value r) { return isLate(r); });
    if (!isLateOp)
      continue;
    for (Value v : readBy(&inner))
      if (wideScalars.contains(v) && !isLate(v) && frontier.insert(v))
        cost += costOf(v);
  }
  return cost < inputCost;
}

/// A generic over the same loops, all parallel, that gives `values`.
linalg::GenericOp GenericCut::buildEarly(OpBuilder &b, ArrayRef<Value> values) {
  Location loc = op.getLoc();
  unsigned numLoops = op.getNumLoops();
  AffineMap identity = b.getMultiDimIdentityMap(numLoops);
  SmallVector<Value> inputs, args, inits;
  SmallVector<AffineMap> maps;
  SmallVector<OpFoldResult> sizes;
  for (OpOperand *in : op.getDpsInputOperands()) {
    if (late.contains(in->get()))
      continue;
    inputs.push_back(in->get());
    args.push_back(op.getMatchingBlockArgument(in));
    maps.push_back(op.getMatchingIndexingMap(in));
    if (maps.back().isPermutation() && sizes.empty())
      for (AffineExpr d : identity.getResults())
        sizes.push_back(tensor::getMixedSize(
            b, loc, in->get(), *maps.back().getResultPosition(d)));
  }
  for (Value v : values) {
    inits.push_back(tensor::EmptyOp::create(b, loc, sizes, v.getType()));
    maps.push_back(identity);
  }
  SmallVector<IteratorType> parallel(numLoops, IteratorType::parallel);
  auto early = linalg::GenericOp::create(
      b, loc, TypeRange(ValueRange(inits)), inputs, inits, maps, parallel,
      [&](OpBuilder &nested, Location, ValueRange newArgs) {
        IRMapping map;
        map.map(args, newArgs.take_front(inputs.size()));
        for (Operation &inner : body.without_terminator())
          if (llvm::none_of(inner.getResults(),
                            [&](Value r) { return isLate(r); }))
            nested.clone(inner, map);
        linalg::YieldOp::create(nested, loc,
                                llvm::map_to_vector(values, [&](Value v) {
                                  return map.lookup(v);
                                }));
      });
  for (Operation &inner :
       llvm::make_early_inc_range(llvm::reverse(*early.getBody())))
    if (isOpTriviallyDead(&inner))
      inner.erase();
  return early;
}

Operation *GenericCut::run() {
  if (!chooseFrontier())
    return nullptr;
  OpBuilder b(op);
  // Inputs in the frontier stay inputs; what is computed becomes one.
  SmallVector<Value> computed = llvm::filter_to_vector(
      frontier, [](Value v) { return !isa<BlockArgument>(v); });
  linalg::GenericOp early = buildEarly(b, computed);

  SmallVector<Value> inputs(early.getResults()), args(computed);
  AffineMap identity = b.getMultiDimIdentityMap(op.getNumLoops());
  SmallVector<AffineMap> maps(computed.size(), identity);
  for (OpOperand &in : op->getOpOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(&in);
    bool isRead = llvm::any_of(arg.getUsers(), [&](Operation *user) {
      return !isEarlyWide(*body.findAncestorOpInBlock(*user));
    });
    if (!op.isDpsInit(&in) && !isRead)
      continue;
    if (!op.isDpsInit(&in))
      inputs.push_back(in.get());
    args.push_back(arg);
    maps.push_back(op.getMatchingIndexingMap(&in));
  }
  auto rest = linalg::GenericOp::create(
      b, op.getLoc(), op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &nested, Location loc, ValueRange newArgs) {
        IRMapping map;
        map.map(args, newArgs);
        for (Operation &inner : body.without_terminator())
          if (!isEarlyWide(inner))
            nested.clone(inner, map);
        auto yields = llvm::map_to_vector(
            body.getTerminator()->getOperands(),
            [&](Value v) { return map.lookupOrDefault(v); });
        linalg::YieldOp::create(nested, loc, yields);
      });
  op.replaceAllUsesWith(rest.getResults());
  op.erase();
  return early;
}

//===----------------------------------------------------------------------===//
// Splitting a function
//===----------------------------------------------------------------------===//

namespace {
class Splitter {
public:
  Splitter(func::FuncOp f, SymbolTable &symbols, bool keepArguments)
      : f(f), symbols(symbols), keepArguments(keepArguments),
        block(f.getBody().front()) {}
  LogicalResult run();

private:
  func::FuncOp f;
  SymbolTable &symbols;
  bool keepArguments;
  Block &block;
  SmallVector<Value> primals, cotangents;
  llvm::DenseSet<Value> late;
  llvm::SmallPtrSet<Operation *, 16> early, remade;
  ValueSet residuals;

  bool isLate(Operation &op) const {
    return llvm::any_of(op.getResults(),
                        [&](Value r) { return late.contains(r); });
  }
  void cutGenerics();
  void delay(ValueRange primalResults);
  void need(Value v);
  func::FuncOp build(StringRef name, ArrayRef<Value> args, ArrayRef<Value> outs,
                     function_ref<bool(Operation &)> keep);
};

/// Made again in the backward function rather than saved: constants, and
/// tensors without contents of their own.
bool isRemade(Operation *op) {
  if (!op)
    return false;
  if (op->hasTrait<OpTrait::ConstantLike>() || isa<tensor::EmptyOp>(op))
    return true;
  auto fill = dyn_cast<linalg::FillOp>(op);
  return fill && isRemade(fill.getOutputs()[0].getDefiningOp());
}
} // namespace

void Splitter::cutGenerics() {
  // Kept in any case: what ops other than generics read (the factors of a
  // product), and arguments, if the caller has them anyway.
  llvm::DenseSet<Value> saved;
  if (keepArguments)
    saved.insert_range(primals);
  SmallVector<linalg::GenericOp> generics;
  for (Operation &op : block.without_terminator()) {
    if (!isLate(op))
      continue;
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      generics.push_back(generic);
      continue;
    }
    for (Value v : readBy(&op))
      if (!late.contains(v))
        saved.insert(v);
  }
  for (linalg::GenericOp generic : generics)
    if (Operation *cut = GenericCut(generic, late, saved).run())
      early.insert(cut);
  late = sliceFrom(block, cotangents);
}

/// Whether what an op gives is smaller than what it takes: a size, a sum.
static bool isNarrowing(Operation *op) {
  auto rank = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor ? tensor.getRank() : 0;
  };
  int64_t in = 0, out = 0;
  for (Type type : op->getOperandTypes())
    in = std::max(in, rank(type));
  for (Type type : op->getResultTypes())
    out = std::max(out, rank(type));
  return out < in;
}

/// What only late ops need becomes late, so that the forward function does the
/// primal's work and no more; except where its result is the smaller to keep.
void Splitter::delay(ValueRange primalResults) {
  llvm::DenseSet<Value> needed(primalResults.begin(), primalResults.end());
  for (Operation &op : llvm::drop_begin(llvm::reverse(block.getOperations()))) {
    if (isLate(op))
      continue;
    bool isEarly = early.contains(&op) || isNarrowing(&op) ||
                   !isMemoryEffectFree(&op) ||
                   llvm::any_of(op.getResults(),
                                [&](Value r) { return needed.contains(r); });
    if (isEarly)
      needed.insert_range(readBy(&op));
    else
      late.insert_range(op.getResults());
  }
}

void Splitter::need(Value v) {
  if (late.contains(v))
    return;
  Operation *def = v.getDefiningOp();
  if (!isRemade(def)) {
    residuals.insert(v);
    return;
  }
  remade.insert(def);
  for (Value operand : def->getOperands())
    need(operand);
}

func::FuncOp Splitter::build(StringRef name, ArrayRef<Value> args,
                             ArrayRef<Value> outs,
                             function_ref<bool(Operation &)> keep) {
  auto type = FunctionType::get(f.getContext(), TypeRange(ValueRange(args)),
                                TypeRange(ValueRange(outs)));
  auto g = func::FuncOp::create(f.getLoc(), name, type);
  g.setVisibility(f.getVisibility());
  for (NamedAttribute attr : f->getDiscardableAttrs())
    if (!isa_and_nonnull<QuantSTEDialect>(attr.getNameDialect()))
      g->setDiscardableAttr(attr.getName(), attr.getValue());
  for (auto [i, arg] : llvm::enumerate(args))
    if (auto own = dyn_cast<BlockArgument>(arg))
      for (NamedAttribute attr :
           function_interface_impl::getArgAttrs(f, own.getArgNumber()))
        g.setArgAttr(i, attr.getName(), attr.getValue());
  symbols.insert(g, f->getIterator());

  auto b = OpBuilder::atBlockEnd(g.addEntryBlock());
  IRMapping map;
  map.map(args, g.getArguments());
  for (Operation &op : block.without_terminator())
    if (keep(op))
      b.clone(op, map);
  func::ReturnOp::create(b, f.getLoc(), llvm::map_to_vector(outs, [&](Value v) {
                           return map.lookup(v);
                         }));
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(g.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  return g;
}

LogicalResult Splitter::run() {
  for (BlockArgument arg : f.getArguments())
    (f.getArgAttr(arg.getArgNumber(), "quant_ste.cotangent") ? cotangents
                                                             : primals)
        .push_back(arg);
  auto numPrimals = f->getAttrOfType<IntegerAttr>("quant_ste.num_primal_results");
  if (!numPrimals || cotangents.empty() || numPrimals.getInt() < 0 ||
      numPrimals.getInt() > static_cast<int64_t>(f.getNumResults()))
    return f.emitError("expected a function that quant-ste-differentiate made "
                       "in reverse mode, with 'quant_ste.num_primal_results' and "
                       "arguments marked 'quant_ste.cotangent'");

  StringRef stem = f.getName();
  stem.consume_back("_vjp");
  std::string forward = (stem + "_fwd").str(), backward = (stem + "_bwd").str();
  for (const std::string &name : {forward, backward})
    if (Operation *other = symbols.lookup(name)) {
      InFlightDiagnostic diag = f.emitError("cannot split @")
                                << f.getName() << ": @" << name << " exists";
      diag.attachNote(other->getLoc()) << "here";
      return diag;
    }

  late = sliceFrom(block, cotangents);
  auto results = block.getTerminator()->getOperands();
  for (int64_t i = 0; i < numPrimals.getInt(); ++i)
    if (late.contains(results[i]))
      return f.emitError("cannot split @")
             << f.getName() << ": result #" << i
             << " is computed by an op that also takes a cotangent; inline "
                "calls first";
  cutGenerics();
  results = block.getTerminator()->getOperands();
  SmallVector<Value> primalOuts(results.take_front(numPrimals.getInt()));
  delay(primalOuts);
  for (Operation &op : block.without_terminator())
    if (isLate(op))
      for (Value v : readBy(&op))
        need(v);
  SmallVector<Value> gradients(results.drop_front(numPrimals.getInt()));
  for (Value v : gradients)
    need(v);

  SmallVector<Value> forwardOuts(primalOuts);
  llvm::append_range(forwardOuts, residuals);
  func::FuncOp fwd = build(forward, primals, forwardOuts,
                           [&](Operation &op) { return !isLate(op); });
  UnitAttr unit = UnitAttr::get(f.getContext());
  for (unsigned i = primalOuts.size(); i < forwardOuts.size(); ++i)
    fwd.setResultAttr(i, "quant_ste.residual", unit);
  for (auto [i, v] : llvm::enumerate(residuals))
    if (auto arg = dyn_cast<BlockArgument>(v))
      fwd.setResultAttr(
          primalOuts.size() + i, "quant_ste.argument",
          IntegerAttr::get(IntegerType::get(f.getContext(), 64),
                           llvm::find(primals, arg) - primals.begin()));

  SmallVector<Value> backwardArgs(residuals.getArrayRef());
  llvm::append_range(backwardArgs, cotangents);
  func::FuncOp bwd =
      build(backward, backwardArgs, gradients,
            [&](Operation &op) { return isLate(op) || remade.contains(&op); });
  for (unsigned i = 0; i < residuals.size(); ++i)
    bwd.setArgAttr(i, "quant_ste.residual", unit);
  return success();
}

namespace {
struct SplitPass : quant_ste::impl::QuantSTESplitPassBase<SplitPass> {
  using QuantSTESplitPassBase::QuantSTESplitPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<func::FuncOp> functions;
    if (function.empty()) {
      for (auto f : module.getOps<func::FuncOp>())
        if (f->hasAttr("quant_ste.num_primal_results") && !f.isExternal() &&
            llvm::any_of(f.getArguments(), [&](BlockArgument arg) {
              return f.getArgAttr(arg.getArgNumber(), "quant_ste.cotangent");
            }))
          functions.push_back(f);
    } else if (auto f = symbols.lookup<func::FuncOp>(function)) {
      functions.push_back(f);
    } else {
      module.emitError("expected a function named '")
          << function << "' to split, found none";
      return signalPassFailure();
    }
    bool failed = false;
    for (func::FuncOp f : functions) {
      if (!f.getBody().hasOneBlock()) {
        f.emitError("cannot split @")
            << f.getName() << ": expected a body of one block";
        failed = true;
        continue;
      }
      failed |= mlir::failed(Splitter(f, symbols, keepArguments).run());
    }
    if (failed)
      return signalPassFailure();
    // The joint function stays only where something calls it.
    for (func::FuncOp f : functions)
      if (SymbolTable::symbolKnownUseEmpty(f, module))
        symbols.erase(f);
  }
};
} // namespace
