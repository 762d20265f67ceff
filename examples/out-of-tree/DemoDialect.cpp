#include "Demo.h"
#include "mlir/Transforms/InliningUtils.h"
#include "quant_ste/Rules/Readings/RuleReadings.h"

using namespace mlir;
// The assembly of grad(...) and the checks of the words.
using namespace mlir::quant_ste;

#include "DemoDialect.cpp.inc"
#define GET_OP_CLASSES
#include "DemoOps.cpp.inc"

namespace {
/// The pipelines inline functions; a dialect says that its ops may go along.
struct DemoInliner : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void demo::DemoDialect::initialize() {
  addInterfaces<DemoInliner>();
  addOperations<
#define GET_OP_LIST
#include "DemoOps.cpp.inc"
      >();
}
