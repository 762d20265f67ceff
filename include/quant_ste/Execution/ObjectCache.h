//===- ObjectCache.h - compiled code kept on disk ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_OBJECTCACHE_H
#define QUANT_STE_EXECUTION_OBJECTCACHE_H

#include "quant_ste/Execution/Program.h"

namespace mlir::quant_ste {

/// What Program::compile made of a text, by everything that it depends on:
/// text, options, files of rules, this machine's processor, and the versions
/// of quant_ste and LLVM. Any number of processes may use one directory. A
/// damaged entry is as good as none.
class ObjectCache {
public:
  static constexpr uint64_t kDefaultMaxBytes = uint64_t(256) << 20;

  /// An empty directory is the usual one: $QUANT_STE_CACHE_DIR, else quant_ste
  /// in $XDG_CACHE_HOME or ~/.cache.
  explicit ObjectCache(std::string directory = "",
                       uint64_t maxBytes = kDefaultMaxBytes);

  StringRef getDirectory() const { return directory; }

  /// The name of the entry for a module's text or bytecode; `file` is where
  /// line tables lead to. None when a file of rules cannot be read.
  static std::optional<std::string> getKey(StringRef input, StringRef file,
                                           const CompileOptions &options);

  struct Entry {
    std::vector<Signature> functions;
    std::unique_ptr<llvm::MemoryBuffer> object;
  };
  std::optional<Entry> find(StringRef key) const;
  /// Does nothing when the directory cannot be written.
  void store(StringRef key, ArrayRef<Signature> functions,
             StringRef object) const;

private:
  std::string directory;
  uint64_t maxBytes;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_OBJECTCACHE_H
