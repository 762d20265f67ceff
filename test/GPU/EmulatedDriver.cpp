//===- EmulatedDriver.cpp - a CUDA driver on the processor -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Stands in for libcuda.so.1 ($QUANT_STE_LIBCUDA). An image is LLVM bitcode of
// device code (the pipeline's option `bitcode`), which is compiled for this
// processor: what runs is what PTX would be made of, with the registers and
// instructions of the GPU as calls of functions here.
//
// The threads of a block are fibers. A warp's threads meet at each shuffle and
// a block's at each barrier; if some are elsewhere, or have left, it is an
// error. Blocks run one after the other, in an order that changes with each
// launch. New memory is all ones, which are NaNs; the bytes around it are
// looked at when it is freed.
//
// emulated_log() is what was called, a line each; emulated_fail(name, code)
// makes the next call of a function fail. $QUANT_STE_EMULATED_LOG is a file to
// append the lines to, for programs.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/JITSymbols.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

using CUresult = int;
using CUdeviceptr = unsigned long long;
enum : int {
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kInvalidImage = 200,
  kInvalidDevice = 101,
  kNotFound = 500,
  kLaunchFailed = 719
};

//===----------------------------------------------------------------------===//
// Fibers
//===----------------------------------------------------------------------===//

#if !defined(__x86_64__)
#error "the emulated driver switches between fibers on x86-64 only"
#endif

// Saves the registers that a function must keep on the stack, and the stack's
// pointer in *from; goes on where `to` was saved.
extern "C" void emulated_switch(void **from, void *to);
asm(R"(
.text
.globl emulated_switch
.type emulated_switch, @function
emulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulated_switch, .-emulated_switch
)");

namespace {
constexpr int kMaxThreads = 1024, kWarp = 32;
constexpr size_t kStack = 64 * 1024;

enum class State { Ready, Shuffle, Barrier, Done };

struct Thread {
  std::vector<char> stack;
  void *context = nullptr;
  State state = State::Ready;
  // What it brings to a shuffle, and what it gets.
  uint32_t value = 0, mask = 0;
  int lane = 0;
};

/// The block that runs.
struct Machine {
  std::vector<Thread> threads{kMaxThreads};
  int numThreads = 0, current = 0, block = 0, numBlocks = 0;
  void *scheduler = nullptr;
  void (*entry)(void **) = nullptr;
  void **arguments = nullptr;
  std::string error;

  void wait(State state) {
    Thread &thread = threads[current];
    thread.state = state;
    emulated_switch(&thread.context, scheduler);
  }
  void runBlock();
  bool runWarp(int first);
  bool shuffle(int first, int end);
};
} // namespace

static Machine machine;

static void startThread() {
  machine.entry(machine.arguments);
  machine.wait(State::Done);
  std::abort(); // nobody goes on with it
}

/// Brings the warp's threads to the same shuffle. False on an error.
bool Machine::shuffle(int first, int end) {
  for (int t = first; t < end; ++t)
    if (threads[t].state != State::Shuffle || threads[t].mask != UINT32_MAX) {
      error = "threads of a warp diverge at a shuffle";
      return false;
    }
  std::vector<uint32_t> values;
  for (int t = first; t < end; ++t)
    values.push_back(threads[t].value);
  for (int t = first; t < end; ++t) {
    int lane = threads[t].lane;
    if (lane < end - first)
      threads[t].value = values[lane];
    threads[t].state = State::Ready;
  }
  return true;
}

/// Until all of its threads are at a barrier or have left.
bool Machine::runWarp(int first) {
  int end = std::min(first + kWarp, numThreads);
  for (;;) {
    bool isAtShuffle = false;
    for (int t = first; t < end; ++t) {
      current = t;
      if (threads[t].state == State::Ready)
        emulated_switch(&scheduler, threads[t].context);
      isAtShuffle |= threads[t].state == State::Shuffle;
    }
    if (!isAtShuffle)
      return true;
    if (!shuffle(first, end))
      return false;
  }
}

