//===- Cuda.cpp - kernels on NVIDIA GPUs -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/Cuda.h"

#include "CudaThread.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <set>
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
using CUevent = void *;
using CUmemoryPool = void *;
static constexpr int kErrorLogBuffer = 5, kErrorLogBufferBytes = 6;
static constexpr int kPoolReleaseThreshold = 4;
static constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;

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
  CUresult (*cuMemcpyDtoDAsync)(CUdeviceptr, CUdeviceptr, size_t,
                                CUstream) = nullptr;
  CUresult (*cuStreamSynchronize)(CUstream) = nullptr;
  CUresult (*cuCtxGetDevice)(CUdevice *) = nullptr;
  CUresult (*cuDeviceGetAttribute)(int *, int, CUdevice) = nullptr;
  CUresult (*cuEventCreate)(CUevent *, unsigned) = nullptr;
  CUresult (*cuEventRecord)(CUevent, CUstream) = nullptr;
  CUresult (*cuEventSynchronize)(CUevent) = nullptr;
  CUresult (*cuEventElapsedTime)(float *, CUevent, CUevent) = nullptr;
  CUresult (*cuEventDestroy)(CUevent) = nullptr;
  // Not in every driver that has the others.
  CUresult (*cuDeviceGetMemPool)(CUmemoryPool *, CUdevice) = nullptr;
  CUresult (*cuMemPoolGetAttribute)(CUmemoryPool, int, void *) = nullptr;
  CUresult (*cuMemPoolSetAttribute)(CUmemoryPool, int, void *) = nullptr;
  /// Why there is none; empty if there is one.
  std::string missing;

  Driver();

private:
  template <class Function>
  void tryLoad(void *library, Function &function, const char *name) {
    void *symbol = dlsym(library, name);
    std::memcpy(&function, &symbol, sizeof(symbol));
  }
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
  load(library, cuMemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2");
  load(library, cuStreamSynchronize, "cuStreamSynchronize");
  load(library, cuCtxGetDevice, "cuCtxGetDevice");
  load(library, cuDeviceGetAttribute, "cuDeviceGetAttribute");
  load(library, cuEventCreate, "cuEventCreate");
  load(library, cuEventRecord, "cuEventRecord");
  load(library, cuEventSynchronize, "cuEventSynchronize");
  load(library, cuEventElapsedTime, "cuEventElapsedTime");
  load(library, cuEventDestroy, "cuEventDestroy_v2");
  tryLoad(library, cuDeviceGetMemPool, "cuDeviceGetMemPool");
  tryLoad(library, cuMemPoolGetAttribute, "cuMemPoolGetAttribute");
  tryLoad(library, cuMemPoolSetAttribute, "cuMemPoolSetAttribute");
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

namespace {
/// Memory that somebody else has allocated. What is freed is used again at
/// once: so it is for the work on a stream.
struct Workspace {
  enum { None, Given, Counting } kind = None;
  uintptr_t base = 0;
  int64_t bytes = 0;
  /// What would have been enough so far.
  int64_t needed = 0;
  /// Begin and end of each block, in order.
  std::map<int64_t, int64_t> blocks;

  void *allocate(int64_t size);
  bool free(void *pointer);
};
} // namespace

static thread_local CUstream stream = nullptr;
static thread_local std::string error, taken;
static thread_local Workspace workspace;

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

/// The primary context of a device, which is kept from then on. Null after an
/// error.
static CUcontext getPrimaryContext(int ordinal) {
  static std::mutex mutex;
  static std::map<int, CUcontext> contexts;
  std::lock_guard<std::mutex> lock(mutex);
  CUcontext &context = contexts[ordinal];
  CUdevice device = 0;
  if (!context && check(getDriver().cuDeviceGet(&device, ordinal),
                        "GPU number " + std::to_string(ordinal)))
    check(getDriver().cuDevicePrimaryCtxRetain(&context, device),
          "cuDevicePrimaryCtxRetain");
  return context;
}

static bool hasDriver() {
  if (workspace.kind == Workspace::Counting)
    return false;
  if (error.empty() && !getDriver().missing.empty())
    fail(getDriver().missing);
  return error.empty();
}

/// Whether this thread can work: a driver, a context and no error so far.
static bool isReady(CUcontext *context = nullptr) {
  if (!hasDriver())
    return false;
  const Driver &driver = getDriver();
  CUcontext current = nullptr;
  if (!check(driver.cuCtxGetCurrent(&current), "cuCtxGetCurrent"))
    return false;
  if (!current) {
    current = getPrimaryContext(0);
    if (!current || !check(driver.cuCtxSetCurrent(current), "cuCtxSetCurrent"))
      return false;
  }
  if (context)
    *context = current;
  return true;
}

std::optional<quant_ste::runtime::CudaThread>
quant_ste::runtime::getCudaThread() {
  CUcontext context = nullptr;
  if (!isReady(&context))
    return std::nullopt;
  return CudaThread{context, stream};
}

void quant_ste::runtime::failOnCuda(const std::string &text) { fail(text); }

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
  workspace = {};
  return quant_ste_cuda_take_error() != nullptr;
}

