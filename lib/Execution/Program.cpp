//===- Program.cpp - compile a module and call it ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Program.h"

#include "mlir/IR/BuiltinOps.h"
#include "quant_ste/Execution/ObjectCache.h"
#include "quant_ste/Runtime/Assertion.h"
#include "quant_ste/Runtime/Cuda.h"
#include "quant_ste/Runtime/JITSymbols.h"
#include "llvm/ExecutionEngine/JITLink/JITLink.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/Debugging/ELFDebugObjectPlugin.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/TargetParser/Host.h"
#include <cfenv>
#include <cstdlib>
#include <cstring>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

using namespace mlir;
using namespace mlir::quant_ste;

Program::Program() = default;
Program::~Program() = default;

namespace {
struct Compiled {
  std::vector<Signature> functions;
  std::unique_ptr<llvm::MemoryBuffer> object;
};
} // namespace

static FailureOr<Compiled> compileToObject(ModuleOp module,
                                           const CompileOptions &options) {
  Compiled compiled;
  compiled.functions = getSignatures(module);
  if (!options.function.empty())
    llvm::erase_if(compiled.functions, [&](const Signature &f) {
      return f.function != options.function;
    });
  for (const Signature &f : compiled.functions)
    if (f.function == options.function && !f.unsupported.empty())
      return module.lookupSymbol(f.function)->emitError("cannot be called: ")
             << f.unsupported;
  if (auto error = checkRunsHere(options.codegen))
    return emitError(module.getLoc(), llvm::toString(std::move(error)));
  {
    StepTimer timer(options.codegen, "passes");
    if (failed(lowerToLLVM(module, compiled.functions, options)))
      return failure();
  }
  auto object = emitObject(module, compiled.functions, options.codegen);
  if (failed(object))
    return failure();
  compiled.object = std::move(*object);
  return compiled;
}

static FailureOr<std::unique_ptr<Program>>
loadCompiled(Location loc, Compiled compiled, const CompileOptions &options) {
  StepTimer timer(options.codegen, "linking");
  auto program = Program::load(std::move(compiled.object),
                               std::move(compiled.functions), options.load);
  if (!program)
    return emitError(loc, llvm::toString(program.takeError()));
  return std::move(*program);
}

FailureOr<std::unique_ptr<Program>>
Program::compile(ModuleOp module, const CompileOptions &options) {
  auto compiled = compileToObject(module, options);
  if (failed(compiled))
    return failure();
  auto program = loadCompiled(module.getLoc(), std::move(*compiled), options);
  if (succeeded(program))
    (*program)->isForGpu = options.isForGpu();
  return program;
}

FailureOr<std::unique_ptr<Program>>
Program::compile(const ObjectCache &cache, StringRef text, StringRef file,
                 function_ref<ModuleOp()> parse,
                 const CompileOptions &options) {
  std::optional<std::string> key = ObjectCache::getKey(text, file, options);
  if (std::optional<ObjectCache::Entry> entry =
          key ? cache.find(*key) : std::nullopt) {
    auto program = load(std::move(entry->object), std::move(entry->functions),
                        options.load);
    if (program) {
      (*program)->fromCache = true;
      (*program)->isForGpu = options.isForGpu();
      return std::move(*program);
    }
    // Make it again, and say then what is wrong.
    llvm::consumeError(program.takeError());
  }
  ModuleOp module = parse();
  if (!module)
    return failure();
  auto compiled = compileToObject(module, options);
  if (failed(compiled))
    return failure();
  if (key)
    cache.store(*key, compiled->functions, compiled->object->getBuffer());
  auto program = loadCompiled(module.getLoc(), std::move(*compiled), options);
  if (succeeded(program))
    (*program)->isForGpu = options.isForGpu();
  return program;
}

//===----------------------------------------------------------------------===//
// Linking
//===----------------------------------------------------------------------===//

/// The OpenMP library that this library was linked to, whatever else of that
/// kind the process holds. Null when it cannot be found.
static const std::optional<llvm::sys::DynamicLibrary> &getOpenMP() {
  static const std::optional<llvm::sys::DynamicLibrary> library =
      []() -> std::optional<llvm::sys::DynamicLibrary> {
    const char *path = quant_ste_openmp_library();
    if (!path)
      return std::nullopt;
    auto lib = llvm::sys::DynamicLibrary::getPermanentLibrary(path);
    return lib.isValid() ? std::optional(lib) : std::nullopt;
  }();
  return library;
}

