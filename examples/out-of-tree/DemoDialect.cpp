#include "Demo.h"
#include "quant_ste/Rules/Readings/RuleReadings.h"

using namespace mlir;
// The assembly of grad(...) and the checks of the words.
using namespace mlir::quant_ste;

#include "DemoDialect.cpp.inc"
#define GET_OP_CLASSES
#include "DemoOps.cpp.inc"

void demo::DemoDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "DemoOps.cpp.inc"
      >();
}
