//===- Split.cpp - a forward and a backward function -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is computed from a cotangent or a residual is late, all else is early.
// The planner has chosen the residuals (Residuals/ResidualPlan.h); here the
// function only falls into two.
//
//===----------------------------------------------------------------------===//

#include "Residuals/ResidualPlan.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTESPLITPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

namespace {
class Splitter {
public:
  Splitter(JointFunction joint, SymbolTable &symbols, bool donates)
      : joint(std::move(joint)), f(this->joint.f), symbols(symbols),
        block(f.getBody().front()), donates(donates) {}
  LogicalResult run();

private:
  JointFunction joint;
  func::FuncOp f;
  SymbolTable &symbols;
  Block &block;
  bool donates; ///< the residuals, to the backward
  llvm::DenseSet<Value> late;
  llvm::SmallPtrSet<Operation *, 16> remade;
  llvm::SetVector<Value> kept, alive;

  bool isLate(Operation &op) const {
    return llvm::any_of(op.getResults(),
                        [&](Value r) { return late.contains(r); });
  }
  void findResiduals();
  void need(Value v);
  func::FuncOp build(StringRef name, ArrayRef<Value> args,
                     ArrayRef<NamedAttrList> marks, ArrayRef<Value> outs,
                     function_ref<bool(Operation &)> keep);
};
} // namespace

/// An early value that a late op reads: constants and empty tensors are made
/// again, all else is one more residual.
void Splitter::need(Value v) {
  if (late.contains(v))
    return;
  if (!isRemade(v)) {
    kept.insert(v);
    return;
  }
  Operation *def = v.getDefiningOp();
  if (remade.insert(def).second)
    for (Value operand : def->getOperands())
      need(operand);
}

void Splitter::findResiduals() {
  SmallVector<Value> seeds(joint.cotangents);
  for (auto op : block.getOps<ResidualOp>()) {
    seeds.push_back(op.getY());
    (op.getAlive() ? alive : kept).insert(op.getX());
  }
  late = sliceFrom(block, seeds);
  for (Operation &op : block.without_terminator())
    if (isLate(op) && !isa<ResidualOp>(op))
      for (Value v : readBy(&op))
        need(v);
  for (Value v : joint.getGradients())
    need(v);
}

/// All attributes at once: each list of them lives as long as the context.
static SmallVector<DictionaryAttr>
getDictionaries(MLIRContext *ctx, ArrayRef<NamedAttrList> lists) {
  return llvm::map_to_vector(lists, [&](const NamedAttrList &list) {
    return list.getDictionary(ctx);
  });
}

