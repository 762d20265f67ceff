//===- CustomOps.cpp - rules written in IR -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The readings of a rule that stands in regions: as IR it is copied, as
// constants its ops are folded, as a footprint its uses are walked.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "quant_ste/Rules/Readings/APFloatScalar.h"
#include "quant_ste/Rules/Readings/IRScalar.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::quant_ste;
using mlir::quant_ste::rules::Footprint;
using mlir::quant_ste::rules::Partial;
using mlir::quant_ste::rules::PartialKind;

/// Footprints have one bit for each operand, and one for the result.
static constexpr unsigned kMaxOperands = 31;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

/// (`,` operand (`axes` `(` list `)`)?)*
ParseResult quant_ste::parseParameters(
    OpAsmParser &parser,
    SmallVectorImpl<OpAsmParser::UnresolvedOperand> &parameters,
    ArrayAttr &axes) {
  SmallVector<Attribute> all;
  while (succeeded(parser.parseOptionalComma())) {
    if (parser.parseOperand(parameters.emplace_back()))
      return failure();
    Attribute given = DenseI64ArrayAttr::get(parser.getContext(), {});
    if (succeeded(parser.parseOptionalKeyword("axes"))) {
      if (parser.parseLParen())
        return failure();
      given = DenseI64ArrayAttr::parse(parser, Type());
      if (!given || parser.parseRParen())
        return failure();
    }
    all.push_back(given);
  }
  axes = parser.getBuilder().getArrayAttr(all);
  return success();
}

void quant_ste::printParameters(OpAsmPrinter &printer, Operation *,
                                OperandRange parameters, ArrayAttr axes) {
  for (auto [parameter, attr] : llvm::zip_equal(parameters, axes)) {
    printer << ", " << parameter;
    auto given = cast<DenseI64ArrayAttr>(attr);
    if (given.empty())
      continue;
    printer << " axes(";
    given.print(printer);
    printer << ")";
  }
}

static ParseResult parseRuleRegion(OpAsmParser &parser, Region &region) {
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseArgumentList(arguments, AsmParser::Delimiter::Paren,
                               /*allowType=*/true))
    return failure();
  // Isolated regions may use the names of values outside.
  return parser.parseRegion(region, arguments, /*enableNameShadowing=*/true);
}

/// `forward` region (`partials` region)? (`vjp` region)?; the verifier wants
/// one gradient.
ParseResult quant_ste::parseRuleRegions(OpAsmParser &parser, Region &forward,
                                        Region &partials, Region &vjp) {
  if (parser.parseKeyword("forward") || parseRuleRegion(parser, forward))
    return failure();
  for (auto [name, region] :
       {std::pair("partials", &partials), std::pair("vjp", &vjp)})
    if (succeeded(parser.parseOptionalKeyword(name)) &&
        parseRuleRegion(parser, *region))
      return failure();
  return success();
}

void quant_ste::printRuleRegions(OpAsmPrinter &printer, Operation *,
                                 Region &forward, Region &partials,
                                 Region &vjp) {
  printer.printNewline();
  StringRef separator;
  for (auto [name, region] :
       {std::pair("forward", &forward), std::pair("partials", &partials),
        std::pair("vjp", &vjp)}) {
    if (region->empty())
      continue;
    printer << separator << name << "(";
    llvm::interleaveComma(
        region->getArguments(), printer,
        [&](BlockArgument arg) { printer.printRegionArgument(arg); });
    printer << ") ";
    printer.printRegion(*region, /*printEntryBlockArgs=*/false);
    separator = " ";
  }
}

ParseResult NamedRuleOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  (void)impl::parseOptionalVisibilityKeyword(parser, result.attributes);
  StringAttr name;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name),
                             result.attributes))
    return failure();
  Region *forward = result.addRegion(), *partials = result.addRegion(),
         *vjp = result.addRegion();

  // A declaration says its type; a definition has it in its arguments.
  SmallVector<Type> in, out;
  bool isDeclaration = succeeded(parser.parseOptionalLParen());
  if (isDeclaration) {
    if (failed(parser.parseOptionalRParen()) &&
        (parser.parseTypeList(in) || parser.parseRParen()))
      return failure();
    if (parser.parseArrowTypeList(out))
      return failure();
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  if (!isDeclaration) {
    if (parseRuleRegions(parser, *forward, *partials, *vjp))
      return failure();
    llvm::append_range(in, forward->getArgumentTypes());
    if (Block &block = forward->front();
        !block.empty() && isa<quant_ste::YieldOp>(block.back()))
      llvm::append_range(out, block.back().getOperandTypes());
  }
  result.addAttribute(getFunctionTypeAttrName(result.name),
                      TypeAttr::get(b.getFunctionType(in, out)));
  return success();
}

void NamedRuleOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  if (std::optional<StringRef> visibility = getSymVisibility())
    printer << *visibility << ' ';
  printer.printSymbolName(getSymName());
  FunctionType type = getFunctionType();
  if (isDeclaration()) {
    printer << "(" << type.getInputs() << ")";
    printer.printArrowTypeList(type.getResults());
  }
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getSymVisibilityAttrName(),
                            getFunctionTypeAttrName()});
  if (!isDeclaration())
    printRuleRegions(printer, *this, getForward(), getPartials(), getVjp());
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

static SmallVector<Axes> getAxes(ArrayAttr axes) {
  return llvm::map_to_vector(axes, [](Attribute attr) -> Axes {
    ArrayRef<int64_t> given = cast<DenseI64ArrayAttr>(attr).asArrayRef();
    return given.empty() ? Axes() : Axes(given);
  });
}

/// What holds for custom and apply: the parameters.
static LogicalResult verifyOperands(Operation *op, ArrayAttr axes) {
  unsigned n = op->getNumOperands();
  if (n > kMaxOperands)
    return op->emitOpError("expected at most ")
           << kMaxOperands << " operands, got " << n;
  if (axes.size() != n - 1)
    return op->emitOpError("expected 'axes' to have one list for each of the ")
           << n - 1 << " parameters, got " << axes.size();
  std::vector<std::string> names;
  for (unsigned i = 0; i < n; ++i)
    names.push_back("operand " + std::to_string(i));
  return verifyParameters(
      op,
      llvm::map_to_vector(names, [](std::string &s) { return StringRef(s); }),
      getAxes(axes));
}

static bool isScalar(Type type) { return type.isIntOrIndexOrFloat(); }

/// One op in a region of a rule.
static LogicalResult verifyScalarOp(Operation &op, StringRef region) {
  if (isa<MaskedOp>(op)) {
    bool isYielded = llvm::all_of(op.getUsers(), [](Operation *user) {
      return isa<quant_ste::YieldOp>(user);
    });
    if (region == "partials" && isYielded)
      return success();
    return op.emitOpError("expected to be yielded from 'partials', ")
           << (isYielded ? "got it in '" + region.str() + "'"
                         : "got another use");
  }
  bool isRule = isa<GradientRuleInterface>(op);
  bool isScalarOp = isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
                        op.getDialect()) &&
                    (op.hasTrait<OpTrait::ConstantLike>() ||
                     OpTrait::hasElementwiseMappableTraits(&op));
  if (!(isRule || isScalarOp) || op.getNumRegions() != 0 || !isPure(&op))
    return op.emitError("expected scalar ops of arith and math without side "
                        "effects or regions, and ops of quant_ste with a "
                        "gradient rule, in '")
           << region << "', got '" << op.getName() << "'";
  for (Type type :
       llvm::concat<const Type>(SmallVector<Type>(op.getOperandTypes()),
                                SmallVector<Type>(op.getResultTypes())))
    if (!isScalar(type))
      return op.emitError("expected scalars in '")
             << region << "', got " << type;
  auto fastMath = dyn_cast<arith::ArithFastMathInterface>(op);
  if (fastMath && fastMath.getFastMathFlagsAttr() &&
      fastMath.getFastMathFlagsAttr().getValue() != arith::FastMathFlags::none)
    return op.emitError("expected no fast-math flags in '")
           << region << "', got " << fastMath.getFastMathFlagsAttr();
  return success();
}