void Machine::runBlock() {
  for (int t = 0; t < numThreads; ++t) {
    Thread &thread = threads[t];
    thread.stack.resize(kStack);
    auto top = reinterpret_cast<uintptr_t>(thread.stack.data() + kStack) & ~63;
    auto *words = reinterpret_cast<void **>(top);
    // As if startThread had been called: its return address is not there.
    words[-1] = nullptr;
    words[-2] = reinterpret_cast<void *>(&startThread);
    thread.context = words - 8;
    thread.state = State::Ready;
  }
  for (;;) {
    for (int first = 0; first < numThreads; first += kWarp)
      if (!runWarp(first))
        return;
    int atBarrier = 0;
    for (int t = 0; t < numThreads; ++t)
      atBarrier += threads[t].state == State::Barrier;
    if (atBarrier == 0)
      return;
    if (atBarrier != numThreads) {
      error = "threads of a block diverge at a barrier";
      return;
    }
    for (int t = 0; t < numThreads; ++t)
      threads[t].state = State::Ready;
  }
}

//===----------------------------------------------------------------------===//
// Registers and instructions of the GPU
//===----------------------------------------------------------------------===//

static int tid() { return machine.current; }
static int ntid() { return machine.numThreads; }
static int ctaid() { return machine.block; }
static int nctaid() { return machine.numBlocks; }
static void barrier(int) { machine.wait(State::Barrier); }

static int shuffleXor(int mask, int value, int offset, int clamp) {
  Thread &thread = machine.threads[machine.current];
  if (clamp != kWarp - 1 || offset < 0 || offset >= kWarp)
    machine.error = "a shuffle over less than a warp";
  thread.value = static_cast<uint32_t>(value);
  thread.mask = static_cast<uint32_t>(mask);
  thread.lane = (machine.current % kWarp) ^ offset;
  machine.wait(State::Shuffle);
  return static_cast<int>(thread.value);
}
static float shuffleXorFloat(int mask, float value, int offset, int clamp) {
  return llvm::bit_cast<float>(
      shuffleXor(mask, llvm::bit_cast<int>(value), offset, clamp));
}

/// cvt.rn.satfinite of one f32.
static int toMinifloat(float value, const llvm::fltSemantics &format, int nan) {
  if (value != value)
    return nan;
  llvm::APFloat x(value);
  bool lost;
  x.convert(format, llvm::APFloat::rmNearestTiesToEven, &lost);
  if (!x.isFinite())
    x = llvm::APFloat::getLargest(format, std::signbit(value));
  return static_cast<int>(x.bitcastToAPInt().getZExtValue());
}
static short toE4M3(float high, float low) {
  const auto &format = llvm::APFloat::Float8E4M3FN();
  return static_cast<short>(toMinifloat(high, format, 0x7f) << 8 |
                            toMinifloat(low, format, 0x7f));
}
static short toE5M2(float high, float low) {
  const auto &format = llvm::APFloat::Float8E5M2();
  return static_cast<short>(toMinifloat(high, format, 0x7f) << 8 |
                            toMinifloat(low, format, 0x7f));
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

namespace {
struct Kernel {
  std::string name;
  void (*entry)(void **);
};
struct Module {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::string chip;
  std::map<std::string, std::unique_ptr<Kernel>> kernels;
};
} // namespace

static std::string entryName(llvm::StringRef kernel) {
  return ("entry_" + kernel).str();
}

/// void entry(void **arguments): loads each by its type and calls.
static void addEntry(llvm::Function &kernel) {
  llvm::LLVMContext &context = kernel.getContext();
  llvm::IRBuilder<> b(context);
  auto *entry = llvm::Function::Create(
      llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false),
      llvm::GlobalValue::ExternalLinkage, entryName(kernel.getName()),
      kernel.getParent());
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "", entry));
  std::vector<llvm::Value *> arguments;
  for (llvm::Argument &argument : kernel.args()) {
    llvm::Value *slot = b.CreateConstInBoundsGEP1_64(
        b.getPtrTy(), entry->getArg(0), argument.getArgNo());
    slot = b.CreateLoad(b.getPtrTy(), slot);
    bool isBit = argument.getType()->isIntegerTy(1);
    llvm::Value *v =
        b.CreateLoad(isBit ? b.getInt8Ty() : argument.getType(), slot);
    arguments.push_back(isBit ? b.CreateTrunc(v, argument.getType()) : v);
  }
  b.CreateCall(&kernel, arguments);
  b.CreateRetVoid();
}

