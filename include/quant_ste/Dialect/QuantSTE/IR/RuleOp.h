//===- RuleOp.h - the op family that reads its math from a rule -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_RULEOP_H
#define QUANT_STE_DIALECT_QUANTSTE_IR_RULEOP_H

#include "mlir/IR/TypeUtilities.h"
#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"
#include "quant_ste/Interfaces/GradientAttrInterface.h"
#include "quant_ste/Interfaces/GradientRuleInterface.h"
#include "quant_ste/Rules/Rules.h"

namespace mlir::quant_ste {

//===----------------------------------------------------------------------===//
// What holds for every op with a gradient rule
//===----------------------------------------------------------------------===//

/// The dimensions of the data that a parameter runs along, as axes([...]) says;
/// nothing: one value for the whole tensor.
using Axes = std::optional<ArrayRef<int64_t>>;

/// The indexing map of each operand of an elementwise op: the identity for the
/// data; for each parameter the projection onto its axes.
SmallVector<AffineMap> getParameterMaps(Operation *op, ArrayRef<Axes> axes);

/// As above; the axes of operand i are the op's attribute `<names[i]>_axes`.
SmallVector<AffineMap> getParameterMaps(Operation *op,
                                        ArrayRef<StringRef> names);

/// Parameters have the data's element type or f32, and one dimension per axis,
/// of the size that the data has there. Names are those of all operands, axes
/// those of the parameters.
LogicalResult verifyParameters(Operation *op, ArrayRef<StringRef> names,
                               ArrayRef<Axes> axes);

/// The parameters are as verifyParameters wants them; the gradient word is one
/// of `words`.
LogicalResult verifyRuleOp(Operation *op, ArrayRef<StringRef> names,
                           ArrayRef<std::string_view> words,
                           const std::string &invalid);

/// Axes are dimensions of the data, in ascending order.
LogicalResult verifyAxes(Operation *op, StringRef name, ArrayRef<int64_t> axes,
                         int64_t dataRank);

/// The op's gradient word is one of `words`.
LogicalResult verifyWord(Operation *op, ArrayRef<std::string_view> words);

/// f16 and bf16 are computed in f32 and rounded once; f32 and f64 as they are.
FloatType getComputeTypeFor(Type data);

/// The op applied to constant operands, or null.
Attribute foldRuleOp(GradientRuleInterface op, ArrayRef<Attribute> operands);

/// Only a rule that is linear in the cotangent has a forward mode.
LogicalResult verifyLinear(Operation *op);

/// A quant_ste.pullback (pushforward) of the op, standing alone.
FailureOr<SmallVector<Value>> buildPullback(OpBuilder &b, Operation *op,
                                            ArrayRef<Value> cotangents,
                                            ArrayRef<bool> wanted);
FailureOr<SmallVector<Value>> buildPushforward(OpBuilder &b, Operation *op,
                                               ArrayRef<Value> tangents);

//===----------------------------------------------------------------------===//
// The readings of a rule; defined in Rules/Readings/RuleReadings.h
//===----------------------------------------------------------------------===//

template <class Rule>
SmallVector<Value> emitRuleForward(const Rule &rule, ImplicitLocOpBuilder &b,
                                   ValueRange scalars);
template <class Rule>
SmallVector<Value> emitRuleVjp(const Rule &rule, ImplicitLocOpBuilder &b,
                               ValueRange scalars, Value result,
                               Value cotangent, bool multiplyMasks);
template <class Rule>
SmallVector<Value> emitRuleJvp(const Rule &rule, ImplicitLocOpBuilder &b,
                               ValueRange scalars, Value result,
                               ArrayRef<Value> tangents, bool multiplyMasks);
template <class Rule>
SmallVector<PartialFootprint> ruleFootprint(const Rule &rule);
template <class Rule>
SmallVector<APFloat> evaluateRuleForward(const Rule &rule,
                                         ArrayRef<APFloat> scalars);
template <class Rule>
SmallVector<APFloat>
evaluateRuleVjp(const Rule &rule, ArrayRef<APFloat> scalars,
                const APFloat &cotangent, bool multiplyMasks);
template <class Rule>
SmallVector<APFloat>
evaluateRuleJvp(const Rule &rule, ArrayRef<APFloat> scalars,
                ArrayRef<std::optional<APFloat>> tangents, bool multiplyMasks);
template <class Rule>
void lintRule(const Rule &rule, ArrayRef<SmallVector<double>> constants,
              function_ref<void(const Twine &)> warn);

//===----------------------------------------------------------------------===//
// RuleOp
//===----------------------------------------------------------------------===//

/// An op that lists the trait RuleOp<SomeRule> implements
/// GradientRuleInterface, VjpOpInterface and JvpOpInterface by forwarding to
/// the rule, folds on constants and verifies its granularities. TableGen holds
/// names only.
template <class Rule> struct RuleOp {
  template <class ConcreteOp>
  class Impl : public OpTrait::TraitBase<ConcreteOp, Impl> {
    ConcreteOp self() { return cast<ConcreteOp>(this->getOperation()); }

  public:
    using RuleType = Rule;

    static LogicalResult verifyTrait(Operation *op) {
      std::string invalid;
      if constexpr (requires(Rule r) { r.invalid(); })
        invalid = Rule::of(cast<ConcreteOp>(op)).invalid();
      return verifyRuleOp(op, ConcreteOp::getOperandNames(), Rule::words,
                          invalid);
    }
    static LogicalResult foldTrait(Operation *op, ArrayRef<Attribute> operands,
                                   SmallVectorImpl<OpFoldResult> &results) {
      Attribute folded = foldRuleOp(cast<GradientRuleInterface>(op), operands);
      if (!folded)
        return failure();
      results.push_back(folded);
      return success();
    }

    /// A number of the gradient word, as beta in grad(swish(beta)).
    double getGradNumber(StringRef name) {
      return cast<FloatAttr>(self().getGrad().getParameters().get(name))
          .getValueAsDouble();
    }

    SmallVector<AffineMap> getOperandMaps() {
      return getParameterMaps(self(), ConcreteOp::getOperandNames());
    }
    SmallVector<AffineMap> getResultMaps() {
      return {getOperandMaps().front()};
    }
    FloatType getComputeType() {
      Type data = self()->getOperand(0).getType();
      if (self().getStepwise())
        return cast<FloatType>(getElementTypeOrSelf(data));
      return getComputeTypeFor(data);
    }
    SmallVector<Value> emitForward(ImplicitLocOpBuilder &b,
                                   ValueRange scalars) {
      return emitRuleForward(Rule::of(self()), b, scalars);
    }
    SmallVector<Value> emitVjp(ImplicitLocOpBuilder &b, ValueRange scalars,
                               ValueRange results, ArrayRef<Value> cotangents) {
      return emitRuleVjp(Rule::of(self()), b, scalars, results.front(),
                         cotangents.front(), self().getMultiplyMasks());
    }
    FailureOr<SmallVector<Value>> emitJvp(ImplicitLocOpBuilder &b,
                                          ValueRange scalars,
                                          ValueRange results,
                                          ArrayRef<Value> tangents) {
      return emitRuleJvp(Rule::of(self()), b, scalars, results.front(),
                         tangents, self().getMultiplyMasks());
    }
    SmallVector<PartialFootprint> getFootprint() {
      return ruleFootprint(Rule::of(self()));
    }
    FailureOr<SmallVector<APFloat>> evaluateForward(ArrayRef<APFloat> scalars,
                                                    EmitErrorFn) {
      return evaluateRuleForward(Rule::of(self()), scalars);
    }
    FailureOr<SmallVector<APFloat>> evaluateVjp(ArrayRef<APFloat> scalars,
                                                ArrayRef<APFloat> cotangents,
                                                EmitErrorFn) {
      return evaluateRuleVjp(Rule::of(self()), scalars, cotangents.front(),
                             self().getMultiplyMasks());
    }
    FailureOr<SmallVector<APFloat>>
    evaluateJvp(ArrayRef<APFloat> scalars,
                ArrayRef<std::optional<APFloat>> tangents, EmitErrorFn) {
      return evaluateRuleJvp(Rule::of(self()), scalars, tangents,
                             self().getMultiplyMasks());
    }
    void lint(ArrayRef<SmallVector<double>> constants,
              function_ref<void(const Twine &)> warn) {
      lintRule(Rule::of(self()), constants, warn);
    }
    FailureOr<SmallVector<Value>>
    buildVjp(OpBuilder &b, ArrayRef<Value> cotangents, ArrayRef<bool> wanted) {
      return buildPullback(b, self(), cotangents, wanted);
    }
    FailureOr<SmallVector<Value>> buildJvp(OpBuilder &b,
                                           ArrayRef<Value> tangents) {
      return buildPushforward(b, self(), tangents);
    }
  };
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_RULEOP_H