const char *quant_ste_cuda_last_error(void) {
  return taken.empty() ? "no error" : taken.c_str();
}

/// The driver aligns to that, more than anybody asks for.
static constexpr int64_t kAlignment = 256;

/// The first gap that is long enough.
void *Workspace::allocate(int64_t size) {
  size = (size + kAlignment - 1) / kAlignment * kAlignment;
  int64_t at = 0;
  for (auto [begin, end] : blocks) {
    if (begin - at >= size)
      break;
    at = end;
  }
  needed = std::max(needed, at + size);
  if (at + size > bytes) {
    fail("expected a workspace of at least " + std::to_string(needed) +
         " bytes, got " + std::to_string(bytes));
    return nullptr;
  }
  blocks[at] = at + size;
  return reinterpret_cast<void *>(base + at);
}

/// False if it is no block of this.
bool Workspace::free(void *pointer) {
  return kind != None &&
         blocks.erase(reinterpret_cast<uintptr_t>(pointer) - base) != 0;
}

void quant_ste_cuda_use_workspace(void *memory, int64_t bytes) {
  workspace = {};
  if (!memory)
    return;
  workspace.kind = Workspace::Given;
  workspace.base = reinterpret_cast<uintptr_t>(memory);
  workspace.bytes = bytes;
}

void quant_ste_cuda_count_workspace(void) {
  workspace = {};
  workspace.kind = Workspace::Counting;
  workspace.base = kAlignment; // not NULL
  workspace.bytes = INT64_MAX;
}

int64_t quant_ste_cuda_get_counted_bytes(void) { return workspace.needed; }

