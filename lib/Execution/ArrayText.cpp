//===- ArrayText.cpp - arrays as text ---------------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/ArrayIO.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include <charconv>
#include <cstring>

using namespace mlir::quant_ste;
using llvm::APFloat;
using llvm::ArrayRef;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

namespace {
struct TextType {
  ElementType element;
  llvm::SmallVector<int64_t> shape;
};
} // namespace

/// "2x3xf32"
static std::optional<TextType> parseType(StringRef text) {
  TextType type;
  while (!text.empty() && llvm::isDigit(text.front())) {
    int64_t size;
    if (text.consumeInteger(10, size) || !text.consume_front("x"))
      return std::nullopt;
    type.shape.push_back(size);
  }
  std::optional<ElementType> element = parseElementType(text);
  if (!element)
    return std::nullopt;
  type.element = *element;
  return type;
}

/// The bits of an integer, in the low bytes.
static std::optional<uint64_t> parseInteger(StringRef text, ElementType type) {
  if (type == ElementType::i1) {
    if (text == "0" || text == "false")
      return 0;
    if (text == "1" || text == "true")
      return 1;
    return std::nullopt;
  }
  unsigned bits = 8 * getByteSize(type);
  if (text.starts_with("-")) {
    int64_t value;
    if (getName(type).starts_with("u") || text.getAsInteger(0, value) ||
        !llvm::isIntN(bits, value))
      return std::nullopt;
    return static_cast<uint64_t>(value);
  }
  // A signless integer may be written as signed or unsigned.
  uint64_t value;
  if (text.getAsInteger(0, value) || !llvm::isUIntN(bits, value))
    return std::nullopt;
  return value;
}

static bool parseElement(StringRef text, HostArray &array, int64_t i) {
  ElementType type = array.getElementType();
  if (isFloat(type)) {
    APFloat value(getFloatSemantics(type));
    auto status = value.convertFromString(text, APFloat::rmNearestTiesToEven);
    if (!status) {
      llvm::consumeError(status.takeError());
      return false;
    }
    if (*status & APFloat::opInvalidOp)
      return false;
    array.setFloat(i, value);
    return true;
  }
  std::optional<uint64_t> bits = parseInteger(text, type);
  if (bits)
    std::memcpy(array.getDataAs<char>() + i * getByteSize(type), &*bits,
                getByteSize(type));
  return bits.has_value();
}

/// Numbers separated by commas, spaces and brackets.
static std::optional<llvm::SmallVector<StringRef>> splitValues(StringRef text) {
  llvm::SmallVector<StringRef> values;
  int depth = 0;
  while (!text.empty()) {
    char c = text.front();
    depth += (c == '[') - (c == ']');
    if (depth < 0)
      return std::nullopt;
    if (StringRef(", []").contains(c)) {
      text = text.drop_front();
      continue;
    }
    StringRef value =
        text.take_until([](char c) { return StringRef(", []").contains(c); });
    values.push_back(value);
    text = text.drop_front(value.size());
  }
  if (depth != 0)
    return std::nullopt;
  return values;
}

Expected<HostArray> mlir::quant_ste::parseArray(StringRef text,
                                                ElementType scalar) {
  auto error = [&](const Twine &message) {
    return llvm::createStringError("'" + text.take_front(60) +
                                   (text.size() > 60 ? "...': " : "': ") +
                                   message);
  };
  auto [head, tail] = text.split('=');
  bool hasValues = text.contains('=');
  std::optional<TextType> type = parseType(head);
  if (!type && hasValues)
    return error("expected a type such as 2x3xf32 before '='");
  if (!type) {
    type = TextType{scalar, {}};
    tail = text;
    hasValues = true;
  }

  Expected<HostArray> array = HostArray::zeros(type->element, type->shape);
  if (!array)
    return error(llvm::toString(array.takeError()));
  if (!hasValues)
    return array;
  auto values = splitValues(tail);
  if (!values)
    return error("expected each '[' to have its ']'");
  int64_t count = array->getNumElements();
  bool isSplat = values->size() == 1 && count > 1;
  if (!isSplat && static_cast<int64_t>(values->size()) != count)
    return error("expected " + Twine(count) +
                 (count > 1 ? " values, or one for all" : " value(s)") +
                 ", got " + Twine(values->size()));
  for (auto [i, value] : llvm::enumerate(*values))
    if (!parseElement(value, *array, i))
      return error("expected " + getName(type->element) + ", got '" + value +
                   "'");
  if (isSplat) {
    size_t bytes = getByteSize(type->element);
    for (int64_t i = 1; i < count; ++i)
      std::memcpy(array->getDataAs<char>() + i * bytes, array->getData(),
                  bytes);
  }
  return array;
}

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

