//===- ObjectCache.cpp - compiled code kept on disk -------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An entry is a file `llvmcache-<key>`, so that LLVM's pruning knows it:
// a line that says the format, the SHA-256 of what follows, the signatures, and
// the object. It is written under another name and renamed.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/ObjectCache.h"

#include "quant_ste/Pipelines/Pipelines.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/DataExtractor.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SHA256.h"
#include "llvm/TargetParser/Host.h"
#include <dlfcn.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::quant_ste;

static constexpr StringLiteral kFormat = "quant_ste object 1\n";
static constexpr size_t kHashBytes = 32;

static std::string getDefaultDirectory() {
  if (auto directory = llvm::sys::Process::GetEnv("QUANT_STE_CACHE_DIR"))
    return *directory;
  llvm::SmallString<128> path;
  if (!llvm::sys::path::cache_directory(path)) // asks XDG_CACHE_HOME
    return {};
  llvm::sys::path::append(path, "quant_ste");
  return path.str().str();
}

ObjectCache::ObjectCache(std::string given, uint64_t maxBytes)
    : directory(given.empty() ? getDefaultDirectory() : std::move(given)),
      maxBytes(maxBytes) {}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

/// Which build of the library this function is in: file, size and time.
static std::string describeLibraryOf(void *address) {
  Dl_info info;
  llvm::sys::fs::file_status status;
  if (!dladdr(address, &info) || !info.dli_fname ||
      llvm::sys::fs::status(info.dli_fname, status))
    return {};
  return (Twine(info.dli_fname) + " " + Twine(status.getSize()) + " " +
          Twine(status.getLastModificationTime().time_since_epoch().count()))
      .str();
}

/// What every entry that this process makes has in common.
static const std::string &describeProcess() {
  static const std::string text = [] {
    std::string out;
    llvm::raw_string_ostream os(out);
    os << "LLVM " << LLVM_VERSION_STRING << '\n'
       << describeLibraryOf(reinterpret_cast<void *>(&getDefaultDirectory))
       << '\n'
       << describeLibraryOf(
              reinterpret_cast<void *>(&llvm::sys::getHostCPUName))
       << '\n'
       << llvm::sys::getHostCPUName();
    // A map has no order.
    std::vector<std::string> features;
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      if (feature.second)
        features.push_back(feature.first().str());
    llvm::sort(features);
    os << ' ' << llvm::join(features, ",");
    return out;
  }();
  return text;
}

