//===- Npy.cpp - numpy's file of one array ----------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// "\x93NUMPY", version, length of the header, the header (a Python dictionary
// of 'descr', 'fortran_order' and 'shape'), the elements.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/ArrayIO.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir::quant_ste;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;

static constexpr StringRef kMagic = StringRef("\x93NUMPY", 6);

static constexpr std::pair<StringRef, ElementType> kDescriptions[] = {
    {"<f2", ElementType::f16},  {"<V2", ElementType::bf16},
    {"|V2", ElementType::bf16}, {"<f4", ElementType::f32},
    {"<f8", ElementType::f64},  {"|b1", ElementType::i1},
    {"|i1", ElementType::i8},   {"<i2", ElementType::i16},
    {"<i4", ElementType::i32},  {"<i8", ElementType::i64},
    {"|u1", ElementType::ui8},  {"<u2", ElementType::ui16},
    {"<u4", ElementType::ui32}, {"<u8", ElementType::ui64},
    {"<i8", ElementType::index}};

namespace {
struct Header {
  ElementType element;
  bool isFortran;
  llvm::SmallVector<int64_t> shape;
};

/// The dictionary that numpy.save writes; not Python at large.
class HeaderParser {
public:
  explicit HeaderParser(StringRef text) : text(text) {}
  Expected<Header> parse();

private:
  bool eat(StringRef token) {
    text = text.ltrim();
    return text.consume_front(token);
  }
  std::optional<StringRef> parseString() {
    if (!eat("'"))
      return std::nullopt;
    auto [value, rest] = text.split('\'');
    text = rest;
    return value;
  }
  bool parseShape(llvm::SmallVectorImpl<int64_t> &shape) {
    if (!eat("("))
      return false;
    while (!eat(")")) {
      int64_t size;
      if (text.consumeInteger(10, size) || size < 0)
        return false;
      shape.push_back(size);
      if (eat(")"))
        return true;
      if (!eat(","))
        return false;
    }
    return true;
  }
  llvm::Error malformed(const Twine &what) {
    return llvm::createStringError("expected " + what +
                                   " in the header, got '" +
                                   text.take_front(20).rtrim() + "'");
  }
  StringRef text;
};
} // namespace

Expected<Header> HeaderParser::parse() {
  Header header;
  bool hasElement = false, hasOrder = false, hasShape = false;
  if (!eat("{"))
    return malformed("a dictionary");
  while (!eat("}")) {
    std::optional<StringRef> key = parseString();
    if (!key || !eat(":"))
      return malformed("a key");
    if (*key == "descr") {
      std::optional<StringRef> descr = parseString();
      if (!descr)
        return malformed("one element type (no structure)");
      const auto *known = llvm::find_if(
          kDescriptions, [&](const auto &d) { return d.first == *descr; });
      if (known == std::end(kDescriptions))
        return llvm::createStringError(
            "expected little-endian elements of type f2, f4, f8, i1, i2, i4, "
            "i8, u1, u2, u4, u8, b1 or V2 (bf16), got '" +
            *descr + "'");
      header.element = known->second;
      hasElement = true;
    } else if (*key == "fortran_order") {
      header.isFortran = eat("True");
      if (!header.isFortran && !eat("False"))
        return malformed("True or False");
      hasOrder = true;
    } else if (*key == "shape") {
      if (!parseShape(header.shape))
        return malformed("a tuple of sizes");
      hasShape = true;
    } else {
      return llvm::createStringError("unknown key '" + *key +
                                     "' in the header");
    }
    if (!eat(",") && !text.ltrim().starts_with("}"))
      return malformed("',' or '}'");
  }
  if (!hasElement || !hasOrder || !hasShape)
    return llvm::createStringError(
        "expected 'descr', 'fortran_order' and 'shape' in the header");
  return header;
}

