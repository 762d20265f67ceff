//===- ArrayIO.h - arrays as text and in files ------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_ARRAYIO_H
#define QUANT_STE_EXECUTION_ARRAYIO_H

#include "quant_ste/Execution/HostArray.h"
#include "llvm/Support/raw_ostream.h"
#include <map>

namespace mlir::quant_ste {

//===----------------------------------------------------------------------===//
// Text (ArrayText.cpp)
//===----------------------------------------------------------------------===//

/// `2x3xf32=1,2,3,4,5,6`, `2x3xf32=[1 2 3][4 5 6]` (what printArray writes),
/// `4xf32=1.5` (all elements), `4xf32` (zeros), `f32=3`, and plain `3`, which
/// is a value of type `scalar`.
llvm::Expected<HostArray> parseArray(llvm::StringRef text, ElementType scalar);

/// `2x3xf32=[1 2 3][4 5 6]`. Every number is the shortest that reads back to
/// the same bits (a NaN's payload aside). After `maxElements` comes `...`.
void printArray(llvm::raw_ostream &os, const HostArray &array,
                int64_t maxElements = INT64_MAX);

//===----------------------------------------------------------------------===//
// .npy (Npy.cpp)
//===----------------------------------------------------------------------===//

/// Versions 1 to 3; little-endian numbers and booleans, C or Fortran order.
/// bf16 is what ml_dtypes writes for it, `V2`.
llvm::Expected<HostArray> readNpy(llvm::StringRef path);
llvm::Error writeNpy(llvm::StringRef path, const HostArray &array);

//===----------------------------------------------------------------------===//
// .safetensors (Safetensors.cpp)
//===----------------------------------------------------------------------===//

/// Arrays by name, as read from a file. An entry of a type that is not
/// supported is an error only when it is asked for.
class NamedArrays {
public:
  static llvm::Expected<NamedArrays> readSafetensors(llvm::StringRef path);
  /// Error when there is no such name: lists what there is.
  llvm::Expected<HostArray> get(llvm::StringRef name) const;

private:
  struct Entry {
    std::optional<HostArray> array;
    std::string problem;
  };
  std::string path;
  std::map<std::string, Entry> entries;
};

llvm::Error
writeSafetensors(llvm::StringRef path,
                 llvm::ArrayRef<std::pair<std::string, HostArray>> arrays);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_ARRAYIO_H