/// The module for this processor. False, with a message, if it needs what is
/// not emulated.
static bool translate(llvm::Module &module, llvm::orc::LLJIT &jit) {
  module.setTargetTriple(jit.getTargetTriple());
  module.setDataLayout(jit.getDataLayout());
  std::vector<llvm::Function *> kernels;
  for (llvm::Function &f : module) {
    if (f.isDeclaration()) {
      if (f.getName().starts_with("llvm.nvvm."))
        f.setName("emulated." + f.getName().drop_front(5));
      else if (!f.isIntrinsic()) {
        std::fprintf(stderr, "emulated driver: no function '%s'\n",
                     f.getName().str().c_str());
        return false;
      }
      if (!f.isIntrinsic())
        f.setAttributes({});
      continue;
    }
    if (f.getCallingConv() == llvm::CallingConv::PTX_Kernel)
      kernels.push_back(&f);
    f.setCallingConv(llvm::CallingConv::C);
    for (llvm::StringRef name : {"target-cpu", "target-features"})
      f.removeFnAttr(name);
    for (llvm::Instruction &i : llvm::instructions(f))
      if (auto *call = llvm::dyn_cast<llvm::CallBase>(&i))
        if (llvm::Function *callee = call->getCalledFunction();
            callee && !callee->isIntrinsic())
          call->setAttributes({});
  }
  for (llvm::Function *kernel : kernels)
    addEntry(*kernel);
  return true;
}

