//===- LinkRules.cpp - from apply to custom -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTELINKRULESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

using Libraries = SmallVector<OwningOpRef<ModuleOp>>;

/// Null after an error was emitted.
static OwningOpRef<ModuleOp> parseLibrary(StringRef path, MLIRContext *ctx) {
  std::string message;
  auto file = openInputFile(path, &message);
  if (!file) {
    emitError(UnknownLoc::get(ctx), "rule library: ") << message;
    return nullptr;
  }
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  return parseSourceFile<ModuleOp>(sources, ctx);
}

static void copyRegions(ArrayRef<Region *> from, ArrayRef<Region *> to) {
  for (auto [source, target] : llvm::zip_equal(from, to)) {
    IRMapping map;
    source->cloneInto(target, map);
  }
}

/// The one definition of a declared rule in the libraries, of its type.
static FailureOr<NamedRuleOp> findDefinition(NamedRuleOp declaration,
                                             ArrayRef<ModuleOp> libraries) {
  NamedRuleOp found;
  for (ModuleOp library : libraries) {
    auto rule = library.lookupSymbol<NamedRuleOp>(declaration.getSymName());
    if (!rule || rule.isDeclaration())
      continue;
    if (found) {
      InFlightDiagnostic diag = declaration.emitError("expected one rule @")
                                << declaration.getSymName()
                                << " in the libraries, found two";
      diag.attachNote(found.getLoc()) << "one is here";
      diag.attachNote(rule.getLoc()) << "the other is here";
      return diag;
    }
    found = rule;
  }
  if (!found)
    return declaration.emitError("expected a rule @")
           << declaration.getSymName()
           << (libraries.empty()
                   ? " in a library, but no library is given; give one with "
                     "--rules=file.mlir"
                   : " in the libraries given, found none");
  if (found.getFunctionType() == declaration.getFunctionType())
    return found;
  InFlightDiagnostic diag =
      declaration.emitError("expected a rule of type ")
      << declaration.getFunctionType() << " in the library, got @"
      << declaration.getSymName() << " of type " << found.getFunctionType();
  diag.attachNote(found.getLoc()) << "defined here";
  return diag;
}

static void replaceByCustom(ApplyOp apply, NamedRuleOp rule) {
  OpBuilder b(apply);
  auto custom =
      CustomOp::create(b, apply.getLoc(), apply.getY().getType(), apply.getX(),
                       apply.getParameters(), apply.getAxes());
  custom->setDiscardableAttrs(apply->getDiscardableAttrDictionary());
  copyRegions({&rule.getForward(), &rule.getPartials(), &rule.getVjp()},
              {&custom.getForward(), &custom.getPartials(), &custom.getVjp()});
  apply.replaceAllUsesWith(custom.getY());
  apply.erase();
}

namespace {
struct LinkRulesPass
    : quant_ste::impl::QuantSTELinkRulesPassBase<LinkRulesPass> {
  using QuantSTELinkRulesPassBase::QuantSTELinkRulesPassBase;

  /// Before any pass runs: reading a file may load dialects.
  LogicalResult initialize(MLIRContext *ctx) override {
    auto parsed = std::make_shared<Libraries>();
    for (const std::string &path : rules) {
      parsed->push_back(parseLibrary(path, ctx));
      if (!parsed->back())
        return failure();
    }
    libraries = std::move(parsed);
    return success();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<ModuleOp> given;
    for (OwningOpRef<ModuleOp> &library : *libraries)
      given.push_back(*library);

    SmallVector<ApplyOp> applies;
    SmallVector<NamedRuleOp> all;
    llvm::SetVector<NamedRuleOp> applied;
    SymbolTableCollection symbols;
    module.walk([&](Operation *op) {
      if (auto rule = dyn_cast<NamedRuleOp>(op))
        all.push_back(rule);
      auto apply = dyn_cast<ApplyOp>(op);
      if (!apply)
        return;
      applies.push_back(apply);
      applied.insert(symbols.lookupNearestSymbolFrom<NamedRuleOp>(
          apply, apply.getRuleAttr()));
    });

    bool failed = false;
    for (NamedRuleOp rule : applied) {
      if (!rule.isDeclaration())
        continue;
      FailureOr<NamedRuleOp> definition = findDefinition(rule, given);
      failed |= mlir::failed(definition);
      if (succeeded(definition))
        copyRegions({&definition->getForward(), &definition->getPartials(),
                     &definition->getVjp()},
                    {&rule.getForward(), &rule.getPartials(), &rule.getVjp()});
    }
    if (failed)
      return signalPassFailure();

    for (ApplyOp apply : applies)
      replaceByCustom(apply, symbols.lookupNearestSymbolFrom<NamedRuleOp>(
                                 apply, apply.getRuleAttr()));
    for (NamedRuleOp rule : all)
      rule.erase();
  }

private:
  /// Shared by the copies of the pass, which only read them.
  std::shared_ptr<Libraries> libraries;
};
} // namespace