func::FuncOp Splitter::build(StringRef name, ArrayRef<Value> args,
                             ArrayRef<NamedAttrList> marks,
                             ArrayRef<Value> outs,
                             function_ref<bool(Operation &)> keep) {
  auto type = FunctionType::get(f.getContext(), TypeRange(ValueRange(args)),
                                TypeRange(ValueRange(outs)));
  auto g = func::FuncOp::create(f.getLoc(), name, type);
  g.setVisibility(f.getVisibility());
  for (NamedAttribute attr : f->getDiscardableAttrs())
    if (!isa_and_nonnull<QuantSTEDialect>(attr.getNameDialect()))
      g->setDiscardableAttr(attr.getName(), attr.getValue());
  SmallVector<NamedAttrList> argAttrs;
  for (auto [arg, mark] : llvm::zip_equal(args, marks)) {
    NamedAttrList &attrs = argAttrs.emplace_back();
    if (auto own = dyn_cast<BlockArgument>(arg))
      attrs.assign(function_interface_impl::getArgAttrs(f, own.getArgNumber()));
    for (NamedAttribute attr : mark)
      attrs.set(attr.getName(), attr.getValue());
  }
  g.setAllArgAttrs(getDictionaries(f.getContext(), argAttrs));
  symbols.insert(g, f->getIterator());

  auto b = OpBuilder::atBlockEnd(g.addEntryBlock());
  IRMapping map;
  map.map(args, g.getArguments());
  for (Operation &op : block.without_terminator()) {
    if (!keep(op))
      continue;
    if (auto residual = dyn_cast<ResidualOp>(op))
      map.map(residual.getY(), map.lookup(residual.getX()));
    else
      b.clone(op, map);
  }
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

  findResiduals();
  SmallVector<Value> results = joint.getPrimalResults();
  SmallVector<Value> forwardOuts(results);
  llvm::append_range(forwardOuts, kept);
  Builder b(f.getContext());
  NamedAttrList residual;
  residual.append("quant_ste.residual", b.getUnitAttr());
  SmallVector<NamedAttrList> marks(joint.primals.size());
  func::FuncOp fwd = build(forward, joint.primals, marks, forwardOuts,
                           [&](Operation &op) { return !isLate(op); });
  SmallVector<NamedAttrList> resultAttrs(results.size());
  resultAttrs.append(kept.size(), residual);
  fwd.setAllResultAttrs(getDictionaries(f.getContext(), resultAttrs));

  SmallVector<Value> backwardArgs(kept.getArrayRef());
  llvm::append_range(backwardArgs, alive);
  llvm::append_range(backwardArgs, joint.cotangents);
  marks.assign(kept.size(), residual);
  if (donates)
    for (NamedAttrList &mark : marks) {
      mark.append("quant_ste.donated", b.getUnitAttr());
      mark.append(bufferization::BufferizationDialect::kWritableAttrName,
                  b.getBoolAttr(true));
    }
  DenseMap<Value, int64_t> resultIndex, argumentIndex;
  for (auto [i, v] : llvm::enumerate(results))
    resultIndex.try_emplace(v, i);
  for (auto [i, v] : llvm::enumerate(joint.primals))
    argumentIndex.try_emplace(v, i);
  for (Value v : alive) {
    auto it = resultIndex.find(v);
    bool isResult = it != resultIndex.end();
    int64_t index = isResult ? it->second : argumentIndex.lookup(v);
    marks.emplace_back().append(isResult ? "quant_ste.result"
                                         : "quant_ste.argument",
                                b.getI64IntegerAttr(index));
  }
  marks.resize(backwardArgs.size());
  build(backward, backwardArgs, marks, joint.getGradients(),
        [&](Operation &op) { return isLate(op) || remade.contains(&op); });
  return success();
}

/// A joint function stays only where something calls it.
static void eraseUnused(ArrayRef<func::FuncOp> functions,
                        SymbolTable &symbols) {
  auto uses = SymbolTable::getSymbolUses(&symbols.getOp()->getRegion(0));
  if (!uses)
    return;
  llvm::DenseMap<StringAttr, int64_t> count;
  for (const SymbolTable::SymbolUse &use : *uses)
    ++count[use.getSymbolRef().getRootReference()];
  for (func::FuncOp f : functions) {
    if (count.lookup(f.getSymNameAttr()) != 0)
      continue;
    if (auto own = SymbolTable::getSymbolUses(f))
      for (const SymbolTable::SymbolUse &use : *own)
        --count[use.getSymbolRef().getRootReference()];
    symbols.erase(f);
  }
}

namespace {
struct SplitPass : quant_ste::impl::QuantSTESplitPassBase<SplitPass> {
  using QuantSTESplitPassBase::QuantSTESplitPassBase;

  /// Plans a function that nobody has planned.
  LogicalResult split(func::FuncOp f, SymbolTable &symbols) {
    auto joint = JointFunction::get(f);
    if (failed(joint))
      return failure();
    if (joint->getBlock().getOps<ResidualOp>().empty()) {
      ResidualOptions options;
      options.keepArguments = keepArguments;
      auto plan = ResidualPlan::make(*joint, options);
      if (failed(plan))
        return failure();
      plan->apply();
    }
    return Splitter(*joint, symbols, donateResiduals).run();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    auto functions = findJointFunctions(module, function);
    if (failed(functions))
      return signalPassFailure();
    bool failed = false;
    for (func::FuncOp f : *functions)
      failed |= mlir::failed(split(f, symbols));
    if (failed)
      return signalPassFailure();
    eraseUnused(*functions, symbols);
  }
};
} // namespace
