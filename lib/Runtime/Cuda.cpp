//===- Cuda.cpp - kernels on NVIDIA GPUs -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/Cuda.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

//===----------------------------------------------------------------------===//
// The driver
//===----------------------------------------------------------------------===//

// From cuda.h, which need not be there.
using CUresult = int;
using CUdevice = int;
using CUcontext = void *;
using CUmodule = void *;
using CUfunction = void *;
using CUstream = void *;
using CUdeviceptr = unsigned long long;
static constexpr int kErrorLogBuffer = 5, kErrorLogBufferBytes = 6;

namespace {
struct Driver {
  CUresult (*cuInit)(unsigned) = nullptr;
  CUresult (*cuGetErrorString)(CUresult, const char **) = nullptr;
  CUresult (*cuDeviceGet)(CUdevice *, int) = nullptr;
  CUresult (*cuCtxGetCurrent)(CUcontext *) = nullptr;
  CUresult (*cuCtxSetCurrent)(CUcontext) = nullptr;
  CUresult (*cuDevicePrimaryCtxRetain)(CUcontext *, CUdevice) = nullptr;
  CUresult (*cuModuleLoadDataEx)(CUmodule *, const void *, unsigned, int *,
                                 void **) = nullptr;
  CUresult (*cuModuleGetFunction)(CUfunction *, CUmodule,
                                  const char *) = nullptr;
  CUresult (*cuLaunchKernel)(CUfunction, unsigned, unsigned, unsigned, unsigned,
                             unsigned, unsigned, unsigned, CUstream, void **,
                             void **) = nullptr;
  CUresult (*cuMemAllocAsync)(CUdeviceptr *, size_t, CUstream) = nullptr;
  CUresult (*cuMemFreeAsync)(CUdeviceptr, CUstream) = nullptr;
  CUresult (*cuMemcpyHtoDAsync)(CUdeviceptr, const void *, size_t,
                                CUstream) = nullptr;
  CUresult (*cuMemcpyDtoHAsync)(void *, CUdeviceptr, size_t,
                                CUstream) = nullptr;
  CUresult (*cuStreamSynchronize)(CUstream) = nullptr;
  /// Why there is none; empty if there is one.
  std::string missing;

  Driver();

private:
  template <class Function>
  void load(void *library, Function &function, const char *name) {
    void *symbol = dlsym(library, name);
    if (!symbol && missing.empty())
      missing = std::string("the CUDA driver is too old: it has no ") + name;
    std::memcpy(&function, &symbol, sizeof(symbol));
  }
};
} // namespace

