//===- Differentiate.cpp - requests become functions -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Differentiate.h"
#include "ModelUtils.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEDIFFERENTIATEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// What is asked for
//===----------------------------------------------------------------------===//

/// Names the function that gives a function's results and what its own rule in
/// reverse mode reads.
static constexpr StringLiteral kForwardRule = "quant_ste.vjp_forward";

namespace {
/// "vjp" or "jvp": the suffix of the function, and the attribute that names a
/// function's own rule.
struct Mode {
  bool isReverse;
  StringRef suffix() const { return isReverse ? "_vjp" : "_jvp"; }
  StringRef rule() const {
    return isReverse ? "quant_ste.vjp" : "quant_ste.jvp";
  }
  StringRef otherRule() const { return Mode{!isReverse}.rule(); }
};

/// value_and_grad, vjp or jvp. All give the function's results and then the
/// derivatives, as the generated function does.
struct Request {
  Operation *op;
  FlatSymbolRefAttr callee;
  ValueRange operands;
  ArrayRef<int64_t> wrt;
  Mode mode;

  static std::optional<Request> get(Operation *op) {
    if (auto r = dyn_cast<ValueAndGradOp>(op))
      return Request{
          op, r.getCalleeAttr(), r.getOperands(), r.getWrt(), {true}};
    if (auto r = dyn_cast<VjpOp>(op))
      return Request{
          op, r.getCalleeAttr(), r.getOperands_(), r.getWrt(), {true}};
    if (auto r = dyn_cast<JvpOp>(op))
      return Request{
          op, r.getCalleeAttr(), r.getOperands_(), r.getWrt(), {false}};
    return std::nullopt;
  }

  /// Cotangents of the float results, or tangents of the arguments `wrt`.
  SmallVector<Value> getSeeds(ImplicitLocOpBuilder &b) const {
    if (auto r = dyn_cast<VjpOp>(op))
      return SmallVector<Value>(r.getCotangents());
    if (auto r = dyn_cast<JvpOp>(op))
      return SmallVector<Value>(r.getTangents());
    return {floatLike(b, 1.0, op->getResult(0))};
  }
};

SmallVector<Type> differentiable(TypeRange types) {
  return llvm::filter_to_vector(types, isDifferentiable);
}

/// The index of each differentiable type.
SmallVector<int64_t> differentiableIndices(TypeRange types) {
  SmallVector<int64_t> indices;
  for (auto [i, type] : llvm::enumerate(types))
    if (isDifferentiable(type))
      indices.push_back(i);
  return indices;
}

FunctionType derivedType(func::FuncOp f, ArrayRef<int64_t> wrt, Mode mode) {
  SmallVector<Type> in(f.getArgumentTypes()), out(f.getResultTypes());
  SmallVector<Type> ofWrt = llvm::map_to_vector(
      wrt, [&](int64_t i) -> Type { return f.getArgumentTypes()[i]; });
  SmallVector<Type> ofResults = differentiable(f.getResultTypes());
  llvm::append_range(in, mode.isReverse ? ofResults : ofWrt);
  llvm::append_range(out, mode.isReverse ? ofWrt : ofResults);
  return FunctionType::get(f.getContext(), in, out);
}

//===----------------------------------------------------------------------===//
// Serving it
//===----------------------------------------------------------------------===//

class Differentiator {
public:
  /// Replaces every request in `root` by calls.
  LogicalResult resolveRequests(Operation *root);

  /// The function that computes f and its derivative; made at most once.
  FailureOr<func::FuncOp> derive(func::FuncOp f, ArrayRef<int64_t> wrt,
                                 Mode mode, Operation *asker);

private:
  LogicalResult resolve(const Request &request);
  FailureOr<func::FuncOp> lookUp(func::FuncOp f, StringRef attribute);
  FailureOr<SmallVector<Value>>
  callOwnRule(ImplicitLocOpBuilder &b, const Request &request, func::FuncOp f);
  func::FuncOp makeFunction(func::FuncOp f, ArrayRef<int64_t> wrt, Mode mode);
  void wrapOwnRule(func::FuncOp derived, func::FuncOp f, ArrayRef<int64_t> wrt,
                   Mode mode);
  LogicalResult fill(func::FuncOp derived, func::FuncOp f,
                     ArrayRef<int64_t> wrt, Mode mode);