void quant_ste_cuda_synchronize(void) {
  if (isReady())
    check(getDriver().cuStreamSynchronize(stream), "cuStreamSynchronize");
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

void *quant_ste_cuda_enter_device(int32_t ordinal) {
  const Driver &driver = getDriver();
  CUcontext previous = nullptr;
  if (!driver.missing.empty() ||
      !check(driver.cuCtxGetCurrent(&previous), "cuCtxGetCurrent"))
    return nullptr;
  CUdevice wanted = 0, current = 0;
  if (ordinal < 0 || !check(driver.cuDeviceGet(&wanted, ordinal),
                            "GPU number " + std::to_string(ordinal)))
    return previous;
  if (previous && driver.cuCtxGetDevice(&current) == 0 && current == wanted)
    return previous;
  if (CUcontext context = getPrimaryContext(ordinal))
    check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  return previous;
}

void quant_ste_cuda_leave_device(void *previous) {
  const Driver &driver = getDriver();
  CUcontext current = nullptr;
  // The first context of a thread may stay.
  if (!previous || !driver.missing.empty())
    return;
  if (driver.cuCtxGetCurrent(&current) != 0 || current != previous)
    check(driver.cuCtxSetCurrent(previous), "cuCtxSetCurrent");
}

/// To ask makes no context, which takes memory and time.
int32_t quant_ste_cuda_capability(int32_t ordinal) {
  if (!hasDriver())
    return -1;
  const Driver &driver = getDriver();
  CUcontext context = nullptr;
  CUdevice device = 0;
  int major = 0, minor = 0;
  if (ordinal < 0 &&
      !check(driver.cuCtxGetCurrent(&context), "cuCtxGetCurrent"))
    return -1;
  int number = std::max<int>(ordinal, 0); // where work without a context goes
  bool isKnown = context
                     ? check(driver.cuCtxGetDevice(&device), "cuCtxGetDevice")
                     : check(driver.cuDeviceGet(&device, number),
                             "GPU number " + std::to_string(number));
  if (!isKnown ||
      !check(driver.cuDeviceGetAttribute(&major, kCapabilityMajor, device),
             "cuDeviceGetAttribute") ||
      !check(driver.cuDeviceGetAttribute(&minor, kCapabilityMinor, device),
             "cuDeviceGetAttribute"))
    return -1;
  return 10 * major + minor;
}

static bool canRun(int capability, int code) {
  enum { OfOneChip = 1, OfOneMajorVersion = 2 };
  int wanted = code / 10;
  if (code % 10 == OfOneChip)
    return capability == wanted;
  return capability >= wanted &&
         (code % 10 != OfOneMajorVersion || capability / 10 == wanted / 10);
}

int32_t quant_ste_cuda_choose(const int32_t *codes, int32_t count) {
  int capability = quant_ste_cuda_capability(-1);
  if (capability < 0)
    return -1;
  std::string chips;
  for (int32_t i = count; i-- > 0;) {
    if (canRun(capability, codes[i]))
      return i;
    chips = "sm_" + std::to_string(codes[i] / 10) +
            (codes[i] % 10 == 1 ? "a" : "") + (chips.empty() ? "" : ", ") +
            chips;
  }
  fail("expected a GPU that runs code for " + chips + ", got one of sm_" +
       std::to_string(capability));
  return -1;
}

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

void *quant_ste_cuda_record(void) {
  CUevent event = nullptr;
  if (!isReady() ||
      !check(getDriver().cuEventCreate(&event, 0), "cuEventCreate"))
    return nullptr;
  if (check(getDriver().cuEventRecord(event, stream), "cuEventRecord"))
    return event;
  getDriver().cuEventDestroy(event);
  return nullptr;
}

double quant_ste_cuda_elapsed(void *begin, void *end) {
  float milliseconds = 0;
  if (begin && end && isReady() &&
      check(getDriver().cuEventSynchronize(end), "cuEventSynchronize"))
    check(getDriver().cuEventElapsedTime(&milliseconds, begin, end),
          "cuEventElapsedTime");
  for (void *event : {begin, end})
    if (event)
      getDriver().cuEventDestroy(event);
  return milliseconds;
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
  if (workspace.kind == Workspace::Counting)
    std::memset(host, 0, std::max<int64_t>(bytes, 0));
  else if (bytes > 0 && isReady())
    check(getDriver().cuMemcpyDtoHAsync(host, toDevice(device), bytes, stream),
          "cuMemcpyDtoHAsync");
}

void quant_ste_cuda_copy_on_device(void *to, const void *from, int64_t bytes) {
  if (bytes > 0 && isReady())
    check(getDriver().cuMemcpyDtoDAsync(toDevice(to), toDevice(from), bytes,
                                        stream),
          "cuMemcpyDtoDAsync");
}

/// What a pool keeps for the next call when the GPU is waited for. By default
/// it gives everything back to the system then, and the next call pays for new
/// memory.
static constexpr uint64_t kKeptBytes = uint64_t(256) << 20;

/// Once for each device. Only a pool that keeps less is changed.
static void keepPool(CUcontext context) {
  static std::mutex mutex;
  static std::set<CUcontext> done;
  const Driver &driver = getDriver();
  std::lock_guard<std::mutex> lock(mutex);
  CUdevice device = 0;
  CUmemoryPool pool = nullptr;
  uint64_t kept = 0;
  if (!done.insert(context).second || !driver.cuDeviceGetMemPool ||
      !driver.cuMemPoolGetAttribute || !driver.cuMemPoolSetAttribute ||
      driver.cuCtxGetDevice(&device) != 0 ||
      driver.cuDeviceGetMemPool(&pool, device) != 0 ||
      driver.cuMemPoolGetAttribute(pool, kPoolReleaseThreshold, &kept) != 0 ||
      kept >= kKeptBytes)
    return;
  kept = kKeptBytes;
  driver.cuMemPoolSetAttribute(pool, kPoolReleaseThreshold, &kept);
}

void *quant_ste_cuda_malloc(int64_t bytes) {
  CUdeviceptr device = 0;
  CUcontext context = nullptr;
  if (bytes <= 0)
    return nullptr;
  if (workspace.kind == Workspace::Counting)
    return workspace.allocate(bytes);
  if (!isReady(&context))
    return nullptr;
  if (workspace.kind == Workspace::Given)
    return workspace.allocate(bytes);
  keepPool(context);
  check(getDriver().cuMemAllocAsync(&device, bytes, stream),
        "cuMemAllocAsync of " + std::to_string(bytes) + " bytes");
  return reinterpret_cast<void *>(static_cast<uintptr_t>(device));
}

void *quant_ste_cuda_aligned_alloc(int64_t, int64_t bytes) {
  return quant_ste_cuda_malloc(bytes);
}

void quant_ste_cuda_free(void *device) {
  // Also after an error: what was allocated before it is still to be freed.
  if (device && !workspace.free(device) && getDriver().missing.empty())
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
