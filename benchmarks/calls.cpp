//===- calls.cpp - what a call from C costs ---------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Google Benchmark over libQuantSTE-C: small tensors, where the call counts, up
// to the cache; and how long it takes to compile a kernel.
//
//   quant-ste-benchmarks --benchmark_filter='pact/forward'
//
//===----------------------------------------------------------------------===//

#include "quant_ste-c/Execution.h"

#include <benchmark/benchmark.h>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

/// A quantizer of x and of one number for the whole tensor.
struct Kernel {
  const char *name;
  const char *op; ///< between the operands and the types
  const char *extra = "";
  const char *extraTypes = "";
};

static constexpr Kernel kKernels[] = {
    {"pact", "quant_ste.pact", "bits(4) grad(pact)"},
    {"lsq", "quant_ste.lsq", "qmin(-8) qmax(7) grad_scale(0.0334) grad(lsq)"},
    {"int_quant", "quant_ste.int_quant",
     ", %zero, %bits signed rounding(round) grad(clipped)",
     ", tensor<f32>, tensor<f32>"},
};

/// Results go to the caller's memory, as they do in an inner loop.
static std::string getText(const Kernel &kernel) {
  return std::string(R"(
func.func private @op(%x: tensor<?xf32>, %p: tensor<f32>) -> tensor<?xf32> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<8.0> : tensor<f32>
  %y = )") +
         kernel.op + " %x, %p " + kernel.extra +
         " : tensor<?xf32>, tensor<f32>" + kernel.extraTypes + R"(
  return %y : tensor<?xf32>
}
func.func @forward(%x: tensor<?xf32>, %p: tensor<f32>,
    %out: tensor<?xf32> {bufferization.writable = true}) {
  %y = func.call @op(%x, %p) : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %to = bufferization.to_buffer %out : tensor<?xf32> to memref<?xf32>
  bufferization.materialize_in_destination %y in restrict writable %to
    : (tensor<?xf32>, memref<?xf32>) -> ()
  return
}
func.func @backward(%x: tensor<?xf32>, %p: tensor<f32>, %dy: tensor<?xf32>,
    %out: tensor<?xf32> {bufferization.writable = true},
    %outp: tensor<f32> {bufferization.writable = true}) {
  %y, %dx, %dp = quant_ste.vjp @op(%x, %p) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  %to = bufferization.to_buffer %out : tensor<?xf32> to memref<?xf32>
  bufferization.materialize_in_destination %dx in restrict writable %to
    : (tensor<?xf32>, memref<?xf32>) -> ()
  %top = bufferization.to_buffer %outp : tensor<f32> to memref<f32>
  bufferization.materialize_in_destination %dp in restrict writable %top
    : (tensor<f32>, memref<f32>) -> ()
  return
}
)";
}

using Module =
    std::unique_ptr<quant_ste_module, decltype(&quant_ste_module_free)>;

static Module compile(const Kernel &kernel, std::string &error) {
  std::string text = getText(kernel);
  char *message = nullptr;
  Module module(quant_ste_compile(text.data(), text.size(), nullptr, &message),
                quant_ste_module_free);
  if (message) {
    error = message;
    quant_ste_error_free(message);
  }
  return module;
}

static quant_ste_array wrap(float *data, const int64_t *size) {
  quant_ste_array array = {};
  array.data = data;
  array.element_type = QUANT_STE_F32;
  array.rank = size ? 1 : 0;
  array.sizes = size;
  return array;
}

static void timeCall(benchmark::State &state, const Kernel &kernel,
                     bool isBackward) {
  std::string error;
  Module module = compile(kernel, error);
  if (!module) {
    state.SkipWithError(error.c_str());
    return;
  }
  int64_t size = state.range(0);
  std::vector<float> x(size), dy(size), out(size);
  for (int64_t i = 0; i < size; ++i) {
    x[i] = static_cast<float>(i % 37) * 0.1f - 1.5f;
    dy[i] = static_cast<float>(i % 11) * 0.1f - 0.5f;
  }
  float parameter = 0.5f, gradient = 0;
  std::vector<quant_ste_array> arguments = {wrap(x.data(), &size),
                                            wrap(&parameter, nullptr)};
  if (isBackward)
    arguments.push_back(wrap(dy.data(), &size));
  arguments.push_back(wrap(out.data(), &size));
  if (isBackward)
    arguments.push_back(wrap(&gradient, nullptr));

  int32_t function = quant_ste_module_lookup(
      module.get(), isBackward ? "backward" : "forward", nullptr);
  for (auto _ : state) {
    char *message = nullptr;
    quant_ste_results *results =
        quant_ste_call(module.get(), function, arguments.data(),
                       static_cast<int32_t>(arguments.size()), &message);
    if (!results) {
      state.SkipWithError(message);
      quant_ste_error_free(message);
      return;
    }
    quant_ste_results_free(results);
    benchmark::ClobberMemory();
  }
  int64_t arrays = isBackward ? 3 : 2;
  state.SetBytesProcessed(state.iterations() * size * arrays * 4);
}

static void timeCompilation(benchmark::State &state, const Kernel &kernel) {
  for (auto _ : state) {
    std::string error;
    if (Module module = compile(kernel, error); !module) {
      state.SkipWithError(error.c_str());
      return;
    }
  }
}

static void timeCopy(benchmark::State &state) {
  std::vector<char> from(state.range(0) * 4), to(from.size());
  for (auto _ : state) {
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * 8);
}

int main(int argc, char **argv) {
  quant_ste_set_thread_count(1);
  benchmark::RegisterBenchmark("copy", timeCopy)
      ->RangeMultiplier(4)
      ->Range(16, 1 << 20);
  for (const Kernel &kernel : kKernels)
    for (bool isBackward : {false, true})
      benchmark::RegisterBenchmark(
          (std::string(kernel.name) + (isBackward ? "/backward" : "/forward"))
              .c_str(),
          [&kernel, isBackward](benchmark::State &state) {
            timeCall(state, kernel, isBackward);
          })
          ->RangeMultiplier(4)
          ->Range(16, 1 << 20);
  for (const Kernel &kernel : kKernels)
    benchmark::RegisterBenchmark(
        (std::string(kernel.name) + "/compile").c_str(),
        [&kernel](benchmark::State &state) { timeCompilation(state, kernel); })
        ->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 1;
  benchmark::RunSpecifiedBenchmarks();
}
