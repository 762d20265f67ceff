// A dialect with one quantizer: a record, and the rule that it names.

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

def Demo_Dialect : Dialect {
  let name = "demo";
  let cppNamespace = "::demo";
  let summary = "A quantizer outside quant_ste";
  let dependentDialects = ["::mlir::quant_ste::QuantSTEDialect"];
}

def Demo_DeadzoneOp
    : QuantSTE_DialectRuleOp<Demo_Dialect, "deadzone", "::demo::DeadzoneRule",
                             ["scale", "threshold"]> {
  let summary = "uniform quantizer that sends small values to zero";
  let description = [{
    `y = |x| > threshold ? roundeven(x / scale) * scale : 0`; NaN gives 0.
    `dx = dy` outside the dead zone, else 0; the scale gets
    `roundeven(x / scale) - x / scale` there (LSQ's gradient without a range);
    the threshold gets none.

    ```mlir
    %y = demo.deadzone %x, %scale axes([0]), %threshold grad(ste)
      : tensor<8x?xf32>, tensor<8xf32>, tensor<f32>
    ```
  }];
}
