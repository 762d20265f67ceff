//===- torch_calls.h - the short way from Python to an op -------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_PYTHON_TORCH_CALLS_H
#define QUANT_STE_PYTHON_TORCH_CALLS_H

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace quant_ste {
/// Adds bind_op(names, slow_call), which gives an op of the dispatcher as a
/// function of Python.
void registerTorchCalls(nanobind::module_ &m);
} // namespace quant_ste

#endif // QUANT_STE_PYTHON_TORCH_CALLS_H
