//===- Assemble.cpp - what a CUDA toolkit makes of PTX -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/DeviceCode.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::quant_ste;

static llvm::Expected<std::string> findTool(StringRef name) {
  SmallVector<std::string> folders;
  if (auto path = llvm::sys::Process::GetEnv("QUANT_STE_CUDA_BIN")) {
    folders.push_back(*path);
  } else {
    if (auto onPath = llvm::sys::findProgramByName(name))
      return *onPath;
    if (auto home = llvm::sys::Process::GetEnv("CUDA_HOME"))
      folders.push_back(*home + "/bin");
    folders.push_back("/usr/local/cuda/bin");
  }
  SmallVector<StringRef> paths(folders.begin(), folders.end());
  if (auto found = llvm::sys::findProgramByName(name, paths))
    return *found;
  return llvm::createStringError(
      "expected '" + name +
      "' of the CUDA toolkit in $QUANT_STE_CUDA_BIN, or on the path, in "
      "$CUDA_HOME/bin or in /usr/local/cuda/bin; without it, PTX can be made, "
      "which the driver compiles");
}

namespace {
/// Files that go with it.
struct TemporaryFiles {
  ~TemporaryFiles() {
    for (const std::string &path : paths)
      llvm::sys::fs::remove(path);
  }
  llvm::Expected<std::string> add(StringRef suffix) {
    SmallString<128> path;
    if (auto error =
            llvm::sys::fs::createTemporaryFile("quant_ste", suffix, path))
      return llvm::createStringError("cannot make a temporary file: " +
                                     error.message());
    paths.push_back(path.str().str());
    return paths.back();
  }
  std::vector<std::string> paths;
};
} // namespace

static llvm::Expected<std::string> readFile(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError(path + ": " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

static llvm::Error run(StringRef tool, ArrayRef<std::string> arguments,
                       TemporaryFiles &files) {
  llvm::Expected<std::string> path = findTool(tool);
  if (!path)
    return path.takeError();
  llvm::Expected<std::string> log = files.add("log");
  if (!log)
    return log.takeError();
  SmallVector<StringRef> words{*path};
  llvm::append_range(words, arguments);
  std::string error;
  int code = llvm::sys::ExecuteAndWait(
      *path, words, std::nullopt,
      {StringRef(""), StringRef(*log), StringRef(*log)},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &error);
  if (code == 0)
    return llvm::Error::success();
  auto said = readFile(*log);
  if (!said)
    llvm::consumeError(said.takeError());
  return llvm::createStringError(
      tool + ": " +
      (error.empty() && said ? StringRef(*said).rtrim().str() : error));
}

/// Writes the PTX to a file, and what ptxas makes of it to another.
static llvm::Expected<std::pair<std::string, std::string>>
assemble(const ChipCode &code, TemporaryFiles &files) {
  auto source = files.add("ptx"), cubin = files.add("cubin");
  if (!source)
    return source.takeError();
  if (!cubin)
    return cubin.takeError();
  std::error_code failed;
  {
    llvm::raw_fd_ostream os(*source, failed);
    os << code.ptx;
  }
  if (failed)
    return llvm::createStringError(*source + ": " + failed.message());
  // Without fmad ptxas contracts nothing that PTX leaves open.
  if (auto error = run("ptxas",
                       {"-O3", "--fmad=false", "--gpu-name=" + code.chip,
                        *source, "--output-file=" + *cubin},
                       files))
    return error;
  return std::pair(*source, *cubin);
}

llvm::Expected<std::string>
quant_ste::assembleDeviceCode(ArrayRef<ChipCode> codes, DeviceImage kind) {
  assert(!codes.empty() && (codes.size() == 1 || kind == DeviceImage::Fatbin) &&
         "a fatbin alone has room for several");
  if (kind == DeviceImage::PTX)
    return codes.back().ptx;
  TemporaryFiles files;
  SmallVector<std::string> images;
  for (const ChipCode &code : codes) {
    auto made = assemble(code, files);
    if (!made)
      return made.takeError();
    auto [source, cubin] = *made;
    if (kind == DeviceImage::Cubin)
      return readFile(cubin);
    std::string number = StringRef(code.chip).drop_front(3).str(); // sm_
    images.push_back("--image3=kind=elf,sm=" + number + ",file=" + cubin);
    if (&code == &codes.back())
      images.push_back("--image3=kind=ptx,sm=" + number + ",file=" + source);
  }
  auto fatbin = files.add("fatbin");
  if (!fatbin)
    return fatbin.takeError();
  SmallVector<std::string> arguments = {"--create=" + *fatbin, "-64"};
  llvm::append_range(arguments, images);
  if (auto error = run("fatbinary", arguments, files))
    return error;
  return readFile(*fatbin);
}
