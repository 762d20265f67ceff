//===- Signature.h - what a function takes and gives ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_SIGNATURE_H
#define QUANT_STE_EXECUTION_SIGNATURE_H

#include "quant_ste/Execution/HostArray.h"
#include <string>
#include <vector>

namespace mlir {
class ModuleOp;
class Type;
namespace func {
class FuncOp;
}
} // namespace mlir

namespace mlir::quant_ste {

/// The type of one argument or result: a ranked tensor or a plain scalar. A
/// scalar is passed as an array of rank 0.
struct ValueType {
  /// A size known at run time only.
  static constexpr int64_t kDynamic = -1;

  ElementType element = ElementType::f32;
  bool isScalar = false;
  llvm::SmallVector<int64_t, 4> shape;
  /// The string attribute `quant_ste.name`; often empty.
  std::string name;

  std::string str() const { return formatType(element, shape); }
  /// Whether an array of this element type and shape may be passed. Signless
  /// integers take unsigned arrays too, index takes i64.
  bool accepts(ElementType given) const;
  bool accepts(const HostArray &array) const;
};

/// One dimension of one argument.
struct ArgumentDim {
  unsigned argument;
  unsigned dim;
};

/// Dimensions of arguments that must have the same size.
struct EqualDims {
  llvm::SmallVector<ArgumentDim, 4> dims;
  /// The size that all must have, where the function's body says it.
  int64_t size = ValueType::kDynamic;
};

/// A dimension of an argument that counts the bytes of packed rows, of as many
/// bits as another dimension says.
struct PackedDim {
  ArgumentDim bytes;
  ArgumentDim like;
  /// For each element along `like`.
  int64_t bits;
};

/// The bytes of a packed row of so many bits.
inline int64_t getPackedSize(int64_t bits) { return bits / 8 + (bits % 8 > 0); }

/// Where the size of a dimension of a result comes from.
struct ResultDim {
  /// As known at compile time, or kDynamic.
  int64_t size = ValueType::kDynamic;
  /// Else the argument's dimension that it equals; none when only the call
  /// tells.
  std::optional<ArgumentDim> like;
  /// If not 0, the size is instead that of packed rows, of so many bits for
  /// each element along `like`.
  int64_t bits = 0;

  bool isKnownBeforeCall() const { return like || size != ValueType::kDynamic; }
};

struct Signature {
  std::string function;
  std::vector<ValueType> arguments;
  std::vector<ValueType> results;
  /// What the types of the arguments do not say, but the body needs.
  std::vector<EqualDims> equalDims;
  std::vector<PackedDim> packedDims;
  /// The dimensions of each result.
  std::vector<llvm::SmallVector<ResultDim, 4>> resultDims;
  /// Why the function cannot be called; empty when it can.
  std::string unsupported;

  /// "(2x?xf32, f32) -> (f32)"
  std::string str() const;
  /// Whether the caller can tell the shape of a tensor result before the call,
  /// and so give the buffer for it.
  bool hasDestination(unsigned result) const;
  /// The shape of a result for which hasDestination holds.
  llvm::SmallVector<int64_t, 4>
  getResultShape(unsigned result, llvm::ArrayRef<HostArray> arguments) const;
  /// An error that says why the function cannot be called at all.
  llvm::Error checkSupported() const;
  /// An error that names the first argument that does not fit, what was
  /// expected and what was found.
  llvm::Error check(llvm::ArrayRef<HostArray> arguments) const;
};

/// The type of a value that a host array can hold: a ranked tensor or a scalar.
std::optional<ValueType> getValueType(Type type);

/// The signature of a function, taken before any lowering.
Signature getSignature(func::FuncOp function);

/// The signatures of all public functions that have a body.
std::vector<Signature> getSignatures(ModuleOp module);

/// The function to call: by name, or the only one when the name is empty. The
/// error lists what there is.
llvm::Expected<const Signature *>
selectFunction(llvm::ArrayRef<Signature> functions, llvm::StringRef name);

/// Sets what the body says of dimensions: `equalDims`, `packedDims` and
/// `resultDims`. Followed through elementwise ops, casts, packing and linalg
/// ops.
void inferDims(func::FuncOp function, Signature &signature);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_SIGNATURE_H
