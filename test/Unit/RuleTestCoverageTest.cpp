//===- RuleTestCoverageTest.cpp - no op without its rule test -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// Every op with a gradient rule has test/Rules/<op>.mlir, which shows its
/// forward IR, its gradient, and numbers that were executed.
TEST(RuleTestCoverageTest, EveryRuleOpHasItsTest) {
  MLIRContext ctx;
  ctx.loadDialect<QuantSTEDialect>();
  unsigned count = 0;
  for (RegisteredOperationName op : ctx.getRegisteredOperations()) {
    if (!isa<QuantSTEDialect>(op.getDialect()) ||
        !op.hasInterface<GradientRuleInterface>())
      continue;
    ++count;
    std::string path =
        QUANT_STE_TEST_SOURCE_DIR "/Rules/" + op.stripDialect().str() + ".mlir";
    auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
    EXPECT_TRUE(bool(file)) << "no rule test " << path;
    if (!file)
      continue;
    StringRef text = (*file)->getBuffer();
    EXPECT_TRUE(text.contains(op.getStringRef())) << path << " does not use it";
    for (StringRef what : {"--convert-quant-ste-to-linalg",
                           "--quant-ste-differentiate", "qopt-run"})
      EXPECT_TRUE(text.contains(what))
          << path << " lacks a RUN line with " << what.str();
  }
  EXPECT_GE(count, 16u);
}
