//===- HostArray.h - typed arrays in memory ---------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What goes into a compiled function and comes out of it. No MLIR include.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_HOSTARRAY_H
#define QUANT_STE_EXECUTION_HOSTARRAY_H

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace mlir::quant_ste {

/// The element types that a function may take and give. `i8` ... `i64` are
/// signless (and signed) integers, `i1` takes one byte, `index` 8 bytes.
enum class ElementType : uint8_t {
  f16,
  bf16,
  f32,
  f64,
  i1,
  i8,
  i16,
  i32,
  i64,
  ui8,
  ui16,
  ui32,
  ui64,
  index
};

/// "f32", as MLIR spells it.
llvm::StringRef getName(ElementType type);
std::optional<ElementType> parseElementType(llvm::StringRef name);
/// Bytes per element.
size_t getByteSize(ElementType type);
bool isFloat(ElementType type);
/// The format of a float type.
const llvm::fltSemantics &getFloatSemantics(ElementType type);

/// "2x?xf32"; a negative size prints as `?`.
std::string formatType(ElementType element, llvm::ArrayRef<int64_t> shape);

/// An array of any rank (rank 0: one value). It owns its elements or borrows
/// them; strides are in elements and may be anything in a borrowed array.
class HostArray {
public:
  /// An owned array of zeros; an error when the size overflows or the memory
  /// is not there.
  static llvm::Expected<HostArray> zeros(ElementType element,
                                         llvm::ArrayRef<int64_t> shape);
  /// As zeros, with elements that are to be written before they are read.
  static llvm::Expected<HostArray> uninitialized(ElementType element,
                                                 llvm::ArrayRef<int64_t> shape);
  /// Someone else's elements. No strides: row-major, contiguous.
  static HostArray
  borrow(ElementType element, llvm::ArrayRef<int64_t> shape, void *data,
         std::optional<llvm::ArrayRef<int64_t>> strides = std::nullopt);
  /// Elements kept alive by `owner`.
  static HostArray share(ElementType element, llvm::ArrayRef<int64_t> shape,
                         void *data, std::shared_ptr<void> owner);

  ElementType getElementType() const { return element; }
  llvm::ArrayRef<int64_t> getShape() const { return shape; }
  llvm::ArrayRef<int64_t> getStrides() const { return strides; }
  int64_t getRank() const { return shape.size(); }
  int64_t getNumElements() const;
  size_t getNumBytes() const { return getNumElements() * getByteSize(element); }
  void *getData() const { return data; }
  template <class T> T *getDataAs() const { return static_cast<T *>(data); }
  std::string getTypeString() const { return formatType(element, shape); }

  /// Row-major, without gaps.
  bool isContiguous() const;
  /// Whether the address is a multiple of the element size.
  bool isAligned() const;
  bool isPacked() const { return isContiguous() && isAligned(); }
  /// Copies the elements of an array of the same type into this one, which is
  /// contiguous.
  void assign(const HostArray &from);
  /// The array itself if contiguous and aligned, else an owned copy that is.
  llvm::Expected<HostArray> packed() const;
  /// The same elements taken as another type of the same size.
  HostArray bitcast(ElementType type) const;

  /// Element i in row-major order. The array must be contiguous.
  llvm::APFloat getFloat(int64_t i) const;
  /// Rounds to the array's format, half to even.
  void setFloat(int64_t i, llvm::APFloat value);

private:
  HostArray(ElementType element, llvm::ArrayRef<int64_t> shape, void *data)
      : element(element), shape(shape), data(data) {}

  ElementType element;
  llvm::SmallVector<int64_t, 4> shape;
  llvm::SmallVector<int64_t, 4> strides;
  void *data;
  std::shared_ptr<void> owner;
};

/// Row-major strides, in elements.
llvm::SmallVector<int64_t, 4> computeStrides(llvm::ArrayRef<int64_t> shape);

/// The product of the sizes; none when it overflows.
std::optional<int64_t> countElements(llvm::ArrayRef<int64_t> shape);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_HOSTARRAY_H