static llvm::Error loadInto(Module &loaded, llvm::StringRef image) {
  using namespace llvm::orc;
  static const bool isInitialized = !llvm::InitializeNativeTarget() &&
                                    !llvm::InitializeNativeTargetAsmPrinter();
  (void)isInitialized;
  auto builder = JITTargetMachineBuilder::detectHost();
  if (!builder)
    return builder.takeError();
  builder->getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
  // This instruction takes denormals for zeros; that of a GPU does not.
  builder->getFeatures().AddFeature("avx512bf16", /*Enable=*/false);
  auto jit = LLJITBuilder()
                 .setJITTargetMachineBuilder(std::move(*builder))
                 .setPlatformSetUp(setUpInactivePlatform)
                 .create();
  if (!jit)
    return jit.takeError();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto module = llvm::parseBitcodeFile({image, "image"}, *context);
  if (!module)
    return module.takeError();
  for (llvm::Function &f : **module)
    if (f.getCallingConv() == llvm::CallingConv::PTX_Kernel) {
      loaded.chip = f.getFnAttribute("target-cpu").getValueAsString().str();
      break;
    }
  if (!translate(**module, **jit))
    return llvm::createStringError("not emulated");

  SymbolMap symbols;
  auto define = [&](llvm::StringRef name, auto *function) {
    symbols[(*jit)->mangleAndIntern(name)] = {ExecutorAddr::fromPtr(function),
                                              llvm::JITSymbolFlags::Exported};
  };
  define("emulated.nvvm.read.ptx.sreg.tid.x", tid);
  define("emulated.nvvm.read.ptx.sreg.ntid.x", ntid);
  define("emulated.nvvm.read.ptx.sreg.ctaid.x", ctaid);
  define("emulated.nvvm.read.ptx.sreg.nctaid.x", nctaid);
  define("emulated.nvvm.barrier.cta.sync.aligned.all", barrier);
  define("emulated.nvvm.barrier0", barrier);
  define("emulated.nvvm.shfl.sync.bfly.i32", shuffleXor);
  define("emulated.nvvm.shfl.sync.bfly.f32", shuffleXorFloat);
  define("emulated.nvvm.ff.to.e4m3x2.rn", toE4M3);
  define("emulated.nvvm.ff.to.e5m2x2.rn", toE5M2);
  size_t count = 0;
  const quant_ste_jit_symbol *narrow = quant_ste_jit_symbols(&count);
  for (size_t i = 0; i < count; ++i)
    if (llvm::StringRef(narrow[i].name).starts_with("__trunc") ||
        llvm::StringRef(narrow[i].name).starts_with("__extend"))
      symbols[(*jit)->mangleAndIntern(narrow[i].name)] = {
          ExecutorAddr::fromPtr(narrow[i].address),
          llvm::JITSymbolFlags::Exported};
  JITDylib &library = (*jit)->getMainJITDylib();
  if (auto error = library.define(absoluteSymbols(std::move(symbols))))
    return error;
  auto process = DynamicLibrarySearchGenerator::GetForCurrentProcess(
      (*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return process.takeError();
  library.addGenerator(std::move(*process));
  if (auto error = (*jit)->addIRModule(
          ThreadSafeModule(std::move(*module), std::move(context))))
    return error;
  loaded.jit = std::move(*jit);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The driver
//===----------------------------------------------------------------------===//

namespace {
struct Event {
  std::chrono::steady_clock::time_point time;
  bool isRecorded = false;
};
struct Emulated {
  std::string log;
  /// Of the device, 90 for 9.0; and how many devices there are.
  int capability = 90, devices = 2;
  int live = 0; ///< Events that are not destroyed.
  std::map<std::string, int> failures;
  std::map<void *, size_t> memory;
  void *context = nullptr;
  uint64_t kept = 0; ///< The release threshold of the pool.
  unsigned launches = 0;
};
} // namespace

static Emulated emulated;
/// The primary contexts of the devices.
static int primaries[2];

static constexpr size_t kGuard = 256;
static constexpr unsigned char kGuardByte = 0xa5;

/// Notes the call; the code that it is to fail with, or 0.
static CUresult note(const char *function, const std::string &arguments = "") {
  if (const char *path = std::getenv("QUANT_STE_EMULATED_LOG"))
    if (std::FILE *file = std::fopen(path, "a")) {
      std::fprintf(file, "%s(%s)\n", function, arguments.c_str());
      std::fclose(file);
    }
  emulated.log += std::string(function) + "(" + arguments + ")\n";
  auto failure = emulated.failures.find(function);
  if (failure == emulated.failures.end())
    return 0;
  CUresult code = failure->second;
  emulated.failures.erase(failure);
  return code;
}

static std::string number(unsigned long long n) { return std::to_string(n); }
static std::string stream(void *s) {
  return "stream=" + number(reinterpret_cast<uintptr_t>(s));
}

extern "C" {

const char *emulated_log() {
  static std::string log;
  log.swap(emulated.log);
  emulated.log.clear();
  return log.c_str();
}
void emulated_fail(const char *function, int code) {
  emulated.failures[function] = code;
}
/// Buffers that are not freed.
int emulated_live() { return emulated.memory.size(); }
void emulated_set_context(void *context) { emulated.context = context; }
void emulated_set_capability(int capability) {
  emulated.capability = capability;
}
uint64_t emulated_kept() { return emulated.kept; }
int emulated_live_events() { return emulated.live; }

CUresult cuInit(unsigned) { return note("cuInit"); }
CUresult cuGetErrorString(CUresult code, const char **text) {
  switch (code) {
  case kInvalidValue:
    *text = "invalid argument";
    return 0;
  case kOutOfMemory:
    *text = "out of memory";
    return 0;
  case kInvalidDevice:
    *text = "invalid device ordinal";
    return 0;
  case kInvalidImage:
    *text = "device kernel image is invalid";
    return 0;
  case kNotFound:
    *text = "named symbol not found";
    return 0;
  case kLaunchFailed:
    *text = machine.error.c_str();
    return 0;
  default:
    return kInvalidValue;
  }
}
CUresult cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  if (CUresult code = note("cuDeviceGet", number(ordinal)))
    return code;
  return ordinal < emulated.devices ? 0 : kInvalidDevice;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, int) {
  switch (attribute) {
  case 75: // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    *value = emulated.capability / 10;
    return 0;
  case 76: // ..._MINOR
    *value = emulated.capability % 10;
    return 0;
  default:
    return kInvalidValue;
  }
}
CUresult cuCtxGetDevice(int *device) {
  *device = emulated.context == &primaries[1] ? 1 : 0;
  return 0;
}
CUresult cuCtxGetCurrent(void **context) {
  *context = emulated.context;
  return 0; // before everything; not worth a line
}
CUresult cuCtxSetCurrent(void *context) {
  emulated.context = context;
  return note("cuCtxSetCurrent");
}
CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
  *context = &primaries[device];
  return note("cuDevicePrimaryCtxRetain", number(device));
}

CUresult cuModuleLoadDataEx(void **module, const void *image, unsigned count,
                            int *options, void **values) {
  if (CUresult code = note("cuModuleLoadDataEx")) {
    if (count == 2 && options[0] == 5)
      std::snprintf(static_cast<char *>(values[0]),
                    reinterpret_cast<size_t>(values[1]), "line 1: no such op");
    return code;
  }
  // Bitcode in its wrapper: magic, version, offset, size, processor.
  uint32_t header[5];
  std::memcpy(header, image, sizeof(header));
  if (header[0] != 0x0b17c0de)
    return kInvalidImage;
  auto loaded = std::make_unique<Module>();
  llvm::StringRef bytes(static_cast<const char *>(image),
                        header[2] + header[3]);
  if (auto error = loadInto(*loaded, bytes)) {
    std::fprintf(stderr, "emulated driver: %s\n",
                 llvm::toString(std::move(error)).c_str());
    return kInvalidImage;
  }
  note("image", loaded->chip);
  *module = loaded.release(); // for the life of the process
  return 0;
}

CUresult cuModuleGetFunction(void **function, void *module, const char *name) {
  if (CUresult code = note("cuModuleGetFunction", name))
    return code;
  auto &loaded = *static_cast<Module *>(module);
  auto entry = loaded.jit->lookup(entryName(name));
  if (!entry) {
    llvm::consumeError(entry.takeError());
    return kNotFound;
  }
  auto &kernel = loaded.kernels[name];
  kernel =
      std::make_unique<Kernel>(Kernel{name, entry->toPtr<void (*)(void **)>()});
  *function = kernel.get();
  return 0;
}

CUresult cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz,
                        unsigned bx, unsigned by, unsigned bz, unsigned shared,
                        void *s, void **arguments, void **extra) {
  auto &kernel = *static_cast<Kernel *>(function);
  if (CUresult code =
          note("cuLaunchKernel", kernel.name + " grid=" + number(gx) +
                                     " block=" + number(bx) + " " + stream(s)))
    return code;
  if (gx == 0 || gy != 1 || gz != 1 || bx == 0 || bx > kMaxThreads || by != 1 ||
      bz != 1 || shared != 0 || extra)
    return kInvalidValue;
  machine.entry = kernel.entry;
  machine.arguments = arguments;
  machine.numThreads = bx;
  machine.numBlocks = gx;
  machine.error.clear();
  std::vector<int> order(gx);
  for (unsigned i = 0; i < gx; ++i)
    order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(emulated.launches++));
  for (int block : order) {
    machine.block = block;
    machine.runBlock();
    if (!machine.error.empty())
      return kLaunchFailed;
  }
  return 0;
}