/// The array in `file`, whose memory is writable.
static Expected<HostArray> parseNpy(std::shared_ptr<llvm::MemoryBuffer> file) {
  StringRef bytes = file->getBuffer();
  if (!bytes.consume_front(kMagic) || bytes.size() < 2)
    return llvm::createStringError("not a .npy file");
  unsigned version = static_cast<unsigned char>(bytes[0]);
  size_t lengthBytes = version == 1 ? 2 : 4;
  if (version < 1 || version > 3)
    return llvm::createStringError("expected version 1, 2 or 3, got " +
                                   Twine(version));
  bytes = bytes.drop_front(2);
  if (bytes.size() < lengthBytes)
    return llvm::createStringError("truncated in the header");
  size_t length = version == 1 ? llvm::support::endian::read16le(bytes.data())
                               : llvm::support::endian::read32le(bytes.data());
  bytes = bytes.drop_front(lengthBytes);
  if (bytes.size() < length)
    return llvm::createStringError("truncated in the header");
  Expected<Header> header = HeaderParser(bytes.take_front(length)).parse();
  if (!header)
    return header.takeError();
  bytes = bytes.drop_front(length);

  std::string type = formatType(header->element, header->shape);
  std::optional<int64_t> count = countElements(header->shape);
  size_t elementBytes = getByteSize(header->element);
  // A division, since the product of a forged header overflows.
  if (!count || bytes.size() / elementBytes < static_cast<size_t>(*count))
    return llvm::createStringError("expected the elements of " + type +
                                   ", got " + Twine(bytes.size()) + " bytes");
  void *data = const_cast<char *>(bytes.data());
  if (header->element == ElementType::i1)
    for (int64_t i = 0; i < *count; ++i)
      static_cast<uint8_t *>(data)[i] = bytes[i] != 0;
  if (!header->isFortran)
    return HostArray::share(header->element, header->shape, data, file)
        .packed();
  llvm::SmallVector<int64_t> strides;
  for (int64_t stride = 1; int64_t size : header->shape) {
    strides.push_back(stride);
    stride *= size;
  }
  Expected<HostArray> array = HostArray::zeros(header->element, header->shape);
  if (array)
    array->assign(HostArray::borrow(header->element, header->shape, data,
                                    llvm::ArrayRef(strides)));
  return array;
}

Expected<HostArray> mlir::quant_ste::readNpy(StringRef path) {
  // Volatile: read into memory of our own, not mapped.
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false,
                                          /*IsVolatile=*/true);
  if (!file)
    return llvm::createStringError(path + ": " + file.getError().message());
  Expected<HostArray> array = parseNpy(std::move(*file));
  if (!array)
    return llvm::createStringError(path + ": " +
                                   llvm::toString(array.takeError()));
  return array;
}

llvm::Error mlir::quant_ste::writeNpy(StringRef path, const HostArray &array) {
  Expected<HostArray> packed = array.packed();
  if (!packed)
    return packed.takeError();
  std::string header = "{'descr': '";
  header += llvm::find_if(kDescriptions, [&](const auto &d) {
              return d.second == array.getElementType();
            })->first;
  header += "', 'fortran_order': False, 'shape': (";
  for (int64_t size : array.getShape())
    header += (header.back() == '(' ? "" : ", ") + std::to_string(size);
  header += array.getRank() == 1 ? ",), }" : "), }"; // as Python prints tuples
  // Elements start at a multiple of 64; the header ends with a newline. Shapes
  // have few dimensions: version 1 (64 KiB of header) is enough.
  size_t before = kMagic.size() + 2 + 2;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  if (header.size() > UINT16_MAX)
    return llvm::createStringError(path + ": too many dimensions");

  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (!code) {
    char length[2];
    llvm::support::endian::write16le(length, header.size());
    os << kMagic << '\1' << '\0' << StringRef(length, 2) << header
       << StringRef(packed->getDataAs<char>(), packed->getNumBytes());
    os.close();
    code = os.error();
    os.clear_error();
  }
  if (code)
    return llvm::createStringError(path + ": " + code.message());
  return llvm::Error::success();
}