  using Key = std::tuple<Operation *, bool, std::vector<int64_t>>;
  std::map<Key, FailureOr<func::FuncOp>> made;
  /// Functions in which requests are being served now, or could not be.
  llvm::SmallPtrSet<Operation *, 8> resolving, unresolved;
  SymbolTableCollection symbols;
};
} // namespace

LogicalResult Differentiator::resolveRequests(Operation *root) {
  if (unresolved.contains(root))
    return failure();
  resolving.insert(root);
  llvm::scope_exit done([&] { resolving.erase(root); });
  SmallVector<Request> requests;
  root->walk([&](Operation *op) {
    if (auto request = Request::get(op))
      requests.push_back(*request);
  });
  bool failed = false;
  for (const Request &request : requests)
    failed |= mlir::failed(resolve(request));
  if (failed)
    unresolved.insert(root);
  return failure(failed);
}

LogicalResult Differentiator::resolve(const Request &request) {
  auto f =
      symbols.lookupNearestSymbolFrom<func::FuncOp>(request.op, request.callee);
  if (!f)
    return request.op->emitOpError("expected a func.func named ")
           << request.callee;
  ImplicitLocOpBuilder b(request.op->getLoc(), request.op);
  FailureOr<SmallVector<Value>> results;
  if (f->hasAttrOfType<FlatSymbolRefAttr>(request.mode.rule())) {
    results = callOwnRule(b, request, f);
  } else {
    auto derived = derive(f, request.wrt, request.mode, request.op);
    if (failed(derived))
      return failure();
    SmallVector<Value> operands(request.operands);
    llvm::append_range(operands, request.getSeeds(b));
    results = SmallVector<Value>(
        func::CallOp::create(b, *derived, operands).getResults());
  }
  if (failed(results))
    return failure();
  request.op->replaceAllUsesWith(*results);
  request.op->erase();
  return success();
}

/// The function that an attribute of f names.
FailureOr<func::FuncOp> Differentiator::lookUp(func::FuncOp f,
                                               StringRef attribute) {
  auto name = f->getAttrOfType<FlatSymbolRefAttr>(attribute);
  if (auto g = symbols.lookupNearestSymbolFrom<func::FuncOp>(f, name))
    return g;
  return f.emitError("expected '")
         << attribute << "' to name a function, found no " << name;
}

static InFlightDiagnostic emitWrongType(func::FuncOp f, func::FuncOp g,
                                        StringRef what, StringRef attribute) {
  return f.emitError("expected @") << g.getName() << ", the " << what << " in '"
                                   << attribute << "', to have type ";
}