/// `takes` arguments of the compute type, scalar ops, and a yield of `gives`
/// values: floats of the compute type or, where `allowsMask`, i1.
static LogicalResult verifyRuleRegion(Operation *op, StringRef name,
                                      Region &region, unsigned takes,
                                      StringRef meaning, unsigned gives,
                                      bool allowsMask, FloatType compute) {
  SmallVector<Type> expected(takes, compute);
  Block &block = region.front();
  if (TypeRange(block.getArgumentTypes()) != TypeRange(expected))
    return op->emitOpError("expected '")
           << name << "' to take " << meaning << ", in the compute type: ("
           << expected << "), got (" << block.getArgumentTypes() << ")";
  for (Operation &inner : block.without_terminator())
    if (failed(verifyScalarOp(inner, name)))
      return failure();
  auto yield = dyn_cast<quant_ste::YieldOp>(block.back());
  if (!yield)
    return op->emitOpError("expected '")
           << name << "' to end with quant_ste.yield, got '"
           << block.back().getName() << "'";
  TypeRange types = yield->getOperandTypes();
  bool fits = types.size() == gives && llvm::all_of(types, [&](Type type) {
                return type == compute || (allowsMask && type.isInteger(1));
              });
  if (fits)
    return success();
  return yield.emitError("expected '")
         << name << "' to yield "
         << (allowsMask ? "for each operand the partial derivative, "
                        : "values of type ")
         << compute << (allowsMask ? " or a mask, i1" : "") << ", " << gives
         << " in all, got (" << types << ")";
}

/// The regions of a custom op or of a rule with `n` operands.
static LogicalResult verifyRuleRegions(Operation *op, Region &forward,
                                       Region &partials, Region &vjp,
                                       unsigned n, FloatType compute) {
  if (partials.empty() == vjp.empty())
    return op->emitOpError(
               "expected a gradient in 'partials' or in 'vjp', got ")
           << (vjp.empty() ? "neither" : "both");
  if (failed(verifyRuleRegion(op, "forward", forward, n, "the operands", 1,
                              /*allowsMask=*/false, compute)))
    return failure();
  if (!partials.empty())
    return verifyRuleRegion(op, "partials", partials, n + 1,
                            "the operands and the result", n,
                            /*allowsMask=*/true, compute);
  return verifyRuleRegion(op, "vjp", vjp, n + 2,
                          "the operands, the result and its cotangent", n,
                          /*allowsMask=*/false, compute);
}

LogicalResult CustomOp::verify() { return verifyOperands(*this, getAxes()); }

LogicalResult CustomOp::verifyRegions() {
  return verifyRuleRegions(*this, getForward(), getPartials(), getVjp(),
                           getNumOperands(), getComputeType());
}

LogicalResult NamedRuleOp::verify() {
  FunctionType type = getFunctionType();
  auto fits = [&] {
    if (type.getNumInputs() == 0 || type.getNumInputs() > kMaxOperands ||
        type.getNumResults() != 1)
      return false;
    Type compute = type.getResult(0);
    return (compute.isF32() || compute.isF64()) &&
           llvm::all_equal(type.getInputs()) && type.getInput(0) == compute;
  };
  if (!fits())
    return emitOpError("expected a function of 1 to ")
           << kMaxOperands << " f32 to f32, or of f64 to f64, got " << type;
  if (isDeclaration() && !(getPartials().empty() && getVjp().empty()))
    return emitOpError("expected 'forward' beside the gradient, got none");
  return success();
}

LogicalResult NamedRuleOp::verifyRegions() {
  if (isDeclaration())
    return success();
  return verifyRuleRegions(*this, getForward(), getPartials(), getVjp(),
                           getFunctionType().getNumInputs(),
                           cast<FloatType>(getFunctionType().getResult(0)));
}

//===----------------------------------------------------------------------===//
// custom: the footprint
//===----------------------------------------------------------------------===//

static ValueRange yieldsOf(Region &region) {
  return region.front().back().getOperands();
}

static bool isZero(Value v) {
  return matchPattern(v, m_AnyZeroFloat()) || matchPattern(v, m_Zero());
}

/// What the value yielded for an operand in `partials` says.
static PartialKind partialKind(Value v) {
  if (v.getDefiningOp<MaskedOp>())
    return PartialKind::Masked;
  if (isZero(v))
    return PartialKind::Zero;
  if (matchPattern(v, m_OneFloat()) || matchPattern(v, m_One()))
    return PartialKind::One;
  return v.getType().isInteger(1) ? PartialKind::Mask : PartialKind::Value;
}

