//===- HostArray.cpp - typed arrays in memory -------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/HostArray.h"

#include "quant_ste/Rules/Readings/APFloatScalar.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/raw_ostream.h"
#include <bit>
#include <cstdlib>
#include <cstring>

static_assert(std::endian::native == std::endian::little,
              "arrays and files hold little-endian numbers");

using namespace mlir::quant_ste;
using llvm::APFloat;
using llvm::ArrayRef;
using llvm::Expected;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

namespace {
struct ElementInfo {
  StringRef name;
  size_t bytes;
};
} // namespace

static constexpr ElementInfo kElements[] = {
    {"f16", 2},  {"bf16", 2}, {"f32", 4},  {"f64", 8},  {"i1", 1},
    {"i8", 1},   {"i16", 2},  {"i32", 4},  {"i64", 8},  {"ui8", 1},
    {"ui16", 2}, {"ui32", 4}, {"ui64", 8}, {"index", 8}};

StringRef mlir::quant_ste::getName(ElementType type) {
  return kElements[static_cast<unsigned>(type)].name;
}

size_t mlir::quant_ste::getByteSize(ElementType type) {
  return kElements[static_cast<unsigned>(type)].bytes;
}

std::optional<ElementType> mlir::quant_ste::parseElementType(StringRef name) {
  for (unsigned i = 0; i < std::size(kElements); ++i)
    if (kElements[i].name == name)
      return static_cast<ElementType>(i);
  return std::nullopt;
}

bool mlir::quant_ste::isFloat(ElementType type) {
  return type <= ElementType::f64;
}

const llvm::fltSemantics &mlir::quant_ste::getFloatSemantics(ElementType type) {
  switch (type) {
  case ElementType::f16:
    return APFloat::IEEEhalf();
  case ElementType::bf16:
    return APFloat::BFloat();
  case ElementType::f32:
    return APFloat::IEEEsingle();
  default:
    return APFloat::IEEEdouble();
  }
}

std::string mlir::quant_ste::formatType(ElementType element,
                                        ArrayRef<int64_t> shape) {
  std::string out;
  llvm::raw_string_ostream os(out);
  for (int64_t size : shape)
    if (size < 0)
      os << "?x";
    else
      os << size << 'x';
  os << getName(element);
  return out;
}

//===----------------------------------------------------------------------===//
// HostArray
//===----------------------------------------------------------------------===//

llvm::SmallVector<int64_t, 4>
mlir::quant_ste::computeStrides(ArrayRef<int64_t> shape) {
  llvm::SmallVector<int64_t, 4> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::optional<int64_t> mlir::quant_ste::countElements(ArrayRef<int64_t> shape) {
  if (llvm::is_contained(shape, 0))
    return 0;
  int64_t count = 1;
  for (int64_t size : shape) {
    std::optional<int64_t> product = llvm::checkedMul(count, size);
    if (!product)
      return std::nullopt;
    count = *product;
  }
  return count;
}

/// Cache lines and the widest vectors.
static constexpr size_t kAlignment = 64;

static Expected<HostArray> allocate(ElementType element,
                                    ArrayRef<int64_t> shape, bool isZero) {
  std::optional<int64_t> count = countElements(shape);
  std::optional<int64_t> bytes =
      count ? llvm::checkedMul<int64_t>(*count, getByteSize(element))
            : std::nullopt;
  if (!bytes || *bytes > INT64_MAX - int64_t(kAlignment))
    return llvm::createStringError("the size of " + formatType(element, shape) +
                                   " overflows");
  // calloc takes large blocks from the system, which are zero as they come.
  size_t whole = *bytes + kAlignment;
  void *base = isZero ? std::calloc(1, whole) : std::malloc(whole);
  if (!base)
    return llvm::createStringError("cannot allocate " + llvm::Twine(*bytes) +
                                   " bytes for " + formatType(element, shape));
  auto address = reinterpret_cast<uintptr_t>(base);
  void *aligned =
      static_cast<char *>(base) + (kAlignment - address % kAlignment);
  return HostArray::share(element, shape, aligned,
                          std::shared_ptr<void>(base, std::free));
}

Expected<HostArray> HostArray::zeros(ElementType element,
                                     ArrayRef<int64_t> shape) {
  return allocate(element, shape, /*isZero=*/true);
}

Expected<HostArray> HostArray::uninitialized(ElementType element,
                                             ArrayRef<int64_t> shape) {
  return allocate(element, shape, /*isZero=*/false);
}

HostArray HostArray::borrow(ElementType element, ArrayRef<int64_t> shape,
                            void *data,
                            std::optional<ArrayRef<int64_t>> strides) {
  HostArray array(element, shape, data);
  if (strides)
    array.strides.assign(strides->begin(), strides->end());
  else
    array.strides = computeStrides(shape);
  return array;
}

HostArray HostArray::share(ElementType element, ArrayRef<int64_t> shape,
                           void *data, std::shared_ptr<void> owner) {
  HostArray array = borrow(element, shape, data);
  array.owner = std::move(owner);
  return array;
}

int64_t HostArray::getNumElements() const {
  return countElements(shape).value_or(0);
}

bool HostArray::isContiguous() const {
  if (llvm::is_contained(shape, 0))
    return true;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected)
      return false;
    expected *= shape[i];
  }
  return true;
}

bool HostArray::isAligned() const {
  return reinterpret_cast<uintptr_t>(data) % getByteSize(element) == 0;
}

/// Copies dimensions [dim, rank) of a strided array to contiguous memory.
static char *copyStrided(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides,
                         size_t bytes, const char *from, char *to) {
  if (shape.empty()) {
    std::memcpy(to, from, bytes);
    return to + bytes;
  }
  if (shape.size() == 1 && strides.front() == 1) {
    std::memcpy(to, from, shape.front() * bytes);
    return to + shape.front() * bytes;
  }
  for (int64_t i = 0; i < shape.front(); ++i)
    to = copyStrided(shape.drop_front(), strides.drop_front(), bytes,
                     from + i * strides.front() * int64_t(bytes), to);
  return to;
}

void HostArray::assign(const HostArray &from) {
  assert(shape == from.shape && element == from.element && isContiguous());
  if (getNumElements() != 0)
    copyStrided(shape, from.strides, getByteSize(element),
                static_cast<const char *>(from.data),
                static_cast<char *>(data));
}

Expected<HostArray> HostArray::packed() const {
  if (isPacked()) {
    HostArray same = *this;
    same.strides = computeStrides(shape);
    return same;
  }
  Expected<HostArray> copy = zeros(element, shape);
  if (copy)
    copy->assign(*this);
  return copy;
}

HostArray HostArray::bitcast(ElementType type) const {
  assert(getByteSize(type) == getByteSize(element) && "sizes must agree");
  HostArray same = *this;
  same.element = type;
  return same;
}

APFloat HostArray::getFloat(int64_t i) const {
  const llvm::fltSemantics &format = getFloatSemantics(element);
  unsigned bits = 8 * getByteSize(element);
  uint64_t word = 0;
  std::memcpy(&word, getDataAs<char>() + i * getByteSize(element),
              getByteSize(element));
  return APFloat(format, llvm::APInt(bits, word));
}

void HostArray::setFloat(int64_t i, APFloat value) {
  value = roundTo(std::move(value), getFloatSemantics(element));
  uint64_t word = value.bitcastToAPInt().getZExtValue();
  std::memcpy(getDataAs<char>() + i * getByteSize(element), &word,
              getByteSize(element));
}
