//===- torch_calls.cpp - the short way from Python to an op -----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// torch.ops.quant_ste.<name>(...) goes through a Python method and a parser
// that knows any schema, which takes longer than a small quantizer. Functions
// made here take what the schema names literally: tensors, numbers, flags and
// words of exactly their types, while no mode listens. Everything else, and
// every error, is left to torch's way, which gets the same arguments.
//
//===----------------------------------------------------------------------===//

#include "torch_calls.h"

#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/python_variable.h>

#include <ATen/PythonTorchFunctionTLS.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace nb = nanobind;
using namespace nb::literals;
using c10::IValue;
using c10::TypeKind;
using torch::jit::Stack;

namespace {
/// A parameter of a schema.
struct Parameter {
  nb::object name; // interned
  TypeKind kind;
  bool isKeywordOnly;
  std::optional<IValue> defaultValue;
};

struct Overload {
  c10::OperatorHandle op;
  std::vector<Parameter> parameters;
};

/// What a function made here is bound to. Never destroyed, as the ops.
struct BoundOp {
  std::vector<Overload> overloads;
  nb::object slowCall; // torch's way
};

/// The arguments of a call as Python's vectorcall gives them.
struct PyArguments {
  PyObject *const *values;
  size_t numPositional;
  PyObject *keywords; // a tuple, or null

  PyObject *find(const Parameter &parameter) const {
    Py_ssize_t n = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t i = 0; i < n; ++i)
      if (PyTuple_GET_ITEM(keywords, i) == parameter.name.ptr())
        return values[numPositional + i];
    return nullptr;
  }
};
} // namespace

/// The value of an argument if it has exactly the type of the schema.
static std::optional<IValue> readValue(TypeKind kind, PyObject *value) {
  switch (kind) {
  case TypeKind::TensorType:
    if (THPVariable_CheckExact(value))
      return IValue(THPVariable_Unpack(value));
    return std::nullopt;
  case TypeKind::FloatType:
    if (PyFloat_CheckExact(value))
      return IValue(PyFloat_AS_DOUBLE(value));
    [[fallthrough]]; // an integer is a number
  case TypeKind::IntType: {
    if (!PyLong_CheckExact(value))
      return std::nullopt;
    int overflow = 0;
    long long whole = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow)
      return std::nullopt;
    if (kind == TypeKind::FloatType)
      return IValue(static_cast<double>(whole));
    return IValue(static_cast<int64_t>(whole));
  }
  case TypeKind::BoolType:
    if (PyBool_Check(value))
      return IValue(value == Py_True);
    return std::nullopt;
  case TypeKind::StringType: {
    if (!PyUnicode_CheckExact(value))
      return std::nullopt;
    Py_ssize_t size = 0;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (!text) {
      PyErr_Clear();
      return std::nullopt;
    }
    return IValue(std::string(text, size));
  }
  default:
    return std::nullopt;
  }
}

/// Pushes the arguments if they are what the overload takes.
static bool readArguments(const Overload &overload, const PyArguments &args,
                          Stack &stack) {
  size_t n = overload.parameters.size();
  size_t numKeywords = args.keywords ? PyTuple_GET_SIZE(args.keywords) : 0;
  if (args.numPositional + numKeywords > n)
    return false;
  stack.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    const Parameter &parameter = overload.parameters[i];
    PyObject *value;
    if (i < args.numPositional) {
      if (parameter.isKeywordOnly)
        return false;
      value = args.values[i];
    } else {
      value = numKeywords ? args.find(parameter) : nullptr;
      numKeywords -= value != nullptr;
    }
    if (!value) {
      if (!parameter.defaultValue)
        return false;
      stack.push_back(*parameter.defaultValue);
      continue;
    }
    std::optional<IValue> read = readValue(parameter.kind, value);
    if (!read)
      return false;
    stack.push_back(*std::move(read));
  }
  return numKeywords == 0; // else one is unknown, or given twice
}

/// Whether nothing but the dispatcher wants to see a call: no function mode,
/// and no key that a mode, a transform or the tracer of torch.jit sets.
static bool isPlain() {
  auto included = c10::impl::tls_local_dispatch_key_set().included_;
  return (included - c10::default_included_set).empty() &&
         !at::impl::torch_function_mode_enabled();
}

/// The result; or null, with Python's error if there was one, else for what is
/// left to torch.
static PyObject *callOp(const BoundOp &bound, const PyArguments &args) {
  if (!isPlain())
    return nullptr;
  for (const Overload &overload : bound.overloads) {
    Stack stack;
    if (!readArguments(overload, args, stack))
      continue;
    try {
      nb::gil_scoped_release released;
      overload.op.callBoxed(stack);
    } catch (const std::exception &) {
      // Not once more by way of torch: what failed may have had an effect.
      torch::translate_exception_to_python(std::current_exception());
      return nullptr;
    }
    return THPVariable_Wrap(std::move(stack.back()).toTensor());
  }
  return nullptr;
}

static PyObject *call(PyObject *self, PyObject *const *values, Py_ssize_t n,
                      PyObject *keywords) {
  const auto &bound =
      *static_cast<BoundOp *>(PyCapsule_GetPointer(self, nullptr));
  PyArguments args{values, static_cast<size_t>(n), keywords};
  if (PyObject *result = callOp(bound, args))
    return result;
  if (PyErr_Occurred())
    return nullptr;
  return PyObject_Vectorcall(bound.slowCall.ptr(), values, n, keywords);
}

static Overload findOverload(const std::string &name) {
  size_t dot = std::min(name.find('.'), name.size());
  std::string base = "quant_ste::" + name.substr(0, dot);
  std::string overloadName = dot == name.size() ? "" : name.substr(dot + 1);
  Overload overload{c10::Dispatcher::singleton().findSchemaOrThrow(
                        base.c_str(), overloadName.c_str()),
                    {}};
  for (const c10::Argument &argument : overload.op.schema().arguments())
    overload.parameters.push_back(
        {nb::steal(PyUnicode_InternFromString(argument.name().c_str())),
         argument.type()->kind(), argument.kwarg_only(),
         argument.default_value()});
  return overload;
}

static nb::object bindOp(const std::vector<std::string> &names,
                         nb::object slowCall) {
  static PyMethodDef method = {
      "call", reinterpret_cast<PyCFunction>(reinterpret_cast<void *>(&call)),
      METH_FASTCALL | METH_KEYWORDS, "An op of quant_ste.torch."};
  auto *bound = new BoundOp;
  bound->slowCall = slowCall;
  for (const std::string &name : names)
    bound->overloads.push_back(findOverload(name));
  nb::object self = nb::steal(PyCapsule_New(bound, nullptr, nullptr));
  return nb::steal(PyCFunction_New(&method, self.ptr()));
}

void quant_ste::registerTorchCalls(nb::module_ &m) {
  m.def("bind_op", &bindOp, "names"_a, "slow_call"_a,
        "The overloads of an op as a function; slow_call is torch's.");
}
