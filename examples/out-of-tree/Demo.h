#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include "Deadzone.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "DemoDialect.h.inc"
#define GET_OP_CLASSES
#include "DemoOps.h.inc"

namespace demo {
/// Gives math.clampf, an upstream op without a gradient, one.
void registerClampModel(mlir::DialectRegistry &registry);
} // namespace demo

#endif // DEMO_DEMO_H