/// A rule takes the arguments and the cotangents (tangents) of all float
/// results (arguments), and gives the gradients (tangents) of all float
/// arguments (results). With 'quant_ste.vjp_forward', which gives f's results
/// and then residuals, it takes these in place of the arguments.
FailureOr<SmallVector<Value>>
Differentiator::callOwnRule(ImplicitLocOpBuilder &b, const Request &request,
                            func::FuncOp f) {
  Mode mode = request.mode;
  auto g = lookUp(f, mode.rule());
  if (failed(g))
    return failure();
  func::FuncOp forward;
  if (mode.isReverse && f->hasAttr(kForwardRule)) {
    auto found = lookUp(f, kForwardRule);
    if (failed(found))
      return failure();
    forward = *found;
  }
  SmallVector<int64_t> all = differentiableIndices(f.getArgumentTypes());
  FunctionType joint = derivedType(f, all, mode);
  SmallVector<Type> inputs(joint.getInputs());
  if (forward) {
    auto [in, out] =
        std::pair(forward.getArgumentTypes(), forward.getResultTypes());
    if (in != f.getArgumentTypes() ||
        out.take_front(f.getNumResults()) != f.getResultTypes()) {
      InFlightDiagnostic diag =
          emitWrongType(f, forward, "forward function", kForwardRule)
          << f.getFunctionType() << " and residuals as further results, got "
          << forward.getFunctionType();
      diag.attachNote(forward.getLoc()) << "declared here";
      return diag;
    }
    inputs.assign(out.begin() + f.getNumResults(), out.end());
    llvm::append_range(inputs,
                       joint.getInputs().drop_front(f.getNumArguments()));
  }
  auto expected = FunctionType::get(
      b.getContext(), inputs, joint.getResults().drop_front(f.getNumResults()));
  if (g->getFunctionType() != expected) {
    InFlightDiagnostic diag = emitWrongType(f, *g, "rule", mode.rule())
                              << expected << ", got " << g->getFunctionType();
    diag.attachNote(g->getLoc()) << "declared here";
    return diag;
  }

  SmallVector<Value> results(request.op->getNumResults()), operands;
  auto primals = request.op->getResults().take_front(f.getNumResults());
  if (forward) {
    auto call = func::CallOp::create(b, forward, request.operands);
    llvm::copy(call.getResults().take_front(f.getNumResults()),
               results.begin());
    llvm::append_range(operands,
                       call.getResults().drop_front(f.getNumResults()));
  } else {
    if (llvm::all_of(primals, [](Value r) { return r.use_empty(); })) {
      // Nobody reads them; a placeholder of the right type keeps the list
      // whole.
      llvm::copy(primals, results.begin());
    } else {
      auto call = func::CallOp::create(b, f, request.operands);
      llvm::copy(call.getResults(), results.begin());
    }
    llvm::append_range(operands, request.operands);
  }
  SmallVector<Value> seeds = request.getSeeds(b);
  if (mode.isReverse) {
    llvm::append_range(operands, seeds);
  } else {
    // Arguments that are held constant have zero tangents.
    for (int64_t i : all) {
      auto n = llvm::find(request.wrt, i) - request.wrt.begin();
      operands.push_back(n < static_cast<ptrdiff_t>(seeds.size())
                             ? seeds[n]
                             : zerosLike(b, request.operands[i]));
    }
  }
  auto call = func::CallOp::create(b, *g, operands);
  auto out = MutableArrayRef(results).drop_front(f.getNumResults());
  if (mode.isReverse)
    for (auto [slot, i] : llvm::zip_equal(out, request.wrt))
      slot = call.getResult(llvm::find(all, i) - all.begin());
  else
    llvm::copy(call.getResults(), out.begin());
  return results;
}

//===----------------------------------------------------------------------===//
// The derivative of a function
//===----------------------------------------------------------------------===//

/// What is said of f holds of its derivative, but for what this dialect says.
static void describe(func::FuncOp derived, func::FuncOp f, Mode mode) {
  MLIRContext *ctx = f.getContext();
  unsigned numArgs = f.getNumArguments();
  for (NamedAttribute attr : f->getDiscardableAttrs())
    if (!isa_and_nonnull<QuantSTEDialect>(attr.getNameDialect()) &&
        !derived->hasAttr(attr.getName()))
      derived->setDiscardableAttr(attr.getName(), attr.getValue());
  if (f.getNoInline())
    derived.setNoInline(true);
  // All at once: each list of them lives as long as the context.
  StringRef mark = mode.isReverse ? "quant_ste.cotangent" : "quant_ste.tangent";
  SmallVector<DictionaryAttr> argAttrs;
  for (unsigned i = 0, e = derived.getNumArguments(); i < e; ++i) {
    NamedAttrList attrs(derived.getArgAttrDict(i));
    if (i >= numArgs) {
      attrs.set(mark, UnitAttr::get(ctx));
    } else {
      for (NamedAttribute attr : function_interface_impl::getArgAttrs(f, i))
        if (!isa_and_nonnull<QuantSTEDialect>(attr.getNameDialect()))
          attrs.set(attr.getName(), attr.getValue());
    }
    argAttrs.push_back(attrs.getDictionary(ctx));
  }
  derived.setAllArgAttrs(argAttrs);
  derived->setAttr(
      "quant_ste.num_primal_results",
      IntegerAttr::get(IntegerType::get(ctx, 64), f.getNumResults()));
}