void quant_ste::setThreadCount(int count) {
  if (!getOpenMP())
    return;
  // By handle: another OpenMP library may have the plain name.
  llvm::sys::DynamicLibrary library = *getOpenMP();
  if (void *set = library.getAddressOfSymbol("omp_set_num_threads"))
    reinterpret_cast<void (*)(int)>(set)(count);
}

static llvm::Error defineSymbols(llvm::orc::LLJIT &jit) {
  using namespace llvm::orc;
  JITDylib &lib = jit.getMainJITDylib();
  SymbolMap ours;
  size_t count;
  const quant_ste_jit_symbol *symbols = quant_ste_jit_symbols(&count);
  for (const quant_ste_jit_symbol &s : ArrayRef(symbols, count))
    ours[jit.mangleAndIntern(s.name)] = {ExecutorAddr::fromPtr(s.address),
                                         llvm::JITSymbolFlags::Exported};
  if (auto error = lib.define(absoluteSymbols(std::move(ours))))
    return error;
  char prefix = jit.getDataLayout().getGlobalPrefix();
  // Only its own functions: its handle also leads to the malloc of libc, which
  // need not be the one whose free this process calls.
  auto isOpenMP = [](const SymbolStringPtr &name) {
    return (*name).contains("kmp") || (*name).contains("omp_");
  };
  if (getOpenMP())
    lib.addGenerator(std::make_unique<DynamicLibrarySearchGenerator>(
        *getOpenMP(), prefix, isOpenMP));
  // malloc, free, the functions of libm.
  auto process = DynamicLibrarySearchGenerator::GetForCurrentProcess(prefix);
  if (!process)
    return process.takeError();
  lib.addGenerator(std::move(*process));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Debuggers and profilers
//===----------------------------------------------------------------------===//

namespace {
/// "7f00 1a0 name", a line for each function, where perf looks for it.
class PerfMap : public llvm::orc::ObjectLinkingLayer::Plugin {
public:
  void modifyPassConfig(llvm::orc::MaterializationResponsibility &,
                        llvm::jitlink::LinkGraph &,
                        llvm::jitlink::PassConfiguration &config) override {
    config.PrePrunePasses.push_back(keepNames);
    config.PostFixupPasses.push_back(writeNames);
  }
  llvm::Error
  notifyFailed(llvm::orc::MaterializationResponsibility &) override {
    return llvm::Error::success();
  }
  llvm::Error notifyRemovingResources(llvm::orc::JITDylib &,
                                      llvm::orc::ResourceKey) override {
    return llvm::Error::success();
  }
  void notifyTransferringResources(llvm::orc::JITDylib &,
                                   llvm::orc::ResourceKey,
                                   llvm::orc::ResourceKey) override {}

private:
  /// Calls within a section need no symbol, which would be dropped.
  static llvm::Error keepNames(llvm::jitlink::LinkGraph &graph) {
    for (llvm::jitlink::Symbol *symbol : graph.defined_symbols())
      if (symbol->isCallable())
        symbol->setLive(true);
    return llvm::Error::success();
  }
  static llvm::Error writeNames(llvm::jitlink::LinkGraph &graph) {
    std::string path =
        ("/tmp/perf-" + Twine(llvm::sys::Process::getProcessId()) + ".map")
            .str();
    std::string lines;
    llvm::raw_string_ostream text(lines);
    for (llvm::jitlink::Symbol *symbol : graph.defined_symbols())
      if (symbol->hasName() && symbol->isCallable())
        text << llvm::format_hex_no_prefix(symbol->getAddress().getValue(), 1)
             << ' ' << llvm::format_hex_no_prefix(symbol->getSize(), 1) << ' '
             << *symbol->getName() << '\n';
    std::error_code error;
    llvm::raw_fd_ostream os(path, error, llvm::sys::fs::OF_Append);
    if (error)
      return llvm::createStringError(error, "cannot write " + path);
    os << lines; // at once: other threads append too
    return llvm::Error::success();
  }
};
} // namespace

static llvm::Error addPlugins(llvm::orc::LLJIT &jit,
                              const LoadOptions &options) {
  if (!options.perfMap && !options.debugger)
    return llvm::Error::success();
  auto *layer =
      dyn_cast<llvm::orc::ObjectLinkingLayer>(&jit.getObjLinkingLayer());
  if (!layer)
    return llvm::createStringError(
        "debuggers and profilers cannot be told of code on this machine");
  if (options.perfMap)
    layer->addPlugin(std::make_shared<PerfMap>());
  if (!options.debugger)
    return llvm::Error::success();
  llvm::Error error = llvm::Error::success();
  layer->addPlugin(std::make_shared<llvm::orc::ELFDebugObjectPlugin>(
      jit.getExecutionSession(), /*RequireDebugSections=*/false,
      /*AutoRegisterCode=*/true, error));
  return error;
}

llvm::Expected<std::unique_ptr<Program>>
Program::load(std::unique_ptr<llvm::MemoryBuffer> object,
              std::vector<Signature> functions, const LoadOptions &options) {
  if (!initializeNativeTarget())
    return llvm::createStringError("LLVM has no back end for this machine");
  // Looking at the processor takes long, and nothing here depends on it.
  llvm::orc::JITTargetMachineBuilder machine(
      (llvm::Triple(llvm::sys::getProcessTriple())));
  auto jit = llvm::orc::LLJITBuilder()
                 .setJITTargetMachineBuilder(std::move(machine))
                 .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                 .setLinkProcessSymbolsByDefault(false)
                 .create();
  if (!jit)
    return jit.takeError();
  std::string errors; // the session's report says more than the failed lookup
  (*jit)->getExecutionSession().setErrorReporter([&](llvm::Error error) {
    errors += (errors.empty() ? "" : "; ") + llvm::toString(std::move(error));
  });
  if (auto error = defineSymbols(**jit))
    return error;
  if (auto error = addPlugins(**jit, options))
    return error;
  if (auto error = (*jit)->addObjectFile(std::move(object)))
    return error;

  std::unique_ptr<Program> program(new Program());
  for (const Signature &f : functions) {
    program->entries.push_back(nullptr);
    if (!f.unsupported.empty())
      continue;
    auto address = (*jit)->lookup(getEntryName(f.function));
    if (!address) {
      std::string failure = llvm::toString(address.takeError());
      return llvm::createStringError("cannot link: " +
                                     (errors.empty() ? failure : errors));
    }
    program->entries.back() = address->toPtr<void(void **)>();
  }
  (*jit)->getExecutionSession().setErrorReporter(
      [](llvm::Error error) { llvm::consumeError(std::move(error)); });
  program->jit = std::move(*jit);
  program->functions = std::move(functions);
  return program;
}

//===----------------------------------------------------------------------===//
// Calling
//===----------------------------------------------------------------------===//

/// Calls of so many arguments and results allocate nothing.
static constexpr unsigned kFewValues = 8;

namespace {
/// {allocated, aligned, offset, sizes[rank], strides[rank]}
class Descriptor {
public:
  explicit Descriptor(unsigned rank) : rank(rank), words(3 + 2 * rank) {}
  explicit Descriptor(const HostArray &array)
      : Descriptor(array, array.getData()) {}
  /// The array's shape, row-major, elsewhere.
  Descriptor(const HostArray &array, void *data) : Descriptor(array.getRank()) {
    words[0] = words[1] = reinterpret_cast<intptr_t>(data);
    uint64_t stride = 1; // overflows where there are no elements
    for (unsigned d = rank; d-- > 0; stride *= array.getShape()[d]) {
      words[3 + d] = array.getShape()[d];
      words[3 + rank + d] = stride;
    }
  }
  void *getMemory() { return words.data(); }
  void *getAllocated() const { return reinterpret_cast<void *>(words[0]); }
  void *getElements(ElementType type) const {
    return reinterpret_cast<char *>(words[1]) + words[2] * getByteSize(type);
  }
  ArrayRef<int64_t> getSizes() const { return ArrayRef(words).slice(3, rank); }
  ArrayRef<int64_t> getStrides() const {
    return ArrayRef(words).slice(3 + rank, rank);
  }

private:
  unsigned rank;
  SmallVector<int64_t, 11> words;
};

/// Takes over the buffers that a call returned. Results may share a buffer, or
/// be one of the arguments, or a constant of the program.
class ResultBuffers {
public:
  explicit ResultBuffers(ArrayRef<const HostArray *> arguments) {
    for (const HostArray *array : arguments)
      foreign.insert(array->getData());
    foreign.insert(kConstant);
    foreign.insert(nullptr);
  }
  /// Every descriptor must be adopted before any array is made of one.
  void adopt(const Descriptor &d) {
    void *base = d.getAllocated();
    if (!foreign.contains(base) && !owners.count(base))
      owners[base] = std::shared_ptr<void>(base, std::free);
  }
  llvm::Expected<HostArray> take(ElementType type, const Descriptor &d) {
    HostArray view = HostArray::borrow(type, d.getSizes(), d.getElements(type),
                                       d.getStrides());
    auto owner = owners.find(d.getAllocated());
    // One array per buffer: what is shared is copied, so that writing to one
    // result never changes another.
    if (owner != owners.end() && view.isContiguous() &&
        taken.insert(d.getAllocated()).second)
      return HostArray::share(type, d.getSizes(), view.getData(),
                              owner->second);
    return copy(view);
  }

private:
  static llvm::Expected<HostArray> copy(const HostArray &view) {
    auto fresh = HostArray::zeros(view.getElementType(), view.getShape());
    if (fresh)
      fresh->assign(view);
    return fresh;
  }
  /// What memref.get_global leaves in `allocated` (MemRefToLLVM).
  static inline void *const kConstant =
      reinterpret_cast<void *>(static_cast<uintptr_t>(0xdeadbeef));
  SmallPtrSet<void *, 8> foreign, taken;
  DenseMap<void *, std::shared_ptr<void>> owners;
};
} // namespace

namespace {
/// Compiled code rounds to nearest and keeps denormals, whatever the caller's
/// thread does. Threads that OpenMP starts take this over.
struct DefaultFloatState {
#if defined(__SSE__)
  // The x87 unit's state, which <cfenv> saves as well, costs more than a call.
  unsigned saved = _mm_getcsr();
  DefaultFloatState() { _mm_setcsr(0x1f80); }
  ~DefaultFloatState() { _mm_setcsr(saved); }
#else
  std::fenv_t saved;
  DefaultFloatState() {
    std::fegetenv(&saved);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatState() { std::fesetenv(&saved); }
#endif
};
} // namespace

static llvm::Error enter(void (*entry)(void **), void **slots) {
  DefaultFloatState state;
  if (const char *message = quant_ste_call_guarded(entry, slots))
    return llvm::createStringError(message);
  return llvm::Error::success();
}

/// The caller's array for a result, if it is one that can hold it.
static llvm::Expected<HostArray> checkOut(const HostArray &out,
                                          const HostArray &like, unsigned k) {
  if (out.getShape() == like.getShape() &&
      out.getElementType() == like.getElementType() && out.isContiguous())
    return out;
  return llvm::createStringError("out for result #" + Twine(k) + ": expected " +
                                 like.getTypeString() + " without gaps, got " +
                                 out.getTypeString());
}

llvm::Expected<SmallVector<HostArray>>
Program::call(const Signature &function, ArrayRef<HostArray> given,
              ArrayRef<HostArray> outs) const {
  if (auto error = function.check(given))
    return error;
  // Most arrays can be read where they are.
  SmallVector<HostArray, 0> copies;
  copies.reserve(llvm::count_if(
      given, [](const HostArray &array) { return !array.isPacked(); }));
  SmallVector<const HostArray *, kFewValues> arguments;
  for (const HostArray &array : given) {
    arguments.push_back(&array);
    if (array.isPacked())
      continue;
    auto packed = array.packed();
    if (!packed)
      return packed.takeError();
    arguments.back() = &copies.emplace_back(std::move(*packed));
  }

  if (isForGpu) {
    if (!outs.empty())
      return llvm::createStringError(
          "code for a GPU writes to no array of the caller");
    return callWithCopies(
        function,
        llvm::map_to_vector(arguments, [](const HostArray *a) { return *a; }));
  }
  SmallVector<Descriptor, kFewValues> descriptors;
  size_t numValues = arguments.size() + function.results.size();
  descriptors.reserve(numValues); // slots point into it
  SmallVector<void *, kFewValues> slots;
  for (auto [type, array] : llvm::zip_equal(function.arguments, arguments)) {
    if (type.isScalar) {
      slots.push_back(array->getData());
      continue;
    }
    descriptors.emplace_back(*array);
    slots.push_back(descriptors.back().getMemory());
  }
  SmallVector<uint64_t, kFewValues> scalars(function.results.size());
  SmallVector<Descriptor *, kFewValues> returned;
  SmallVector<std::optional<HostArray>, 0> destinations(
      function.results.size());
  unsigned numOuts = 0;
  for (auto [k, type] : llvm::enumerate(function.results)) {
    returned.push_back(nullptr);
    if (type.isScalar) {
      slots.push_back(&scalars[k]);
      continue;
    }
    if (function.hasDestination(k)) {
      auto shape = function.getResultShape(k, given);
      auto array =
          outs.empty()
              ? HostArray::uninitialized(type.element, shape)
              : checkOut(outs[numOuts++],
                         HostArray::borrow(type.element, shape, nullptr), k);
      if (!array)
        return array.takeError();
      destinations[k] = std::move(*array);
      slots.push_back(descriptors.emplace_back(*destinations[k]).getMemory());
      continue;
    }
    ++numOuts;
    returned.back() = &descriptors.emplace_back(type.shape.size());
    slots.push_back(returned.back()->getMemory());
  }

  if (auto error = enter(entries[&function - functions.data()], slots.data()))
    return error;

  ResultBuffers buffers(arguments);
  for (Descriptor *d : returned)
    if (d)
      buffers.adopt(*d);
  SmallVector<HostArray> results;
  results.reserve(function.results.size());
  numOuts = 0;
  for (auto [k, type] : llvm::enumerate(function.results)) {
    numOuts += !type.isScalar;
    if (destinations[k]) {
      results.push_back(std::move(*destinations[k]));
      continue;
    }
    llvm::Expected<HostArray> result =
        returned[k] ? buffers.take(type.element, *returned[k])
                    : HostArray::zeros(type.element, {});
    if (!result)
      return result.takeError();
    if (!returned[k])
      std::memcpy(result->getData(), &scalars[k], getByteSize(type.element));
    else if (!outs.empty()) { // of a shape that the call told
      HostArray value = std::move(*result);
      result = checkOut(outs[numOuts - 1], value, k);
      if (!result)
        return result.takeError();
      result->assign(value);
    }
    results.push_back(std::move(*result));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Calling what runs on a GPU
//===----------------------------------------------------------------------===//

namespace {
/// Buffers in the memory of the GPU.
class DeviceBuffers {
public:
  ~DeviceBuffers() {
    for (void *buffer : buffers)
      quant_ste_cuda_free(buffer);
  }
  void *add(void *buffer) {
    if (buffer)
      buffers.insert(buffer);
    return buffer;
  }
  bool contains(void *buffer) const { return buffers.contains(buffer); }
  void *allocate(const HostArray &like) {
    return add(quant_ste_cuda_malloc(like.getNumBytes()));
  }
  void *upload(const HostArray &array) {
    void *buffer = allocate(array);
    quant_ste_cuda_copy_to_device(buffer, array.getData(), array.getNumBytes());
    return buffer;
  }

private:
  SmallPtrSet<void *, 8> buffers;
};
} // namespace

static llvm::Error takeDeviceError() {
  if (const char *text = quant_ste_cuda_take_error())
    return llvm::createStringError(text);
  return llvm::Error::success();
}

namespace {
/// The slots of a call on buffers of the GPU.
class DeviceSlots {
public:
  explicit DeviceSlots(const Signature &function)
      : function(function), scalars(function.results.size()),
        places(function.results.size()) {
    descriptors.reserve(function.arguments.size() + function.results.size());
  }

  void
  addArguments(ArrayRef<HostArray> arguments,
               function_ref<void *(unsigned, const HostArray &)> getAddress) {
    for (auto [i, array] : llvm::enumerate(arguments)) {
      if (function.arguments[i].isScalar) {
        slots.push_back(array.getData());
        continue;
      }
      descriptors.emplace_back(array, getAddress(i, array));
      slots.push_back(descriptors.back().getMemory());
    }
  }
  /// `getAddress` is asked for those whose shape follows from the arguments.
  void
  addResults(ArrayRef<HostArray> arguments,
             function_ref<void *(unsigned, const HostArray &)> getAddress) {
    for (auto [k, type] : llvm::enumerate(function.results)) {
      if (type.isScalar) {
        slots.push_back(&scalars[k]);
        continue;
      }
      if (function.hasDestination(k)) {
        HostArray like = getResult(k, arguments);
        places[k] = &descriptors.emplace_back(like, getAddress(k, like));
      } else {
        places[k] = &descriptors.emplace_back(type.shape.size());
      }
      slots.push_back(places[k]->getMemory());
    }
  }
  /// The type and shape of a result; after the call, where its shape does not
  /// follow from the arguments.
  HostArray getResult(unsigned k, ArrayRef<HostArray> arguments) const {
    const ValueType &type = function.results[k];
    if (type.isScalar)
      return HostArray::borrow(type.element, {}, nullptr);
    if (function.hasDestination(k))
      return HostArray::borrow(type.element,
                               function.getResultShape(k, arguments), nullptr);
    return HostArray::borrow(type.element, places[k]->getSizes(), nullptr);
  }
  /// Where the call has left a result, which is null for a scalar.
  const Descriptor *getPlace(unsigned k) const { return places[k]; }
  const void *getScalar(unsigned k) const { return &scalars[k]; }
  void **get() { return slots.data(); }

private:
  const Signature &function;
  SmallVector<Descriptor> descriptors; // slots point into it
  SmallVector<void *> slots;
  SmallVector<uint64_t> scalars;
  SmallVector<Descriptor *> places;
};

/// Work on a device and a stream, and an error of its own.
class DeviceScope {
public:
  DeviceScope(int device, void *stream)
      : stream(quant_ste_cuda_enter(stream)),
        context(quant_ste_cuda_enter_device(device)) {}
  DeviceScope(const DeviceScope &) = delete;
  ~DeviceScope() {
    quant_ste_cuda_leave_device(context);
    quant_ste_cuda_leave(stream);
  }

private:
  void *stream, *context;
};
} // namespace

llvm::Expected<SmallVector<HostArray>>
Program::callWithCopies(const Signature &function,
                        ArrayRef<HostArray> arguments) const {
  quant_ste_cuda_take_error(); // of somebody else's work
  if (!quant_ste_cuda_is_available())
    return takeDeviceError();
  DeviceBuffers buffers;
  DeviceSlots slots(function);
  slots.addArguments(arguments, [&](unsigned, const HostArray &array) {
    return buffers.upload(array);
  });
  slots.addResults(arguments, [&](unsigned, const HostArray &like) {
    return buffers.allocate(like);
  });
  // Without all of the memory the code must not run.
  if (auto error = takeDeviceError())
    return error;

  if (auto error = enter(entries[&function - functions.data()], slots.get()))
    return error;

  for (unsigned k = 0, e = function.results.size(); k < e; ++k)
    if (const Descriptor *place = slots.getPlace(k))
      buffers.add(place->getAllocated());
  SmallVector<HostArray> results;
  for (auto [k, type] : llvm::enumerate(function.results)) {
    auto array = HostArray::uninitialized(
        type.element, slots.getResult(k, arguments).getShape());
    if (!array)
      return array.takeError();
    if (const Descriptor *place = slots.getPlace(k))
      quant_ste_cuda_copy_to_host(array->getData(),
                                  place->getElements(type.element),
                                  array->getNumBytes());
    else
      std::memcpy(array->getData(), slots.getScalar(k),
                  getByteSize(type.element));
    results.push_back(std::move(*array));
  }
  quant_ste_cuda_synchronize();
  if (auto error = takeDeviceError())
    return error;
  return results;
}

llvm::Expected<SmallVector<HostArray>>
Program::callOnDevice(const Signature &function, ArrayRef<HostArray> arguments,
                      const DeviceCall &call) const {
  if (!isForGpu)
    return llvm::createStringError("expected code for a GPU, got a module that "
                                   "was compiled for a processor");
  if (auto error = function.check(arguments))
    return error;
  for (auto [i, array] : llvm::enumerate(arguments))
    if (!array.isContiguous())
      return llvm::createStringError("argument #" + Twine(i) +
                                     ": expected an array without gaps, got " +
                                     array.getTypeString() + " with strides");
  DeviceScope scope(call.device, call.stream);
  if (!quant_ste_cuda_is_available())
    return takeDeviceError();

  std::string missing;
  auto allocate = [&](unsigned k, const HostArray &like) {
    void *data = call.allocate(k, like);
    if (!data && like.getNumElements() && missing.empty())
      missing = ("no memory of the GPU for result #" + Twine(k) + ", " +
                 like.getTypeString())
                    .str();
    return data;
  };
  SmallVector<void *> addresses(function.results.size());
  DeviceSlots slots(function);
  slots.addArguments(arguments, [](unsigned, const HostArray &array) {
    return array.getData();
  });
  slots.addResults(arguments, [&](unsigned k, const HostArray &like) {
    return addresses[k] = allocate(k, like);
  });
  if (!missing.empty())
    return llvm::createStringError(missing);
  if (auto error = enter(entries[&function - functions.data()], slots.get()))
    return error;

  // Buffers of the code itself go to the caller's memory, and are freed then.
  DeviceBuffers own;
  SmallVector<HostArray> results;
  for (auto [k, type] : llvm::enumerate(function.results)) {
    HostArray like = slots.getResult(k, arguments);
    const Descriptor *place = slots.getPlace(k);
    if (!place) {
      auto scalar = HostArray::uninitialized(type.element, {});
      if (!scalar)
        return scalar.takeError();
      std::memcpy(scalar->getData(), slots.getScalar(k),
                  getByteSize(type.element));
      results.push_back(std::move(*scalar));
      continue;
    }
    if (!function.hasDestination(k)) {
      void *buffer = place->getAllocated();
      if (llvm::none_of(arguments, [&](const HostArray &array) {
            return array.getData() == buffer;
          }))
        own.add(buffer);
      addresses[k] = allocate(k, like);
      quant_ste_cuda_copy_on_device(addresses[k],
                                    place->getElements(type.element),
                                    missing.empty() ? like.getNumBytes() : 0);
    }
    results.push_back(
        HostArray::borrow(type.element, like.getShape(), addresses[k]));
  }
  if (!missing.empty())
    return llvm::createStringError(missing);
  if (auto error = takeDeviceError())
    return error;
  return results;
}

llvm::Expected<std::vector<double>>
Program::timeOnDevice(const Signature &function, ArrayRef<HostArray> given,
                      unsigned warmups, unsigned runs) const {
  if (!isForGpu)
    return llvm::createStringError("expected code for a GPU, got a module that "
                                   "was compiled for a processor");
  if (auto error = function.check(given))
    return error;
  quant_ste_cuda_take_error();
  if (!quant_ste_cuda_is_available())
    return takeDeviceError();
  SmallVector<HostArray> arguments;
  for (const HostArray &array : given) {
    auto packed = array.packed();
    if (!packed)
      return packed.takeError();
    arguments.push_back(std::move(*packed));
  }
  DeviceBuffers buffers;
  DeviceSlots slots(function);
  slots.addArguments(arguments, [&](unsigned, const HostArray &array) {
    return buffers.upload(array);
  });
  slots.addResults(arguments, [&](unsigned, const HostArray &like) {
    return buffers.allocate(like);
  });
  if (auto error = takeDeviceError())
    return error;
  std::vector<double> times;
  for (unsigned i = 0; i < warmups + runs; ++i) {
    void *begin = quant_ste_cuda_record();
    if (auto error = enter(entries[&function - functions.data()], slots.get()))
      return error;
    void *end = quant_ste_cuda_record();
    {
      DeviceBuffers returned;
      for (unsigned k = 0, e = function.results.size(); k < e; ++k)
        if (const Descriptor *place = slots.getPlace(k);
            place && !function.hasDestination(k) &&
            !buffers.contains(place->getAllocated()))
          returned.add(place->getAllocated());
    }
    double elapsed = quant_ste_cuda_elapsed(begin, end);
    if (i >= warmups)
      times.push_back(elapsed);
    if (auto error = takeDeviceError())
      return error;
  }
  return times;
}