// One pool for all devices.
CUresult cuDeviceGetMemPool(void **pool, int) {
  *pool = &emulated.kept;
  return 0;
}
CUresult cuMemPoolGetAttribute(void *pool, int attribute, void *value) {
  if (pool != &emulated.kept || attribute != 4)
    return kInvalidValue;
  std::memcpy(value, &emulated.kept, sizeof(emulated.kept));
  return 0;
}
CUresult cuMemPoolSetAttribute(void *pool, int attribute, void *value) {
  if (pool != &emulated.kept || attribute != 4)
    return kInvalidValue;
  std::memcpy(&emulated.kept, value, sizeof(emulated.kept));
  return note("cuMemPoolSetAttribute", number(emulated.kept));
}

CUresult cuMemAllocAsync(CUdeviceptr *device, size_t bytes, void *s) {
  if (CUresult code = note("cuMemAllocAsync", number(bytes) + " " + stream(s)))
    return code;
  if (bytes == 0)
    return kInvalidValue;
  size_t rounded = (bytes + kGuard - 1) / kGuard * kGuard;
  auto *base =
      static_cast<char *>(std::aligned_alloc(kGuard, rounded + 2 * kGuard));
  if (!base)
    return kOutOfMemory;
  std::memset(base, kGuardByte, rounded + 2 * kGuard);
  std::memset(base + kGuard, 0xff, bytes);
  emulated.memory[base + kGuard] = bytes;
  *device = reinterpret_cast<uintptr_t>(base + kGuard);
  return 0;
}