/// The shortest decimal that rounds back to the value in its own format.
static std::string toShortestString(const APFloat &value) {
  if (value.isNaN())
    return value.isNegative() ? "-nan" : "nan";
  char buffer[64];
  auto print = [&](auto number) {
    auto [end, code] = std::to_chars(buffer, std::end(buffer), number);
    return std::string(buffer, end);
  };
  if (&value.getSemantics() == &APFloat::IEEEdouble())
    return print(value.convertToDouble());
  float single = value.convertToFloat();
  if (&value.getSemantics() == &APFloat::IEEEsingle() || value.isInfinity())
    return print(single);
  // The narrow formats have few digits: try.
  for (int digits = 1; digits < 9; ++digits) {
    auto [end, code] = std::to_chars(buffer, std::end(buffer), single,
                                     std::chars_format::general, digits);
    StringRef text(buffer, end - buffer);
    APFloat back(value.getSemantics());
    auto status = back.convertFromString(text, APFloat::rmNearestTiesToEven);
    if (!status)
      llvm::consumeError(status.takeError());
    else if (back.bitwiseIsEqual(value))
      return text.str();
  }
  return print(single);
}

static void printElement(llvm::raw_ostream &os, const HostArray &array,
                         int64_t i) {
  switch (array.getElementType()) {
  case ElementType::f16:
  case ElementType::bf16:
  case ElementType::f32:
  case ElementType::f64:
    os << toShortestString(array.getFloat(i));
    return;
  case ElementType::i1:
  case ElementType::ui8:
    os << unsigned(array.getDataAs<uint8_t>()[i]);
    return;
  case ElementType::i8:
    os << int(array.getDataAs<int8_t>()[i]);
    return;
  case ElementType::i16:
    os << array.getDataAs<int16_t>()[i];
    return;
  case ElementType::i32:
    os << array.getDataAs<int32_t>()[i];
    return;
  case ElementType::i64:
  case ElementType::index:
    os << array.getDataAs<int64_t>()[i];
    return;
  case ElementType::ui16:
    os << array.getDataAs<uint16_t>()[i];
    return;
  case ElementType::ui32:
    os << array.getDataAs<uint32_t>()[i];
    return;
  case ElementType::ui64:
    os << array.getDataAs<uint64_t>()[i];
    return;
  }
}

namespace {
struct Printer {
  llvm::raw_ostream &os;
  const HostArray &array;
  int64_t left;
  int64_t next = 0;

  /// Elements of one row are separated by spaces, rows are in brackets.
  void print(ArrayRef<int64_t> shape) {
    if (shape.empty()) {
      if (left-- > 0)
        printElement(os, array, next);
      ++next;
      return;
    }
    bool isRow = shape.size() == 1;
    for (int64_t i = 0; i < shape.front(); ++i) {
      if (left <= 0) {
        os << (isRow && i ? " ..." : "...");
        return;
      }
      if (isRow && i)
        os << ' ';
      if (!isRow)
        os << '[';
      print(shape.drop_front());
      if (!isRow)
        os << ']';
    }
  }
};
} // namespace

void mlir::quant_ste::printArray(llvm::raw_ostream &os, const HostArray &array,
                                 int64_t maxElements) {
  os << array.getTypeString() << '=';
  if (array.getNumElements() != 0)
    Printer{os, array, maxElements}.print(array.getShape());
}