std::optional<std::string> ObjectCache::getKey(StringRef input, StringRef file,
                                               const CompileOptions &options) {
  llvm::SHA256 hash;
  auto add = [&](StringRef text) {
    uint64_t size = text.size(); // two texts are never one that is longer
    hash.update(StringRef(reinterpret_cast<const char *>(&size), sizeof size));
    hash.update(text);
  };
  add(describeProcess());
  add(input);
  add(options.pipelineOptions);
  add(options.target);
  add(options.function);
  const CodegenOptions &codegen = options.codegen;
  add(std::to_string(codegen.optLevel));
  add(codegen.triple);
  add(codegen.cpu);
  add(codegen.features);
  add(codegen.debugInfo ? file : "");
  auto addFile = [&](StringRef path) {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    if (buffer)
      add((*buffer)->getBuffer());
    return static_cast<bool>(buffer);
  };
  CpuPipelineOptions cpu;
  GpuPipelineOptions gpu;
  std::string ignored;
  llvm::raw_string_ostream errors(ignored);
  bool isParsed =
      succeeded(options.isForGpu()
                    ? gpu.parseFromString(options.pipelineOptions, errors)
                    : cpu.parseFromString(options.pipelineOptions, errors));
  // What a CUDA toolkit makes depends on that.
  if (!isParsed || gpu.image != DeviceImage::PTX ||
      !llvm::all_of(ArrayRef<std::string>(cpu.rules), addFile) ||
      !llvm::all_of(ArrayRef<std::string>(gpu.rules), addFile) ||
      !llvm::all_of(options.rules, addFile))
    return std::nullopt;
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

namespace {
/// Numbers and strings, one after the other.
class Writer {
public:
  explicit Writer(raw_ostream &os) : os(os) {}
  void number(int64_t n) {
    os.write(reinterpret_cast<const char *>(&n), sizeof n);
  }
  void text(StringRef s) {
    number(s.size());
    os << s;
  }
  template <class Range, class F> void list(const Range &range, F writeOne) {
    number(range.size());
    for (const auto &item : range)
      writeOne(item);
  }

private:
  raw_ostream &os;
};

/// Reads what Writer wrote; all that is read after the end is 0.
class Reader {
public:
  explicit Reader(StringRef bytes)
      : data(bytes, /*IsLittleEndian=*/true, /*AddressSize=*/8), cursor(0) {}
  int64_t number() { return data.getU64(cursor); }
  std::string text() {
    uint64_t size = number();
    return data.getBytes(cursor, size).str();
  }
  template <class F> void list(F readOne) {
    for (int64_t i = 0, n = number(); i < n && cursor; ++i)
      readOne();
  }
  /// Whether all was there.
  bool finish() { return !llvm::errorToBool(cursor.takeError()); }

private:
  llvm::DataExtractor data;
  llvm::DataExtractor::Cursor cursor;
};
} // namespace

static void write(Writer &w, const ValueType &type) {
  w.number(static_cast<int64_t>(type.element));
  w.number(type.isScalar);
  w.list(type.shape, [&](int64_t size) { w.number(size); });
  w.text(type.name);
}

static void write(Writer &w, const Signature &f) {
  auto writeDim = [&](ArgumentDim d) {
    w.number(d.argument);
    w.number(d.dim);
  };
  w.text(f.function);
  w.list(f.arguments, [&](const ValueType &type) { write(w, type); });
  w.list(f.results, [&](const ValueType &type) { write(w, type); });
  w.list(f.equalDims, [&](const EqualDims &equal) {
    w.list(equal.dims, writeDim);
    w.number(equal.size);
  });
  w.list(f.packedDims, [&](const PackedDim &packed) {
    writeDim(packed.bytes);
    writeDim(packed.like);
    w.number(packed.bits);
  });
  w.list(f.resultDims, [&](const auto &dims) {
    w.list(dims, [&](const ResultDim &dim) {
      w.number(dim.size);
      w.number(dim.bits);
      w.number(dim.like.has_value());
      writeDim(dim.like.value_or(ArgumentDim{0, 0}));
    });
  });
  w.text(f.unsupported);
}

static ValueType readType(Reader &r) {
  ValueType type;
  type.element = static_cast<ElementType>(r.number());
  type.isScalar = r.number();
  r.list([&] { type.shape.push_back(r.number()); });
  type.name = r.text();
  return type;
}

static Signature readSignature(Reader &r) {
  auto readDim = [&] {
    ArgumentDim d;
    d.argument = r.number();
    d.dim = r.number();
    return d;
  };
  Signature f;
  f.function = r.text();
  r.list([&] { f.arguments.push_back(readType(r)); });
  r.list([&] { f.results.push_back(readType(r)); });
  r.list([&] {
    EqualDims &equal = f.equalDims.emplace_back();
    r.list([&] { equal.dims.push_back(readDim()); });
    equal.size = r.number();
  });
  r.list([&] {
    PackedDim &packed = f.packedDims.emplace_back();
    packed.bytes = readDim();
    packed.like = readDim();
    packed.bits = r.number();
  });
  r.list([&] {
    auto &dims = f.resultDims.emplace_back();
    r.list([&] {
      ResultDim dim;
      dim.size = r.number();
      dim.bits = r.number();
      bool isLike = r.number();
      ArgumentDim like = readDim();
      if (isLike)
        dim.like = like;
      dims.push_back(dim);
    });
  });
  f.unsupported = r.text();
  return f;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

static llvm::SmallString<128> getPath(StringRef directory, StringRef key) {
  llvm::SmallString<128> path(directory);
  llvm::sys::path::append(path, "llvmcache-" + key);
  return path;
}

static std::optional<ObjectCache::Entry> parseEntry(StringRef bytes) {
  if (!bytes.consume_front(kFormat) || bytes.size() < kHashBytes)
    return std::nullopt;
  StringRef hash = bytes.take_front(kHashBytes);
  bytes = bytes.drop_front(kHashBytes);
  if (llvm::toStringRef(
          llvm::SHA256::hash(llvm::arrayRefFromStringRef(bytes))) != hash)
    return std::nullopt;
  Reader outer(bytes);
  std::string header = outer.text();
  Reader r(header);
  ObjectCache::Entry entry;
  r.list([&] { entry.functions.push_back(readSignature(r)); });
  if (!outer.finish() || !r.finish())
    return std::nullopt;
  StringRef object = bytes.drop_front(sizeof(uint64_t) + header.size());
  entry.object = llvm::MemoryBuffer::getMemBufferCopy(object, "quant_ste");
  return entry;
}

std::optional<ObjectCache::Entry> ObjectCache::find(StringRef key) const {
  auto path = getPath(directory, key);
  auto file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file) {
    llvm::consumeError(file.takeError());
    return std::nullopt;
  }
  llvm::scope_exit close([&] { (void)llvm::sys::fs::closeFile(*file); });
  // Somebody else's code is not run.
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(*file, status) || status.getUser() != geteuid())
    return std::nullopt;
  auto buffer = llvm::MemoryBuffer::getOpenFile(
      *file, path, status.getSize(), /*RequiresNullTerminator=*/false);
  if (!buffer)
    return std::nullopt;
  std::optional<Entry> entry = parseEntry((*buffer)->getBuffer());
  if (!entry) {
    llvm::sys::fs::remove(path);
    return std::nullopt;
  }
  // What is used stays.
  (void)llvm::sys::fs::setLastAccessAndModificationTime(
      *file, std::chrono::system_clock::now());
  return entry;
}

void ObjectCache::store(StringRef key, ArrayRef<Signature> functions,
                        StringRef object) const {
  using namespace llvm::sys::fs;
  if (directory.empty() ||
      create_directories(directory, /*IgnoreExisting=*/true, owner_all))
    return;
  std::string header, payload;
  llvm::raw_string_ostream headerStream(header), stream(payload);
  Writer signatures(headerStream);
  signatures.list(functions, [&](const Signature &f) { write(signatures, f); });
  Writer(stream).text(header);
  stream << object;

  auto file = TempFile::create(getPath(directory, key) + "-%%%%%%%%.tmp",
                               owner_read | owner_write);
  if (!file)
    return llvm::consumeError(file.takeError());
  {
    llvm::raw_fd_ostream os(file->FD, /*shouldClose=*/false);
    os << kFormat
       << llvm::toStringRef(
              llvm::SHA256::hash(llvm::arrayRefFromStringRef(payload)))
       << payload;
    os.flush();
    if (os.has_error()) {
      os.clear_error();
      return llvm::consumeError(file->discard());
    }
  }
  // A rename, which other processes see whole or not at all.
  if (auto error = file->keep(getPath(directory, key)))
    return llvm::consumeError(std::move(error));
  llvm::CachePruningPolicy policy;
  policy.Interval = std::chrono::seconds(0);
  policy.Expiration = std::chrono::hours(30 * 24);
  policy.MaxSizeBytes = maxBytes;
  llvm::pruneCache(directory, policy);
}
