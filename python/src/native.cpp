//===- native.cpp - the C API in Python -------------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quant_ste._native. Thin on purpose: names, defaults and documentation are in
// the Python package.
//
//===----------------------------------------------------------------------===//

#include "quant_ste-c/Execution.h"
#include "quant_ste/Runtime/Cuda.h"
#include <memory>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <stdexcept>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

//===----------------------------------------------------------------------===//
// Errors and strings
//===----------------------------------------------------------------------===//

namespace {
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Receives the message of a C function that may fail.
class Failure {
public:
  ~Failure() { quant_ste_error_free(message); }
  operator char **() { return &message; }
  [[noreturn]] void raise() const {
    throw Error(message ? message : "out of memory");
  }

private:
  char *message = nullptr;
};
} // namespace

static std::string takeString(char *text) {
  std::string out = text ? text : "";
  quant_ste_error_free(text);
  return out;
}

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

static std::optional<int32_t> getElementType(nb::dlpack::dtype type) {
  using Code = nb::dlpack::dtype_code;
  if (type.lanes != 1)
    return std::nullopt;
  switch (static_cast<Code>(type.code)) {
  case Code::Float:
    switch (type.bits) {
    case 16:
      return QUANT_STE_F16;
    case 32:
      return QUANT_STE_F32;
    case 64:
      return QUANT_STE_F64;
    }
    return std::nullopt;
  case Code::Bfloat:
    return QUANT_STE_BF16;
  case Code::Bool:
    return QUANT_STE_I1;
  case Code::Int:
    switch (type.bits) {
    case 8:
      return QUANT_STE_I8;
    case 16:
      return QUANT_STE_I16;
    case 32:
      return QUANT_STE_I32;
    case 64:
      return QUANT_STE_I64;
    }
    return std::nullopt;
  case Code::UInt:
    switch (type.bits) {
    case 8:
      return QUANT_STE_UI8;
    case 16:
      return QUANT_STE_UI16;
    case 32:
      return QUANT_STE_UI32;
    case 64:
      return QUANT_STE_UI64;
    }
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

static nb::dlpack::dtype getDType(int32_t type) {
  using Code = nb::dlpack::dtype_code;
  auto make = [](Code code, uint8_t bits) {
    return nb::dlpack::dtype{static_cast<uint8_t>(code), bits, 1};
  };
  switch (type) {
  case QUANT_STE_F16:
    return make(Code::Float, 16);
  case QUANT_STE_BF16:
    return make(Code::Bfloat, 16);
  case QUANT_STE_F32:
    return make(Code::Float, 32);
  case QUANT_STE_F64:
    return make(Code::Float, 64);
  case QUANT_STE_I1:
    return make(Code::Bool, 8);
  case QUANT_STE_I8:
    return make(Code::Int, 8);
  case QUANT_STE_I16:
    return make(Code::Int, 16);
  case QUANT_STE_I32:
    return make(Code::Int, 32);
  case QUANT_STE_UI8:
    return make(Code::UInt, 8);
  case QUANT_STE_UI16:
    return make(Code::UInt, 16);
  case QUANT_STE_UI32:
    return make(Code::UInt, 32);
  case QUANT_STE_UI64:
    return make(Code::UInt, 64);
  default: // i64, index
    return make(Code::Int, 64);
  }
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

namespace {
using Results = std::shared_ptr<quant_ste_results>;

/// Compiler options as Python gives them.
struct Options {
  std::string pipeline, cpu, features, target;
  int optLevel;
  bool reference;

  quant_ste_compile_options get() const {
    quant_ste_compile_options options{};
    options.pipeline_options = pipeline.c_str();
    options.cpu = cpu.empty() ? nullptr : cpu.c_str();
    options.features = features.empty() ? nullptr : features.c_str();
    options.opt_level_plus_one = optLevel + 1;
    options.reference = reference;
    options.target = target.empty() ? nullptr : target.c_str();
    return options;
  }
};

/// A view of an argument, whose memory `keep` holds.
struct Argument {
  nb::ndarray<nb::ro> keep;
  std::vector<int64_t> sizes, strides;
  quant_ste_array view;
};

class Module {
public:
  /// `cache`: a directory, "" for the usual one; none: no cache.
  Module(nb::bytes text, const Options &options,
         const std::optional<std::string> &cache) {
    Failure failure;
    quant_ste_compile_options given = options.get();
    quant_ste_cache files{};
    if (cache && !cache->empty())
      files.directory = cache->c_str();
    const char *data = text.c_str();
    size_t size = text.size();
    {
      nb::gil_scoped_release released;
      module =
          cache ? quant_ste_compile_cached(data, size, &given, &files, failure)
                : quant_ste_compile(data, size, &given, failure);
    }
    if (!module)
      failure.raise();
  }
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;
  ~Module() { quant_ste_module_free(module); }

  std::vector<std::string> getFunctions() const {
    std::vector<std::string> names;
    int32_t count = quant_ste_module_function_count(module);
    for (int32_t i = 0; i < count; ++i)
      names.push_back(quant_ste_module_function_name(module, i));
    return names;
  }
  std::string getSignature(int32_t function) const {
    return takeString(quant_ste_function_signature(module, function));
  }
  /// (element type, is scalar, sizes, name) of each argument, or result.
  nb::list getTypes(int32_t function, bool ofResults) const {
    nb::list types;
    quant_ste_value_type type;
    auto get =
        ofResults ? quant_ste_function_result : quant_ste_function_argument;
    for (int32_t i = 0; get(module, function, i, &type); ++i)
      types.append(nb::make_tuple(
          type.element_type, type.is_scalar,
          std::vector<int64_t>(type.sizes, type.sizes + type.rank), type.name));
    return types;
  }
  bool isFromCache() const { return quant_ste_module_is_from_cache(module); }
  uintptr_t getEntry(int32_t function) const {
    return reinterpret_cast<uintptr_t>(
        quant_ste_function_entry(module, function));
  }

  /// `bf16` says of each argument whether it is bf16 seen as 16-bit integers;
  /// The last `numOuts` arguments hold the results. `framework` is "numpy",
  /// "torch" or "" (anything that has from_dlpack).
  nb::list call(int32_t function, nb::sequence arguments,
                const std::vector<bool> &bf16, const std::string &framework,
                size_t numOuts) const {
    std::vector<Argument> wrapped;
    size_t count = nb::len(arguments);
    wrapped.reserve(count);
    std::vector<quant_ste_array> views;
    for (size_t i = 0; i < count; ++i) {
      wrapped.push_back(wrap(arguments[i], i));
      if (bf16[i])
        wrapped.back().view.element_type = QUANT_STE_BF16;
      views.push_back(wrapped.back().view);
    }
    Failure failure;
    quant_ste_results *out;
    {
      nb::gil_scoped_release released;
      size_t numArguments = count - numOuts;
      out = quant_ste_call_into(module, function, views.data(), numArguments,
                                views.data() + numArguments, numOuts, failure);
    }
    if (!out)
      failure.raise();
    Results results(out, quant_ste_results_free);
    nb::list list;
    for (int32_t i = 0, e = quant_ste_results_count(out); i < e; ++i)
      list.append(makeArray(results, i, framework));
    return list;
  }

  /// `arguments` are (address, element type, sizes) of arrays without gaps on
  /// the GPU. `allocate` is given the number, element type and sizes of a
  /// result, and gives an address. The list has None for each tensor.
  nb::list callOnDevice(int32_t function, nb::sequence arguments, int device,
                        uintptr_t stream, nb::callable allocate) const {
    size_t count = nb::len(arguments);
    std::vector<std::vector<int64_t>> sizes(count);
    std::vector<quant_ste_array> views;
    for (size_t i = 0; i < count; ++i) {
      nb::tuple given = nb::cast<nb::tuple>(arguments[i]);
      sizes[i] = nb::cast<std::vector<int64_t>>(given[2]);
      views.push_back({reinterpret_cast<void *>(nb::cast<uintptr_t>(given[0])),
                       nb::cast<int32_t>(given[1]),
                       static_cast<int32_t>(sizes[i].size()), sizes[i].data(),
                       nullptr});
    }
    Allocator allocator{allocate, nullptr};
    quant_ste_device_call call{device, reinterpret_cast<void *>(stream),
                               &Allocator::allocate, &allocator};
    Failure failure;
    quant_ste_results *out;
    {
      nb::gil_scoped_release released;
      out = quant_ste_call_on_device(module, function, views.data(), count,
                                     &call, failure);
    }
    if (allocator.raised) {
      quant_ste_results_free(out);
      std::rethrow_exception(allocator.raised);
    }
    if (!out)
      failure.raise();
    Results results(out, quant_ste_results_free);
    nb::list list;
    quant_ste_value_type type;
    for (int32_t i = 0; quant_ste_function_result(module, function, i, &type);
         ++i)
      list.append(type.is_scalar ? makeArray(results, i, "numpy") : nb::none());
    return list;
  }

private:
  /// Asks Python for memory, and keeps what it raises.
  struct Allocator {
    nb::callable function;
    std::exception_ptr raised;

    static void *allocate(void *user, int32_t result,
                          const quant_ste_array *array) {
      auto &self = *static_cast<Allocator *>(user);
      nb::gil_scoped_acquire acquired;
      try {
        std::vector<int64_t> sizes(array->sizes, array->sizes + array->rank);
        return reinterpret_cast<void *>(nb::cast<uintptr_t>(
            self.function(result, array->element_type, nb::cast(sizes))));
      } catch (...) {
        self.raised = std::current_exception();
        return nullptr;
      }
    }
  };

  static Argument wrap(nb::handle object, size_t number) {
    Argument argument;
    if (!nb::try_cast(object, argument.keep, false))
      throw nb::type_error(
          ("argument #" + std::to_string(number) +
           ": expected an array of the CPU (numpy, torch, or any with "
           "__dlpack__), got " +
           nb::cast<std::string>(nb::str(object.type())))
              .c_str());
    const auto &array = argument.keep;
    if (array.device_type() != nb::device::cpu::value)
      throw nb::type_error(("argument #" + std::to_string(number) +
                            ": expected memory of the CPU")
                               .c_str());
    std::optional<int32_t> type = getElementType(array.dtype());
    if (!type)
      throw nb::type_error(("argument #" + std::to_string(number) +
                            ": no element type for its dtype")
                               .c_str());
    for (size_t d = 0; d < array.ndim(); ++d) {
      argument.sizes.push_back(array.shape(d));
      argument.strides.push_back(array.stride(d));
    }
    argument.view = {const_cast<void *>(array.data()), *type,
                     static_cast<int32_t>(array.ndim()), argument.sizes.data(),
                     argument.strides.data()};
    return argument;
  }

  static nb::object makeArray(const Results &results, int32_t i,
                              const std::string &framework) {
    const quant_ste_array *array = quant_ste_results_get(results.get(), i);
    std::vector<size_t> shape(array->sizes, array->sizes + array->rank);
    nb::capsule owner(new Results(results), [](void *p) noexcept {
      delete static_cast<Results *>(p);
    });
    nb::dlpack::dtype type = getDType(array->element_type);
    auto make = [&]<class Framework>(Framework) {
      return nb::cast(nb::ndarray<Framework>(array->data, shape.size(),
                                             shape.data(), owner, nullptr, type,
                                             nb::device::cpu::value),
                      nb::rv_policy::reference);
    };
    if (framework == "torch")
      return make(nb::pytorch{});
    if (framework == "")
      return make(nb::array_api{});
    if (array->element_type == QUANT_STE_BF16) // numpy has no such type
      type = getDType(QUANT_STE_UI16);
    return make(nb::numpy{});
  }

  quant_ste_module *module;
};
} // namespace

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

//===----------------------------------------------------------------------===//
// Memory of a GPU
//===----------------------------------------------------------------------===//

namespace {
/// Work on a GPU and a stream.
class OnDevice {
public:
  OnDevice(int device, uintptr_t stream)
      : stream(quant_ste_cuda_enter(reinterpret_cast<void *>(stream))),
        context(quant_ste_cuda_enter_device(device)) {}
  OnDevice(const OnDevice &) = delete;
  ~OnDevice() {
    quant_ste_cuda_leave_device(context);
    quant_ste_cuda_leave(stream);
  }
  /// Raises what went wrong.
  void check() const {
    if (const char *error = quant_ste_cuda_take_error())
      throw Error(error);
  }

private:
  void *stream, *context;
};

/// An array that a DLPack capsule describes.
struct View {
  nb::ndarray<nb::ro> keep;
};
} // namespace

static uintptr_t allocateOnDevice(int device, int64_t bytes, uintptr_t stream) {
  OnDevice scope(device, stream);
  quant_ste_cuda_is_available(); // or says why not
  void *memory = quant_ste_cuda_malloc(bytes);
  scope.check();
  return reinterpret_cast<uintptr_t>(memory);
}

static void freeOnDevice(int device, uintptr_t memory, uintptr_t stream) {
  OnDevice scope(device, stream);
  quant_ste_cuda_free(reinterpret_cast<void *>(memory));
}

static void copyToDevice(int device, uintptr_t to, uintptr_t from,
                         int64_t bytes, uintptr_t stream) {
  OnDevice scope(device, stream);
  quant_ste_cuda_copy_to_device(reinterpret_cast<void *>(to),
                                reinterpret_cast<const void *>(from), bytes);
  scope.check();
}

/// Waits for the copy.
static void copyToHost(int device, uintptr_t to, uintptr_t from, int64_t bytes,
                       uintptr_t stream) {
  nb::gil_scoped_release released;
  OnDevice scope(device, stream);
  quant_ste_cuda_copy_to_host(reinterpret_cast<void *>(to),
                              reinterpret_cast<const void *>(from), bytes);
  quant_ste_cuda_synchronize();
  scope.check();
}

static std::string getChip(int device) {
  Failure failure;
  char *chip = quant_ste_device_chip(device, failure);
  if (!chip)
    failure.raise();
  return takeString(chip);
}

/// For `__dlpack__`: `owner` keeps the memory.
static nb::object exportArray(uintptr_t data, int32_t type,
                              const std::vector<size_t> &sizes, int device,
                              nb::object owner) {
  return nb::cast(nb::ndarray<nb::array_api>(reinterpret_cast<void *>(data),
                                             sizes.size(), sizes.data(), owner,
                                             nullptr, getDType(type),
                                             nb::device::cuda::value, device),
                  nb::rv_policy::reference);
}

static std::vector<int64_t> getSizes(const View &view) {
  std::vector<int64_t> sizes;
  for (size_t d = 0; d < view.keep.ndim(); ++d)
    sizes.push_back(view.keep.shape(d));
  return sizes;
}

/// Whether elements lie row-major and without gaps.
static bool isPacked(const View &view) {
  int64_t expected = 1;
  bool packed = true;
  for (size_t d = view.keep.ndim(); d-- > 0;) {
    int64_t size = view.keep.shape(d);
    if (size == 0)
      return true;
    packed &= size == 1 || view.keep.stride(d) == expected;
    expected *= size;
  }
  return packed;
}

static std::string lower(nb::bytes text, const Options &options,
                         const std::string &phase) {
  Failure failure;
  quant_ste_compile_options given = options.get();
  char *out = quant_ste_lower(text.c_str(), text.size(), &given, phase.c_str(),
                              failure);
  if (!out)
    failure.raise();
  return takeString(out);
}

static std::string addDerivative(nb::bytes text, const std::string &function,
                                 const std::string &name, bool isForward,
                                 const std::vector<int32_t> &wrt) {
  Failure failure;
  char *out = quant_ste_add_derivative(
      text.c_str(), text.size(), function.c_str(), name.c_str(), isForward,
      wrt.data(), wrt.size(), failure);
  if (!out)
    failure.raise();
  return takeString(out);
}

static std::string split(nb::bytes text, const std::string &function,
                         const std::vector<int32_t> &wrt,
                         const std::vector<int32_t> &transient,
                         const std::string &plan) {
  Failure failure;
  char *out = quant_ste_split(text.c_str(), text.size(), function.c_str(),
                              wrt.data(), wrt.size(), transient.data(),
                              transient.size(), plan.c_str(), failure);
  if (!out)
    failure.raise();
  return takeString(out);
}

static void save(nb::bytes text, const Options &options,
                 const std::string &path, const std::string &target,
                 const std::string &header, const std::string &prefix,
                 const std::string &linker) {
  Failure failure;
  quant_ste_compile_options compile = options.get();
  auto get = [](const std::string &s) {
    return s.empty() ? nullptr : s.c_str();
  };
  quant_ste_save_options given{get(target), get(header), get(prefix),
                               get(linker)};
  const char *data = text.c_str();
  size_t size = text.size();
  bool isSaved;
  {
    nb::gil_scoped_release released;
    isSaved =
        quant_ste_save(data, size, &compile, path.c_str(), &given, failure);
  }
  if (!isSaved)
    failure.raise();
}

NB_MODULE(_native, m) {
  m.doc() = "The C API of quant_ste; use the package quant_ste instead.";
  nb::exception<Error>(m, "Error", PyExc_RuntimeError);
  nb::class_<Options>(m, "Options")
      .def(
          "__init__",
          [](Options *self, std::string pipeline, std::string cpu,
             std::string features, int optLevel, bool reference,
             std::string target) {
            new (self) Options{
                std::move(pipeline), std::move(cpu), std::move(features),
                std::move(target),   optLevel,       reference};
          },
          "pipeline"_a = "", "cpu"_a = "", "features"_a = "", "opt_level"_a = 2,
          "reference"_a = false, "target"_a = "");
  nb::class_<Module>(m, "Module")
      .def(nb::init<nb::bytes, const Options &,
                    const std::optional<std::string> &>(),
           "text"_a, "options"_a, "cache"_a = nb::none())
      .def_prop_ro("is_from_cache", &Module::isFromCache)
      .def_prop_ro("functions", &Module::getFunctions)
      .def("signature", &Module::getSignature, "function"_a)
      .def("types", &Module::getTypes, "function"_a, "of_results"_a)
      .def("entry", &Module::getEntry, "function"_a)
      .def("call", &Module::call, "function"_a, "arguments"_a, "bf16"_a,
           "framework"_a, "num_outs"_a = 0)
      .def("call_on_device", &Module::callOnDevice, "function"_a, "arguments"_a,
           "device"_a, "stream"_a, "allocate"_a);
  nb::class_<View>(m, "View")
      .def(
          "__init__",
          [](View *self, nb::ndarray<nb::ro> array) {
            new (self) View{std::move(array)};
          },
          "capsule"_a)
      .def_prop_ro("address",
                   [](const View &view) {
                     return reinterpret_cast<uintptr_t>(view.keep.data());
                   })
      .def_prop_ro(
          "element_type",
          [](const View &view) { return getElementType(view.keep.dtype()); })
      .def_prop_ro("sizes", &getSizes)
      .def_prop_ro("is_packed", &isPacked)
      .def_prop_ro("is_on_gpu",
                   [](const View &view) {
                     return view.keep.device_type() == nb::device::cuda::value;
                   })
      .def_prop_ro("device",
                   [](const View &view) { return view.keep.device_id(); });
  m.def("lower", &lower, "text"_a, "options"_a, "phase"_a);
  m.def("split", &split, "text"_a, "function"_a, "wrt"_a, "transient"_a,
        "plan"_a);
  m.def("add_derivative", &addDerivative, "text"_a, "function"_a, "name"_a,
        "is_forward"_a, "wrt"_a);
  m.def("save", &save, "text"_a, "options"_a, "path"_a, "target"_a = "",
        "header"_a = "", "prefix"_a = "", "linker"_a = "");
  m.def("version", [] { return takeString(quant_ste_version()); });
  m.def("device_chip", &getChip, "device"_a = -1);
  m.def("device_malloc", &allocateOnDevice, "device"_a, "bytes"_a,
        "stream"_a = 0);
  m.def("device_free", &freeOnDevice, "device"_a, "memory"_a, "stream"_a = 0);
  m.def("copy_to_device", &copyToDevice, "device"_a, "to"_a, "source"_a,
        "bytes"_a, "stream"_a = 0);
  m.def("copy_to_host", &copyToHost, "device"_a, "to"_a, "source"_a, "bytes"_a,
        "stream"_a = 0);
  m.def("export_array", &exportArray, "data"_a, "element_type"_a, "sizes"_a,
        "device"_a, "owner"_a);
  m.def(
      "enter_device",
      [](int device) {
        void *previous = quant_ste_cuda_enter_device(device);
        if (const char *error = quant_ste_cuda_take_error())
          throw Error(error);
        return reinterpret_cast<uintptr_t>(previous);
      },
      "device"_a);
  m.def(
      "leave_device",
      [](uintptr_t previous) {
        quant_ste_cuda_leave_device(reinterpret_cast<void *>(previous));
      },
      "previous"_a);
  m.def("set_thread_count", &quant_ste_set_thread_count, "count"_a);
}