/// What the gradient yielded for an operand in `vjp` is.
static PartialKind vjpKind(Value v) {
  if (isZero(v))
    return PartialKind::Zero;
  Block *block = v.getParentBlock();
  return v == block->getArguments().back() ? PartialKind::One
                                           : PartialKind::Value;
}

/// The block arguments that a value is computed from: bit i is argument i.
static uint64_t argumentsRead(Value v) {
  uint64_t read = 0;
  llvm::SetVector<Value> reached;
  reached.insert(v);
  for (size_t i = 0; i < reached.size(); ++i) {
    if (auto arg = dyn_cast<BlockArgument>(reached[i]))
      read |= uint64_t(1) << arg.getArgNumber();
    else
      reached.insert_range(reached[i].getDefiningOp()->getOperands());
  }
  return read;
}

SmallVector<PartialFootprint> CustomOp::getFootprint() {
  unsigned n = getNumOperands();
  bool hasPartials = !getPartials().empty();
  SmallVector<PartialFootprint> footprint;
  for (Value v : yieldsOf(hasPartials ? getPartials() : getVjp())) {
    PartialKind kind = hasPartials ? partialKind(v) : vjpKind(v);
    uint32_t needs = 0;
    if (kind != PartialKind::Zero && kind != PartialKind::One) {
      // The arguments are the operands, the result, perhaps the cotangent.
      uint64_t read = argumentsRead(v);
      uint64_t result = uint64_t(1) << n;
      needs = static_cast<uint32_t>(read & (result - 1));
      if (read & result)
        needs |= Footprint::kResult;
    }
    footprint.push_back({kind, needs});
  }
  return footprint;
}

//===----------------------------------------------------------------------===//
// custom: as IR
//===----------------------------------------------------------------------===//

SmallVector<AffineMap> CustomOp::getOperandMaps() {
  return getParameterMaps(*this, ::getAxes(getAxes()));
}

SmallVector<AffineMap> CustomOp::getResultMaps() {
  return {getOperandMaps().front()};
}

FloatType CustomOp::getComputeType() {
  return getComputeTypeFor(getX().getType());
}

/// The ops of the region, and what it yields, for the given arguments. A masked
/// value stands for its value.
static SmallVector<Value> inlineRegion(ImplicitLocOpBuilder &b, Region &region,
                                       ValueRange arguments, IRMapping &map) {
  map.map(region.getArguments(), arguments);
  auto lookUp = [&](ValueRange values) {
    return llvm::map_to_vector(values, [&](Value v) { return map.lookup(v); });
  };
  for (Operation &op : region.front().without_terminator()) {
    if (auto rule = dyn_cast<GradientRuleInterface>(op))
      map.map(op.getResults(), rule.emitForward(b, lookUp(op.getOperands())));
    else if (auto masked = dyn_cast<MaskedOp>(op))
      map.map(masked.getPartial(), map.lookup(masked.getValue()));
    else
      b.clone(op, map);
  }
  return lookUp(yieldsOf(region));
}

SmallVector<Value> CustomOp::emitForward(ImplicitLocOpBuilder &b,
                                         ValueRange scalars) {
  IRMapping map;
  return inlineRegion(b, getForward(), scalars, map);
}

/// The partial derivatives at the operands and the result.
static SmallVector<Partial<IRScalar>> emitPartials(CustomOp op,
                                                   ImplicitLocOpBuilder &b,
                                                   ValueRange scalars,
                                                   Value result) {
  SmallVector<Value> arguments(scalars);
  arguments.push_back(result);
  IRMapping map;
  SmallVector<Value> values = inlineRegion(b, op.getPartials(), arguments, map);
  SmallVector<Partial<IRScalar>> partials;
  for (auto [part, source, v] :
       llvm::zip_equal(op.getFootprint(), yieldsOf(op.getPartials()), values)) {
    Partial<IRScalar> partial{part.kind, {}, {}};
    if (auto masked = source.getDefiningOp<MaskedOp>())
      partial.mask =
          IRBool{&b, op.getComputeType(), map.lookup(masked.getMask())};
    if (part.kind == PartialKind::Mask)
      partial.mask = IRBool{&b, op.getComputeType(), v};
    else
      partial.value = IRScalar(b, v);
    partials.push_back(partial);
  }
  return partials;
}

