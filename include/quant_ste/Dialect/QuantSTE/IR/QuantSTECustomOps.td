//===- QuantSTECustomOps.td - rules written in IR -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTECUSTOMOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTECUSTOMOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"
include "mlir/IR/SymbolInterfaces.td"

/// One list for each parameter; empty: one value for the whole tensor.
def QuantSTE_AxesList
    : TypedArrayAttrBase<DenseI64ArrayAttr, "list of axes of each parameter">;

def QuantSTE_CustomOp : QuantSTE_Op<"custom", [
    Pure, IsolatedFromAbove, SingleBlock, AllTypesMatch<["x", "y"]>,
    DeclareOpInterfaceMethods<QuantSTE_GradientRuleInterface>,
    DeclareOpInterfaceMethods<QuantSTE_VjpOpInterface>,
    DeclareOpInterfaceMethods<QuantSTE_JvpOpInterface>]> {
  let summary = "a quantizer and its gradient, both written here";
  let description = [{
    An elementwise op whose math stands in its regions, on scalars of the compute
    type: f64 for f64 data, f32 for all other. `forward` takes one scalar for
    each operand and yields the result. The gradient is one of:

    * `partials` takes the operands and the result, and yields for each operand
      a float p, whose gradient is `dy * p` (tangent `t * p`); an i1 m, whose
      gradient is `select(m, dy, 0)`: a mask selects, it never multiplies; or
      both, as a `quant_ste.masked`. Where 0.0, 1.0, false or true is written as
      a constant, nothing or dy itself passes, and nothing is computed. The
      tangents add up in the order of the operands.
    * `vjp` takes the operands, the result and its cotangent, and yields one
      gradient for each operand. It need not be linear in the cotangent; so such
      an op has no forward mode.

    The gradient of a parameter is the sum over the dimensions that its `axes`
    do not list. The result that a gradient reads is not yet rounded to the
    data's type. Regions see their arguments and nothing else. They hold scalar
    ops of arith and math without side effects, regions or fast-math flags, and
    ops of this dialect on plain floats. All of these are evaluated on constants
    except those for which compiled code may call a math library (`math.exp`).

    ```mlir
    // Round to nearest with a step; the gradient passes inside [-1, 1].
    %y = quant_ste.custom %x, %s axes([0]) : tensor<4x?xf32>, tensor<4xf32>
    forward(%a: f32, %b: f32) {
      %t = arith.divf %a, %b : f32
      %r = math.roundeven %t : f32
      %q = arith.mulf %r, %b : f32
      quant_ste.yield %q : f32
    } partials(%a: f32, %b: f32, %q: f32) {
      %one = arith.constant 1.0 : f32
      %zero = arith.constant 0.0 : f32
      %size = math.absf %a : f32
      %inside = arith.cmpf ole, %size, %one : f32
      quant_ste.yield %inside, %zero : i1, f32
    }
    ```
  }];
  let arguments = (ins QuantSTE_Data:$x, Variadic<QuantSTE_Data>:$parameters,
                       QuantSTE_AxesList:$axes);
  let results = (outs QuantSTE_Data:$y);
  let regions = (region SizedRegion<1>:$forward, MaxSizedRegion<1>:$partials,
                        MaxSizedRegion<1>:$vjp);
  let assemblyFormat = [{
    $x `` custom<Parameters>($parameters, $axes) attr-dict
    `:` type($x) (`,` type($parameters)^)?
    `` custom<RuleRegions>($forward, $partials, $vjp)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def QuantSTE_MaskedOp : QuantSTE_Op<"masked", [
    Pure, AllTypesMatch<["value", "partial"]>,
    ParentOneOf<["CustomOp", "NamedRuleOp"]>]> {
  let summary = "a partial derivative that is zero but where a mask says";
  let description = [{
    Yielded from `partials`, it gives the gradient `select(mask, dy * value, 0)`:
    exactly 0 where the mask is false, also for a cotangent that is not finite,
    where `dy * 0` would be NaN. It has no other use.

    ```mlir
    %db = quant_ste.masked %isClipped, %slope : f32
    quant_ste.yield %isInside, %db : i1, f32
    ```
  }];
  let arguments = (ins I1:$mask, AnyTypeOf<[F32, F64]>:$value);
  let results = (outs AnyTypeOf<[F32, F64]>:$partial);
  let assemblyFormat = "$mask `,` $value attr-dict `:` type($value)";
}

def QuantSTE_NamedRuleOp : QuantSTE_Op<"rule", [
    IsolatedFromAbove, SingleBlock, Symbol]> {
  let summary = "a quantizer and its gradient, under a name";
  let description = [{
    What `quant_ste.custom` says in its regions, said once for every
    `quant_ste.apply` that names it. A rule without regions is a declaration:
    `quant-ste-link-rules` finds the rule of that name and type in a library, a
    file with rules.

    ```mlir
    quant_ste.rule @sign
    forward(%x: f32) {
      %one = arith.constant 1.0 : f32
      %y = math.copysign %one, %x : f32
      quant_ste.yield %y : f32
    } partials(%x: f32, %y: f32) {
      %one = arith.constant 1.0 : f32
      %size = math.absf %x : f32
      %inside = arith.cmpf ole, %size, %one : f32
      quant_ste.yield %inside : i1
    }
    quant_ste.rule private @elsewhere(f32, f32) -> f32
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       OptionalAttr<StrAttr>:$sym_visibility,
                       TypeAttrOf<FunctionType>:$function_type);
  let regions = (region MaxSizedRegion<1>:$forward,
                        MaxSizedRegion<1>:$partials, MaxSizedRegion<1>:$vjp);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Of Symbol: only the name and type are here.
    bool isDeclaration() { return getForward().empty(); }
  }];
}

def QuantSTE_ApplyOp : QuantSTE_Op<"apply", [
    Pure, AllTypesMatch<["x", "y"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<QuantSTE_VjpOpInterface>,
    DeclareOpInterfaceMethods<QuantSTE_JvpOpInterface>]> {
  let summary = "a named rule applied to operands";
  let description = [{
    `quant_ste.custom` with the regions of the rule. `quant-ste-link-rules`
    replaces it by that; nothing else can be done with it.

    ```mlir
    %y = quant_ste.apply @lsq(%x, %s axes([0])) : tensor<4x?xf32>, tensor<4xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$rule, QuantSTE_Data:$x,
                       Variadic<QuantSTE_Data>:$parameters,
                       QuantSTE_AxesList:$axes);
  let results = (outs QuantSTE_Data:$y);
  let assemblyFormat = [{
    $rule `(` $x `` custom<Parameters>($parameters, $axes) `)` attr-dict
    `:` type($x) (`,` type($parameters)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The indexing map of each operand; the result has that of the first.
    ::llvm::SmallVector<::mlir::AffineMap> getOperandMaps();
  }];
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTECUSTOMOPS_TD