FailureOr<func::FuncOp> Differentiator::derive(func::FuncOp f,
                                               ArrayRef<int64_t> wrt, Mode mode,
                                               Operation *asker) {
  Key key{f, mode.isReverse, wrt.vec()};
  if (auto it = made.find(key); it != made.end())
    return it->second;
  auto fail = [&] {
    made[key] = failure();
    return failure();
  };
  bool hasOwnRule = f->hasAttr(mode.rule());
  if (f.isExternal() && !hasOwnRule) {
    asker->emitError("cannot differentiate @")
        << f.getName() << ": it has no body; give it a rule of its own "
        << "(attribute " << mode.rule() << ")";
    return fail();
  }
  if (f->hasAttr(mode.otherRule()) && !hasOwnRule) {
    asker->emitError("cannot differentiate @")
        << f.getName() << ": it has a rule of its own in '" << mode.otherRule()
        << "' but none in '" << mode.rule() << "'";
    return fail();
  }
  if (!hasOwnRule && !f.getBody().hasOneBlock()) {
    f.emitError("cannot differentiate @")
        << f.getName() << ": expected one block, got "
        << llvm::range_size(f.getBody())
        << "; branches between blocks have no gradient";
    return fail();
  }
  if (resolving.contains(f)) {
    asker->emitError("cannot differentiate @")
        << f.getName() << ": its body asks for its own derivative";
    return fail();
  }
  // The derivatives that f itself asks for are calls before it is
  // differentiated.
  if (failed(resolveRequests(f)))
    return fail();

  func::FuncOp derived = makeFunction(f, wrt, mode);
  if (!derived)
    return fail();
  // Known from here on, so that a recursive function's derivative calls itself.
  made.insert({key, derived});
  describe(derived, f, mode);
  if (hasOwnRule) {
    wrapOwnRule(derived, f, wrt, mode);
  } else {
    ScopedDiagnosticHandler handler(f.getContext(), [&](Diagnostic &diag) {
      if (asker != f)
        diag.attachNote(asker->getLoc())
            << "the derivative of @" << f.getName() << " is asked for here";
      return failure(); // only a note: the error goes its way
    });
    if (failed(fill(derived, f, wrt, mode)))
      return fail();
  }
  if (failed(resolveRequests(derived)))
    return fail();
  return derived;
}

/// A function with a rule of its own: a request for it, which finds the rule.
void Differentiator::wrapOwnRule(func::FuncOp derived, func::FuncOp f,
                                 ArrayRef<int64_t> wrt, Mode mode) {
  auto b =
      ImplicitLocOpBuilder::atBlockEnd(f.getLoc(), derived.addEntryBlock());
  ValueRange args = derived.getArguments();
  unsigned n = f.getNumArguments();
  Operation *request;
  if (mode.isReverse)
    request = VjpOp::create(b, derived.getResultTypes(), f.getName(),
                            args.take_front(n), args.drop_front(n), wrt);
  else
    request = JvpOp::create(b, derived.getResultTypes(), f.getName(),
                            args.take_front(n), args.drop_front(n), wrt);
  func::ReturnOp::create(b, request->getResults());
}