static Value applyPartial(const Partial<IRScalar> &partial,
                          ImplicitLocOpBuilder &b, Value t) {
  return partial.apply(IRScalar(b, t))
      .materialize(b, cast<FloatType>(t.getType()));
}

SmallVector<Value> CustomOp::emitVjp(ImplicitLocOpBuilder &b,
                                     ValueRange scalars, ValueRange results,
                                     ArrayRef<Value> cotangents) {
  SmallVector<Value> gradients(getNumOperands());
  Value cotangent = cotangents.front();
  if (!cotangent)
    return gradients;
  if (!getPartials().empty()) {
    for (auto [gradient, partial] : llvm::zip_equal(
             gradients, emitPartials(*this, b, scalars, results.front())))
      if (partial.kind != PartialKind::Zero)
        gradient = applyPartial(partial, b, cotangent);
    return gradients;
  }
  SmallVector<Value> arguments(scalars);
  arguments.push_back(results.front());
  arguments.push_back(cotangent);
  IRMapping map;
  SmallVector<Value> values = inlineRegion(b, getVjp(), arguments, map);
  for (auto [gradient, part, v] :
       llvm::zip_equal(gradients, getFootprint(), values))
    if (part.kind != PartialKind::Zero)
      gradient = v;
  return gradients;
}

FailureOr<SmallVector<Value>> CustomOp::emitJvp(ImplicitLocOpBuilder &b,
                                                ValueRange scalars,
                                                ValueRange results,
                                                ArrayRef<Value> tangents) {
  if (getPartials().empty())
    return failure();
  Value sum;
  for (auto [partial, t] : llvm::zip_equal(
           emitPartials(*this, b, scalars, results.front()), tangents)) {
    if (!t || partial.kind == PartialKind::Zero)
      continue;
    Value term = applyPartial(partial, b, t);
    sum = sum ? arith::AddFOp::create(b, sum, term).getResult() : term;
  }
  return SmallVector<Value>{sum};
}

FailureOr<SmallVector<Value>> CustomOp::buildVjp(OpBuilder &b,
                                                 ArrayRef<Value> cotangents,
                                                 ArrayRef<bool> wanted) {
  return buildPullback(b, *this, cotangents, wanted);
}

FailureOr<SmallVector<Value>> CustomOp::buildJvp(OpBuilder &b,
                                                 ArrayRef<Value> tangents) {
  if (getPartials().empty())
    return emitOpError("has no forward mode: expected its gradient in "
                       "'partials', got 'vjp'");
  return buildPushforward(b, *this, tangents);
}

//===----------------------------------------------------------------------===//
// custom: on constants
//===----------------------------------------------------------------------===//

/// Whether the folder computes what compiled code does, bit for bit: one IEEE
/// operation, or arithmetic on integers. Compiled code may call a math library
/// for the others, and does not order zeros in a maximum or minimum.
static bool foldsExactly(Operation &op) {
  if (isa<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
          arith::MinNumFOp, arith::RemFOp>(op))
    return false;
  return isa<arith::ArithDialect>(op.getDialect()) ||
         isa<math::AbsFOp, math::CeilOp, math::CopySignOp, math::FloorOp,
             math::RoundEvenOp, math::RoundOp, math::SqrtOp, math::TruncOp>(op);
}