CUresult cuMemFreeAsync(CUdeviceptr device, void *s) {
  CUresult code = note("cuMemFreeAsync", stream(s));
  auto *data = reinterpret_cast<unsigned char *>(device);
  auto buffer = emulated.memory.find(data);
  if (buffer == emulated.memory.end())
    return kInvalidValue;
  size_t bytes = buffer->second;
  emulated.memory.erase(buffer);
  size_t rounded = (bytes + kGuard - 1) / kGuard * kGuard;
  for (size_t i = 0; i < kGuard; ++i)
    if (data[-1 - static_cast<ptrdiff_t>(i)] != kGuardByte ||
        data[rounded + i] != kGuardByte)
      code = kInvalidValue;
  for (size_t i = bytes; i < rounded; ++i)
    if (data[i] != kGuardByte)
      code = kInvalidValue; // written behind its end
  std::free(data - kGuard);
  return code;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr device, const void *host,
                              size_t bytes, void *s) {
  if (CUresult code =
          note("cuMemcpyHtoDAsync", number(bytes) + " " + stream(s)))
    return code;
  std::memcpy(reinterpret_cast<void *>(device), host, bytes);
  return 0;
}
CUresult cuMemcpyDtoHAsync_v2(void *host, CUdeviceptr device, size_t bytes,
                              void *s) {
  if (CUresult code =
          note("cuMemcpyDtoHAsync", number(bytes) + " " + stream(s)))
    return code;
  std::memcpy(host, reinterpret_cast<void *>(device), bytes);
  return 0;
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                              void *s) {
  if (CUresult code =
          note("cuMemcpyDtoDAsync", number(bytes) + " " + stream(s)))
    return code;
  std::memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from),
              bytes);
  return 0;
}

CUresult cuEventCreate(void **event, unsigned) {
  if (CUresult code = note("cuEventCreate"))
    return code;
  *event = new Event;
  ++emulated.live;
  return 0;
}
CUresult cuEventRecord(void *event, void *s) {
  static_cast<Event *>(event)->time = std::chrono::steady_clock::now();
  static_cast<Event *>(event)->isRecorded = true;
  return note("cuEventRecord", stream(s));
}
CUresult cuEventSynchronize(void *event) {
  if (!static_cast<Event *>(event)->isRecorded)
    return kInvalidValue;
  return note("cuEventSynchronize");
}
CUresult cuEventElapsedTime(float *milliseconds, void *begin, void *end) {
  *milliseconds =
      std::chrono::duration<float, std::milli>(
          static_cast<Event *>(end)->time - static_cast<Event *>(begin)->time)
          .count();
  return note("cuEventElapsedTime");
}
CUresult cuEventDestroy_v2(void *event) {
  delete static_cast<Event *>(event);
  --emulated.live;
  return 0;
}

CUresult cuStreamSynchronize(void *s) {
  return note("cuStreamSynchronize", stream(s));
}

} // extern "C"