/// @f_vjp: the declaration that stands for it, or a new private function.
func::FuncOp Differentiator::makeFunction(func::FuncOp f, ArrayRef<int64_t> wrt,
                                          Mode mode) {
  FunctionType type = derivedType(f, wrt, mode);
  std::string name = (f.getName() + mode.suffix()).str();
  SymbolTable &table = symbols.getSymbolTable(f->getParentOp());
  auto declared = table.lookup<func::FuncOp>(name);
  if (declared && declared.isExternal()) {
    if (declared.getFunctionType() == type)
      return declared;
    declared.emitError("expected a declaration of type ")
        << type << " for the derivative of @" << f.getName() << ", got "
        << declared.getFunctionType();
    return {};
  }
  auto derived = func::FuncOp::create(f.getLoc(), name, type);
  derived.setPrivate();
  table.insert(derived, std::next(f->getIterator()));
  return derived;
}

/// Whether leaving out a call changes nothing but the time it takes.
static bool isPure(func::FuncOp f, SymbolTableCollection &symbols,
                   llvm::SmallPtrSetImpl<Operation *> &visited) {
  if (f.isExternal())
    return false;
  if (!visited.insert(f).second)
    return true;
  WalkResult result = f.getBody().walk([&](Operation *op) {
    if (op->hasTrait<OpTrait::IsTerminator>() ||
        op->hasTrait<OpTrait::HasRecursiveMemoryEffects>() ||
        isMemoryEffectFree(op))
      return WalkResult::advance();
    auto call = dyn_cast<func::CallOp>(op);
    if (!call)
      return WalkResult::interrupt();
    auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        call, call.getCalleeAttr());
    return callee && isPure(callee, symbols, visited) ? WalkResult::advance()
                                                      : WalkResult::interrupt();
  });
  return !result.wasInterrupted();
}

/// A request computes the primal results too: where it comes before every use
/// of those of the call it was made for, that call is not made.
static void shareCalls(Block &block) {
  // The calls so far, by callee and operands: what replaces one changes only
  // operands that come later.
  using Key = std::pair<const void *, SmallVector<void *>>;
  std::map<Key, SmallVector<func::CallOp>> calls;
  auto keyOf = [](Attribute callee, ValueRange operands) {
    return Key(callee.getAsOpaquePointer(),
               llvm::map_to_vector(
                   operands, [](Value v) { return v.getAsOpaquePointer(); }));
  };
  for (Operation &op : block) {
    if (auto call = dyn_cast<func::CallOp>(op)) {
      calls[keyOf(call.getCalleeAttr(), call.getOperands())].push_back(call);
      continue;
    }
    auto request = Request::get(&op);
    if (!request)
      continue;
    auto isEarly = [&](Operation *user) {
      return !op.isBeforeInBlock(block.findAncestorOpInBlock(*user));
    };
    auto it = calls.find(keyOf(request->callee, request->operands));
    if (it == calls.end())
      continue;
    llvm::erase_if(it->second, [&](func::CallOp call) {
      if (llvm::any_of(call->getUsers(), isEarly))
        return false;
      call->replaceAllUsesWith(
          op.getResults().take_front(call.getNumResults()));
      call->erase();
      return true;
    });
  }
}

static void eraseDeadOps(Block &block, SymbolTableCollection &symbols) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
      continue;
    }
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseDeadOps(inner, symbols);
    if (isOpTriviallyDead(&op)) {
      op.erase(); // only a dead call kept it
      continue;
    }
    auto call = dyn_cast<func::CallOp>(op);
    if (!call || !call->use_empty())
      continue;
    llvm::SmallPtrSet<Operation *, 8> visited;
    auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        call, call.getCalleeAttr());
    if (callee && isPure(callee, symbols, visited))
      call->erase();
  }
}

