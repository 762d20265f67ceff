#ifndef DEMO_DEADZONE_H
#define DEMO_DEADZONE_H

#include "quant_ste/Rules/ScalarAlgebra.h"

namespace demo {

/// The math of demo.deadzone, once: lowered ops, folding and the reference
/// evaluator read it from here.
struct DeadzoneRule {
  static constexpr unsigned arity = 3;
  static constexpr std::array<std::string_view, 1> words{"ste"};

  template <class Op> static DeadzoneRule of(Op) { return {}; }

  template <class S> S forward(S x, S scale, S threshold) const {
    S position = x / scale;
    S whole = roundEven(position);
    S value = whole * scale;
    return select(abs(x) > threshold, value, S(0.0));
  }

  template <class S>
  std::array<mlir::quant_ste::rules::Partial<S>, 3>
  partials(S x, S scale, S threshold, S) const {
    using namespace mlir::quant_ste::rules;
    auto alive = abs(x) > threshold;
    S position = x / scale;
    S whole = roundEven(position);
    S error = whole - position;
    return {mask<S>(alive), masked<S>(alive, error), zero<S>()};
  }
};

} // namespace demo

#endif // DEMO_DEADZONE_H
