//===- QuantSTEBytecode.cpp - versions of the dialect -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attributes are written in their textual form, which bytecode falls back to:
// a word is read as the parser of text reads it. What changes between versions
// is mended in upgradeFromVersion.
//
//   1  the first to be written down
//   2  quant_ste.num_primals of a derivative is quant_ste.num_primal_results
//
//===----------------------------------------------------------------------===//

#include "QuantSTEBytecode.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Bytecode/BytecodeImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::quant_ste;

static constexpr uint64_t kCurrentVersion = 2;

namespace {
struct Version : DialectVersion {
  explicit Version(uint64_t number) : number(number) {}
  uint64_t number;
};

struct QuantSTEBytecode : BytecodeDialectInterface {
  explicit QuantSTEBytecode(Dialect *dialect)
      : BytecodeDialectInterface(dialect) {}

  void writeVersion(DialectBytecodeWriter &writer) const final {
    writer.writeVarInt(kCurrentVersion);
  }

  std::unique_ptr<DialectVersion>
  readVersion(DialectBytecodeReader &reader) const final {
    uint64_t number;
    if (failed(reader.readVarInt(number)))
      return nullptr;
    if (number > kCurrentVersion) {
      reader.emitError("expected version ")
          << kCurrentVersion << " of dialect quant_ste or an older one, got "
          << number << ": written by a newer quant_ste";
      return nullptr;
    }
    return std::make_unique<Version>(number);
  }

  LogicalResult upgradeFromVersion(Operation *top,
                                   const DialectVersion &version) const final {
    if (static_cast<const Version &>(version).number >= 2)
      return success();
    top->walk([](FunctionOpInterface f) {
      if (Attribute count = f->removeDiscardableAttr("quant_ste.num_primals"))
        f->setDiscardableAttr("quant_ste.num_primal_results", count);
    });
    return success();
  }
};
} // namespace

void quant_ste::detail::addBytecodeInterface(QuantSTEDialect *dialect) {
  dialect->addInterfaces<QuantSTEBytecode>();
}