LogicalResult Differentiator::fill(func::FuncOp derived, func::FuncOp f,
                                   ArrayRef<int64_t> wrt, Mode mode) {
  MLIRContext *ctx = f.getContext();
  IRMapping map;
  f.getBody().cloneInto(&derived.getBody(), map);
  if (mode.isReverse)
    nestCheckpointedLoops(derived);
  Block &block = derived.getBody().front();
  unsigned numArgs = f.getNumArguments();
  for (Type type : derived.getArgumentTypes().drop_front(numArgs))
    block.addArgument(type, f.getLoc());
  llvm::SmallPtrSet<Operation *, 32> primal;
  for (Operation &op : block)
    primal.insert(&op);

  Operation *terminator = block.getTerminator();
  ImplicitLocOpBuilder b(f.getLoc(), terminator);
  auto seeds = llvm::map_to_vector(
      wrt, [&](int64_t i) -> Value { return block.getArgument(i); });
  SmallVector<Value> given(block.getArguments().drop_front(numArgs));
  SmallVector<int64_t> floats = differentiableIndices(f.getResultTypes());
  auto targets = llvm::map_to_vector(
      floats, [&](int64_t i) { return terminator->getOperand(i); });
  auto activity = Activity::get(block, seeds, targets);
  if (failed(activity))
    return failure();
  auto derivatives = mode.isReverse
                         ? pullBack(b, *activity, targets, given, seeds)
                         : pushForward(b, *activity, seeds, given, targets);
  if (failed(derivatives))
    return failure();
  for (auto [t, v] :
       llvm::zip_equal(*derivatives, mode.isReverse ? seeds : targets)) {
    if (!t)
      t = zerosLike(b, v);
    terminator->insertOperands(terminator->getNumOperands(), t);
  }

  // A derivative is found again by the op that it comes from.
  auto origin = StringAttr::get(ctx, mode.suffix().drop_front());
  auto mark = [&](Operation *op) {
    op->setLoc(FusedLoc::get(ctx, {op->getLoc()}, origin));
  };
  for (Operation &op : block)
    if (!primal.contains(&op))
      op.walk(mark);
  replaceSuperseded(derived);
  derived->walk([](Block *inner) { shareCalls(*inner); });
  eraseDeadOps(block, symbols);
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct DifferentiatePass
    : quant_ste::impl::QuantSTEDifferentiatePassBase<DifferentiatePass> {
  using QuantSTEDifferentiatePassBase::QuantSTEDifferentiatePassBase;

  void runOnOperation() override {
    Differentiator differentiator;
    bool failed = false;
    if (!function.empty())
      failed |= mlir::failed(serveOptions(differentiator));
    else if (!wrt.empty()) {
      getOperation()->emitError(
          "expected option 'function' together with 'wrt'");
      failed = true;
    }

    SmallVector<func::FuncOp> functions;
    getOperation()->walk([&](func::FuncOp f) { functions.push_back(f); });
    for (func::FuncOp f : functions)
      failed |= mlir::failed(differentiator.resolveRequests(f));
    if (failed)
      signalPassFailure();
  }

  LogicalResult serveOptions(Differentiator &differentiator);
};
} // namespace

LogicalResult DifferentiatePass::serveOptions(Differentiator &differentiator) {
  ModuleOp module = getOperation();
  auto f = module.lookupSymbol<func::FuncOp>(function);
  if (!f)
    return module.emitError("expected a function named '")
           << function << "' to differentiate, found none";
  Mode direction{mode == DifferentiationMode::Reverse};
  SmallVector<int64_t> indices(wrt.begin(), wrt.end());
  if (indices.empty())
    indices = differentiableIndices(f.getArgumentTypes());
  if (indices.empty())
    return f.emitError("expected a float argument to differentiate by, got (")
           << f.getArgumentTypes() << ")";

  if (failed(verifyWrt(f, f, indices)))
    return failure();
  auto derived = differentiator.derive(f, indices, direction, f);
  if (failed(derived))
    return failure();
  derived->setPublic();
  return success();
}