/// The results of one op of a region, given constants for what it reads.
static FailureOr<SmallVector<Attribute>>
evaluateOp(Operation &op, const DenseMap<Value, Attribute> &known,
           EmitErrorFn emitError) {
  auto constantsOf = [&](ValueRange values) {
    return llvm::map_to_vector(values, [&](Value v) { return known.at(v); });
  };
  auto fail = [&](StringRef reason) {
    if (emitError) {
      InFlightDiagnostic diag = emitError() << "cannot evaluate '"
                                            << op.getName() << "' " << reason;
      diag.attachNote(op.getLoc()) << "in this rule";
    }
    return failure();
  };
  if (auto rule = dyn_cast<GradientRuleInterface>(op)) {
    SmallVector<APFloat> scalars;
    for (Attribute a : constantsOf(op.getOperands()))
      scalars.push_back(cast<FloatAttr>(a).getValue());
    auto results = rule.evaluateForward(scalars, emitError);
    if (failed(results))
      return failure();
    return llvm::map_to_vector(*results, [&](const APFloat &v) -> Attribute {
      return FloatAttr::get(rule.getComputeType(), v);
    });
  }
  if (auto masked = dyn_cast<MaskedOp>(op))
    return constantsOf(masked.getValue());
  if (!foldsExactly(op))
    return fail("on constants: compiled code may compute other bits");
  // Its folder refuses to round.
  auto trunc = dyn_cast<arith::TruncFOp>(op);
  if (trunc && !trunc.getRoundingmode()) {
    auto type = cast<FloatType>(trunc.getType());
    APFloat wide = cast<FloatAttr>(known.at(trunc.getIn())).getValue();
    return SmallVector<Attribute>{
        FloatAttr::get(type, roundTo(wide, type.getFloatSemantics()))};
  }
  // A folder may change its op instead, a few times; so it gets a copy.
  Operation *copy = op.clone();
  llvm::scope_exit destroy([&] { copy->destroy(); });
  SmallVector<OpFoldResult> folded;
  for (int changes = 0; folded.empty(); ++changes)
    if (changes == 4 ||
        failed(copy->fold(constantsOf(copy->getOperands()), folded)))
      return fail("on these constants");
  auto constants = llvm::map_to_vector(folded, [&](OpFoldResult r) {
    auto v = dyn_cast<Value>(r);
    return v ? known.at(v) : cast<Attribute>(r);
  });
  // Poison is none.
  if (!llvm::all_of(constants, llvm::IsaPred<FloatAttr, IntegerAttr>))
    return fail("on these constants");
  return constants;
}

/// What the region yields for constant arguments; `known` gets every value in
/// it.
static FailureOr<SmallVector<Attribute>>
evaluateRegion(Region &region, ArrayRef<APFloat> arguments,
               DenseMap<Value, Attribute> &known, EmitErrorFn emitError) {
  for (auto [arg, v] : llvm::zip_equal(region.getArguments(), arguments))
    known[arg] = FloatAttr::get(arg.getType(), v);
  for (Operation &op : region.front().without_terminator()) {
    auto results = evaluateOp(op, known, emitError);
    if (failed(results))
      return failure();
    for (auto [v, constant] : llvm::zip_equal(op.getResults(), *results))
      known[v] = constant;
  }
  return llvm::map_to_vector(yieldsOf(region),
                             [&](Value v) { return known.at(v); });
}

static APFloat floatOf(Attribute a) { return cast<FloatAttr>(a).getValue(); }

FailureOr<SmallVector<APFloat>>
CustomOp::evaluateForward(ArrayRef<APFloat> scalars, EmitErrorFn emitError) {
  DenseMap<Value, Attribute> known;
  auto yields = evaluateRegion(getForward(), scalars, known, emitError);
  if (failed(yields))
    return failure();
  return llvm::map_to_vector(*yields, floatOf);
}

static FailureOr<SmallVector<Partial<APFloatScalar>>>
evaluatePartials(CustomOp op, ArrayRef<APFloat> scalars,
                 EmitErrorFn emitError) {
  auto result = op.evaluateForward(scalars, emitError);
  if (failed(result))
    return failure();
  SmallVector<APFloat> arguments(scalars);
  arguments.push_back(result->front());
  DenseMap<Value, Attribute> known;
  auto yields = evaluateRegion(op.getPartials(), arguments, known, emitError);
  if (failed(yields))
    return failure();
  auto maskOf = [&](Attribute a) {
    return APFloatBool{&scalars.front().getSemantics(),
                       cast<IntegerAttr>(a).getValue().isOne()};
  };
  SmallVector<Partial<APFloatScalar>> partials;
  for (auto [part, source, a] : llvm::zip_equal(
           op.getFootprint(), yieldsOf(op.getPartials()), *yields)) {
    Partial<APFloatScalar> partial{part.kind, {}, {}};
    if (auto masked = source.getDefiningOp<MaskedOp>())
      partial.mask = maskOf(known.at(masked.getMask()));
    if (part.kind == PartialKind::Mask)
      partial.mask = maskOf(a);
    else if (isa<FloatAttr>(a))
      partial.value = APFloatScalar(floatOf(a));
    partials.push_back(partial);
  }
  return partials;
}

