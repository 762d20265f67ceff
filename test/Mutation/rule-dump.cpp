//===- rule-dump.cpp - the rules of a module's ops, as bytes ----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads MLIR from stdin. Prints `op <mnemonic>` for every op that has a rule,
// and `rule <C++ type> <arity> <bytes>` for every such op in the module. A
// program without MLIR can then read the rule that an op's attributes make.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/InitAll.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TypeName.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::quant_ste;

template <class Op> static void printName() {
  if constexpr (requires { typename Op::RuleType; })
    llvm::outs() << "op " << Op::getOperationName().rsplit('.').second << '\n';
}

template <class Op> static void printRule(Operation *op) {
  if constexpr (requires { typename Op::RuleType; }) {
    using Rule = typename Op::RuleType;
    static_assert(std::is_trivially_copyable_v<Rule>,
                  "a rule is numbers and flags, which are copied as bytes");
    if (!isa<Op>(op))
      return;
    Rule rule = Rule::of(cast<Op>(op));
    StringRef bytes(reinterpret_cast<const char *>(&rule), sizeof(Rule));
    llvm::outs() << "rule " << llvm::getTypeName<Rule>() << ' ' << Rule::arity
                 << ' ' << llvm::toHex(bytes) << '\n';
  }
}

template <class... Ops> static void printNames() { (printName<Ops>(), ...); }
template <class... Ops> static void printRules(Operation *op) {
  (printRule<Ops>(op), ...);
}

int main() {
  DialectRegistry registry;
  registerEverything(registry);
  MLIRContext ctx(registry);

  auto input = llvm::MemoryBuffer::getSTDIN();
  if (!input) {
    llvm::errs() << "expected MLIR on stdin: " << input.getError().message()
                 << '\n';
    return 1;
  }
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*input), llvm::SMLoc());
  SourceMgrDiagnosticHandler diagnostics(sources, &ctx);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &ctx);
  if (!module)
    return 1;

  printNames<
#define GET_OP_LIST
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEOps.cpp.inc"
      >();
  module->walk([](Operation *op) {
    printRules<
#define GET_OP_LIST
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEOps.cpp.inc"
        >(op);
  });
  return 0;
}
