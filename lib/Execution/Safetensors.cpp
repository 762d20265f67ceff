//===- Safetensors.cpp - named arrays in a file -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// 8 bytes of header length, a JSON header, the elements:
//
//   {"w0": {"dtype": "F32", "shape": [8, 4], "data_offsets": [0, 128]}, ...}
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/ArrayIO.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir::quant_ste;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;

static constexpr std::pair<StringRef, ElementType> kTypes[] = {
    {"F16", ElementType::f16},  {"BF16", ElementType::bf16},
    {"F32", ElementType::f32},  {"F64", ElementType::f64},
    {"BOOL", ElementType::i1},  {"I8", ElementType::i8},
    {"I16", ElementType::i16},  {"I32", ElementType::i32},
    {"I64", ElementType::i64},  {"U8", ElementType::ui8},
    {"U16", ElementType::ui16}, {"U32", ElementType::ui32},
    {"U64", ElementType::ui64}, {"I64", ElementType::index}};

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// The JSON parser recurses; a header of a million '[' must not end us.
static bool isFlat(StringRef json) {
  constexpr int maxDepth = 8;
  bool inString = false;
  int depth = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (inString) {
      i += c == '\\';
      inString = c != '"';
      continue;
    }
    inString = c == '"';
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (depth > maxDepth)
      return false;
  }
  return true;
}

static std::optional<llvm::SmallVector<int64_t>>
parseSizes(const llvm::json::Array *array) {
  if (!array)
    return std::nullopt;
  llvm::SmallVector<int64_t> sizes;
  for (const llvm::json::Value &value : *array) {
    std::optional<int64_t> size = value.getAsInteger();
    if (!size || *size < 0)
      return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

/// One entry of the header; `data` are the bytes after it.
static Expected<HostArray> parseEntry(const llvm::json::Value &value,
                                      StringRef data,
                                      std::shared_ptr<void> owner) {
  const llvm::json::Object *entry = value.getAsObject();
  if (!entry)
    return llvm::createStringError("expected an object");
  std::optional<StringRef> dtype = entry->getString("dtype");
  auto shape = parseSizes(entry->getArray("shape"));
  auto offsets = parseSizes(entry->getArray("data_offsets"));
  if (!dtype || !shape || !offsets || offsets->size() != 2)
    return llvm::createStringError(
        "expected 'dtype', 'shape' and two 'data_offsets'");
  const auto *known =
      llvm::find_if(kTypes, [&](const auto &t) { return t.first == *dtype; });
  if (known == std::end(kTypes))
    return llvm::createStringError("dtype " + *dtype + " is not supported");
  ElementType element = known->second;

  auto [begin, end] = std::pair((*offsets)[0], (*offsets)[1]);
  if (begin > end || static_cast<size_t>(end) > data.size())
    return llvm::createStringError(
        "expected data_offsets within the " + Twine(data.size()) +
        " bytes of the file, got [" + Twine(begin) + ", " + Twine(end) + "]");
  std::optional<int64_t> count = countElements(*shape);
  size_t bytes = getByteSize(element);
  if (!count || (end - begin) % bytes ||
      (end - begin) / bytes != size_t(*count))
    return llvm::createStringError("expected the bytes of " +
                                   formatType(element, *shape) + ", got " +
                                   Twine(end - begin));
  char *elements = const_cast<char *>(data.data()) + begin;
  if (element == ElementType::i1)
    for (char &c : llvm::MutableArrayRef(elements, *count))
      c = c != 0;
  return HostArray::share(element, *shape, elements, std::move(owner));
}

Expected<NamedArrays> NamedArrays::readSafetensors(StringRef path) {
  auto error = [&](const Twine &message) {
    return llvm::createStringError(path + ": " + message);
  };
  // Volatile: read into memory of our own, not mapped.
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false,
                                            /*IsVolatile=*/true);
  if (!buffer)
    return error(buffer.getError().message());
  std::shared_ptr<llvm::MemoryBuffer> file = std::move(*buffer);
  StringRef bytes = file->getBuffer();
  if (bytes.size() < 8)
    return error("not a .safetensors file: shorter than 8 bytes");
  uint64_t length = llvm::support::endian::read64le(bytes.data());
  bytes = bytes.drop_front(8);
  if (length > bytes.size())
    return error("corrupt: expected a header of " + Twine(length) +
                 " bytes, got " + Twine(bytes.size()));
  StringRef text = bytes.take_front(length);
  if (!isFlat(text))
    return error("corrupt: the header is nested too deeply");
  auto header = llvm::json::parse(text);
  if (!header)
    return error("corrupt header: " + llvm::toString(header.takeError()));
  if (!header->getAsObject())
    return error("corrupt: expected the header to be an object");

  NamedArrays arrays;
  arrays.path = path.str();
  for (const auto &[key, value] : *header->getAsObject()) {
    if (StringRef(key) == "__metadata__")
      continue;
    auto array = parseEntry(value, bytes.drop_front(length), file);
    Entry &entry = arrays.entries[StringRef(key).str()];
    if (array)
      entry.array = std::move(*array);
    else
      entry.problem = llvm::toString(array.takeError());
  }
  return arrays;
}

Expected<HostArray> NamedArrays::get(StringRef name) const {
  auto it = entries.find(name.str());
  if (it == entries.end()) {
    auto names = llvm::make_first_range(entries);
    return llvm::createStringError(
        path + ": no array '" + name + "'; there is " +
        (entries.empty() ? "none" : llvm::join(names, ", ")));
  }
  if (!it->second.array)
    return llvm::createStringError(path + ": '" + name +
                                   "': " + it->second.problem);
  return *it->second.array;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

llvm::Error mlir::quant_ste::writeSafetensors(
    StringRef path, llvm::ArrayRef<std::pair<std::string, HostArray>> arrays) {
  std::string header;
  llvm::raw_string_ostream json(header);
  llvm::json::OStream writer(json);
  writer.object([&] {
    size_t offset = 0;
    for (const auto &[name, array] : arrays) {
      size_t end = offset + array.getNumBytes();
      writer.attributeObject(name, [&] {
        writer.attribute("dtype", llvm::find_if(kTypes, [&](const auto &t) {
                                    return t.second == array.getElementType();
                                  })->first);
        writer.attribute("shape", llvm::json::Array(array.getShape()));
        writer.attribute("data_offsets",
                         llvm::json::Array{int64_t(offset), int64_t(end)});
      });
      offset = end;
    }
  });
  // Elements start at a multiple of 8.
  header.append((8 - header.size() % 8) % 8, ' ');

  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (!code) {
    char length[8];
    llvm::support::endian::write64le(length, header.size());
    os << StringRef(length, 8) << header;
    for (const auto &[name, array] : arrays) {
      Expected<HostArray> packed = array.packed();
      if (!packed)
        return packed.takeError();
      os << StringRef(packed->getDataAs<char>(), packed->getNumBytes());
    }
    os.close();
    code = os.error();
    os.clear_error();
  }
  if (code)
    return llvm::createStringError(path + ": " + code.message());
  return llvm::Error::success();
}
