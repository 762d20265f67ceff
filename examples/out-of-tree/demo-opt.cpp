// mlir-opt with quant_ste and the demo dialect.

#include "Demo.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "quant_ste/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::quant_ste::registerEverything(registry);
  registry.insert<demo::DemoDialect>();
  demo::registerClampModel(registry);
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "quant_ste's out-of-tree demo\n", registry));
}