FailureOr<SmallVector<APFloat>>
CustomOp::evaluateVjp(ArrayRef<APFloat> scalars, ArrayRef<APFloat> cotangents,
                      EmitErrorFn emitError) {
  const APFloat &cotangent = cotangents.front();
  const llvm::fltSemantics &format = cotangent.getSemantics();
  SmallVector<APFloat> gradients;
  if (!getPartials().empty()) {
    auto partials = evaluatePartials(*this, scalars, emitError);
    if (failed(partials))
      return failure();
    for (const auto &p : *partials)
      gradients.push_back(p.apply(APFloatScalar(cotangent)).in(format));
    return gradients;
  }
  auto result = evaluateForward(scalars, emitError);
  if (failed(result))
    return failure();
  SmallVector<APFloat> arguments(scalars);
  arguments.push_back(result->front());
  arguments.push_back(cotangent);
  DenseMap<Value, Attribute> known;
  auto yields = evaluateRegion(getVjp(), arguments, known, emitError);
  if (failed(yields))
    return failure();
  for (auto [part, a] : llvm::zip_equal(getFootprint(), *yields))
    gradients.push_back(
        part.kind == PartialKind::Zero ? APFloat::getZero(format) : floatOf(a));
  return gradients;
}

FailureOr<SmallVector<APFloat>>
CustomOp::evaluateJvp(ArrayRef<APFloat> scalars,
                      ArrayRef<std::optional<APFloat>> tangents,
                      EmitErrorFn emitError) {
  if (getPartials().empty()) {
    if (emitError)
      emitError() << "has no forward mode: its gradient is a 'vjp'";
    return failure();
  }
  auto partials = evaluatePartials(*this, scalars, emitError);
  if (failed(partials))
    return failure();
  const llvm::fltSemantics &format = scalars.front().getSemantics();
  std::optional<APFloat> sum;
  for (auto [p, t] : llvm::zip_equal(*partials, tangents)) {
    if (!t || p.kind == PartialKind::Zero)
      continue;
    APFloat term = p.apply(APFloatScalar(*t)).in(format);
    sum = sum ? *sum + term : term;
  }
  return SmallVector<APFloat>{sum.value_or(APFloat::getZero(format))};
}

/// What the regions mean by their operands is not known here.
void CustomOp::lint(ArrayRef<SmallVector<double>>,
                    function_ref<void(const Twine &)>) {}

OpFoldResult CustomOp::fold(FoldAdaptor adaptor) {
  return foldRuleOp(cast<GradientRuleInterface>(getOperation()),
                    adaptor.getOperands());
}

//===----------------------------------------------------------------------===//
// apply
//===----------------------------------------------------------------------===//

LogicalResult ApplyOp::verify() { return verifyOperands(*this, getAxes()); }

SmallVector<AffineMap> ApplyOp::getOperandMaps() {
  return getParameterMaps(*this, ::getAxes(getAxes()));
}

LogicalResult ApplyOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto rule =
      symbols.lookupNearestSymbolFrom<NamedRuleOp>(*this, getRuleAttr());
  if (!rule)
    return emitOpError("expected a quant_ste.rule named ")
           << getRuleAttr() << ", found none";
  Type compute = getComputeTypeFor(getX().getType());
  SmallVector<Type> in(getNumOperands(), compute);
  auto expected = FunctionType::get(getContext(), in, compute);
  if (rule.getFunctionType() == expected)
    return success();
  InFlightDiagnostic diag = emitOpError("expected a rule of type ")
                            << expected << " for data of type "
                            << getX().getType() << ", got " << getRuleAttr()
                            << " of type " << rule.getFunctionType();
  diag.attachNote(rule.getLoc()) << "declared here";
  return diag;
}

static LogicalResult failUnlinked(ApplyOp op) {
  return op.emitOpError("cannot be differentiated before it is linked; run "
                        "quant-ste-link-rules first");
}

FailureOr<SmallVector<Value>> ApplyOp::buildVjp(OpBuilder &, ArrayRef<Value>,
                                                ArrayRef<bool>) {
  return failUnlinked(*this);
}

FailureOr<SmallVector<Value>> ApplyOp::buildJvp(OpBuilder &, ArrayRef<Value>) {
  return failUnlinked(*this);
}