Driver::Driver() {
  const char *path = std::getenv("QUANT_STE_LIBCUDA");
  // Never closed: its threads and contexts outlive any use here.
  void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    missing =
        std::string("there is no CUDA driver on this machine: ") + dlerror();
    return;
  }
  load(library, cuInit, "cuInit");
  load(library, cuGetErrorString, "cuGetErrorString");
  load(library, cuDeviceGet, "cuDeviceGet");
  load(library, cuCtxGetCurrent, "cuCtxGetCurrent");
  load(library, cuCtxSetCurrent, "cuCtxSetCurrent");
  load(library, cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  load(library, cuModuleLoadDataEx, "cuModuleLoadDataEx");
  load(library, cuModuleGetFunction, "cuModuleGetFunction");
  load(library, cuLaunchKernel, "cuLaunchKernel");
  load(library, cuMemAllocAsync, "cuMemAllocAsync");
  load(library, cuMemFreeAsync, "cuMemFreeAsync");
  load(library, cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  load(library, cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  load(library, cuStreamSynchronize, "cuStreamSynchronize");
  if (!missing.empty())
    return;
  if (CUresult code = cuInit(0)) {
    const char *text = nullptr;
    cuGetErrorString(code, &text);
    missing = std::string("the CUDA driver cannot be used: ") +
              (text ? text : "unknown error");
  }
}

static const Driver &getDriver() {
  static const Driver driver;
  return driver;
}

//===----------------------------------------------------------------------===//
// What a thread has
//===----------------------------------------------------------------------===//

static thread_local CUstream stream = nullptr;
static thread_local std::string error, taken;

static void fail(const std::string &text) {
  if (error.empty())
    error = text;
}

/// False, with an error, unless the driver did what it was asked for.
static bool check(CUresult code, const std::string &what) {
  if (code == 0)
    return true;
  const char *text = nullptr;
  getDriver().cuGetErrorString(code, &text);
  fail(what + ": " + (text ? text : "error " + std::to_string(code)));
  return false;
}

/// Whether this thread can work: a driver, a context and no error so far.
static bool isReady(CUcontext *context = nullptr) {
  if (!error.empty())
    return false;
  const Driver &driver = getDriver();
  if (!driver.missing.empty()) {
    fail(driver.missing);
    return false;
  }
  CUcontext current = nullptr;
  if (!check(driver.cuCtxGetCurrent(&current), "cuCtxGetCurrent"))
    return false;
  if (!current) {
    CUdevice device = 0;
    if (!check(driver.cuDeviceGet(&device, 0), "cuDeviceGet") ||
        !check(driver.cuDevicePrimaryCtxRetain(&current, device),
               "cuDevicePrimaryCtxRetain") ||
        !check(driver.cuCtxSetCurrent(current), "cuCtxSetCurrent"))
      return false;
  }
  if (context)
    *context = current;
  return true;
}

static CUdeviceptr toDevice(const void *pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

bool quant_ste_cuda_is_available(void) { return isReady(); }

void quant_ste_cuda_set_stream(void *s) { stream = s; }

const char *quant_ste_cuda_take_error(void) {
  if (error.empty())
    return nullptr;
  taken.swap(error);
  error.clear();
  return taken.c_str();
}

void *quant_ste_cuda_enter(void *s) {
  error.clear();
  CUstream previous = stream;
  stream = s;
  return previous;
}

bool quant_ste_cuda_leave(void *previous) {
  stream = previous;
  return quant_ste_cuda_take_error() != nullptr;
}

const char *quant_ste_cuda_last_error(void) {
  return taken.empty() ? "no error" : taken.c_str();
}

void quant_ste_cuda_synchronize(void) {
  if (isReady())
    check(getDriver().cuStreamSynchronize(stream), "cuStreamSynchronize");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void quant_ste_cuda_copy_to_device(void *device, const void *host,
                                   int64_t bytes) {
  if (bytes > 0 && isReady())
    check(getDriver().cuMemcpyHtoDAsync(toDevice(device), host, bytes, stream),
          "cuMemcpyHtoDAsync");
}

void quant_ste_cuda_copy_to_host(void *host, const void *device,
                                 int64_t bytes) {
  if (bytes > 0 && isReady())
    check(getDriver().cuMemcpyDtoHAsync(host, toDevice(device), bytes, stream),
          "cuMemcpyDtoHAsync");
}

void *quant_ste_cuda_malloc(int64_t bytes) {
  CUdeviceptr device = 0;
  if (bytes <= 0 || !isReady())
    return nullptr;
  check(getDriver().cuMemAllocAsync(&device, bytes, stream),
        "cuMemAllocAsync of " + std::to_string(bytes) + " bytes");
  return reinterpret_cast<void *>(static_cast<uintptr_t>(device));
}

/// The driver aligns to 256 bytes, more than anybody asks for.
void *quant_ste_cuda_aligned_alloc(int64_t, int64_t bytes) {
  return quant_ste_cuda_malloc(bytes);
}

void quant_ste_cuda_free(void *device) {
  // Also after an error: what was allocated before it is still to be freed.
  if (device && getDriver().missing.empty())
    check(getDriver().cuMemFreeAsync(toDevice(device), stream),
          "cuMemFreeAsync");
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

namespace {
/// Modules and kernels by context and image. Images have numbers, since a new
/// one may lie where one was that is gone.
struct Loaded {
  std::mutex mutex;
  int64_t count = 0;
  std::map<std::pair<CUcontext, int64_t>, CUmodule> modules;
  std::map<std::tuple<CUcontext, int64_t, std::string>, CUfunction> kernels;
};
} // namespace

static Loaded &getLoaded() {
  static auto *loaded = new Loaded; // kernels may be launched at exit
  return *loaded;
}

static CUmodule loadModule(const void *image) {
  char log[1024] = "";
  int options[] = {kErrorLogBuffer, kErrorLogBufferBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  CUmodule module = nullptr;
  CUresult code =
      getDriver().cuModuleLoadDataEx(&module, image, 2, options, values);
  check(code, std::string("loading kernels") + (*log ? " (" : "") + log +
                  (*log ? ")" : ""));
  return module;
}

static CUfunction getKernel(CUcontext context, int64_t *id, const void *image,
                            const char *name) {
  Loaded &loaded = getLoaded();
  std::lock_guard<std::mutex> lock(loaded.mutex);
  if (*id == 0)
    *id = ++loaded.count;
  auto &kernel = loaded.kernels[{context, *id, name}];
  if (kernel)
    return kernel;
  CUmodule &module = loaded.modules[{context, *id}];
  if (!module)
    module = loadModule(image);
  if (module)
    check(getDriver().cuModuleGetFunction(&kernel, module, name),
          std::string("kernel '") + name + "'");
  return kernel;
}

void quant_ste_cuda_launch(int64_t *id, const void *image, int64_t,
                           const char *kernel, int64_t blocks, int64_t threads,
                           void **arguments) {
  CUcontext context = nullptr;
  if (blocks <= 0 || !isReady(&context))
    return;
  if (blocks > INT32_MAX) {
    fail(std::string("kernel '") + kernel + "': expected at most 2147483647 " +
         "blocks, got " + std::to_string(blocks));
    return;
  }
  CUfunction function = getKernel(context, id, image, kernel);
  if (function)
    check(getDriver().cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0,
                                     stream, arguments, nullptr),
          std::string("kernel '") + kernel + "'");
}
