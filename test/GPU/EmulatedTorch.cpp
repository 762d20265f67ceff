//===- EmulatedTorch.cpp - torch tensors on the emulated GPU ----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// torch for CPUs has no CUDA device. This gives its spare device, PrivateUse1,
// two GPUs whose memory is that of the host, with streams that have numbers.
// What is registered for CUDA in the namespace quant_ste serves its tensors;
// everything else torch computes as on a CPU.
//
//===----------------------------------------------------------------------===//

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/TensorFactories.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>

static constexpr auto kType = c10::DeviceType::PrivateUse1;
static thread_local c10::DeviceIndex current = 0;
static thread_local int64_t stream = 0;

namespace {
struct Guard final : c10::impl::NoOpDeviceGuardImpl<kType> {
  static constexpr c10::DeviceType static_type = kType;
  c10::Device exchangeDevice(c10::Device device) const override {
    c10::Device old(kType, current);
    if (device.has_index())
      current = device.index();
    return old;
  }
  c10::Device getDevice() const override { return {kType, current}; }
  void setDevice(c10::Device device) const override { exchangeDevice(device); }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    exchangeDevice(device);
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 2; }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::UNSAFE, device, stream);
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream exchangeStream(c10::Stream next) const noexcept override {
    c10::Stream old = getStream(next.device());
    stream = next.id();
    return old;
  }
  void *getStreamNativeHandle(const c10::Stream s) const override {
    return reinterpret_cast<void *>(s.id());
  }
};

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void *data =
        bytes ? std::aligned_alloc(256, (bytes + 255) / 256 * 256) : nullptr;
    return {data, data, &std::free, c10::Device(kType, current)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void *to, const void *from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 2; }
  c10::DeviceIndex getCurrentDevice() const override { return current; }
  void setCurrentDevice(c10::DeviceIndex device) const override {
    current = device;
  }
};
} // namespace

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

static Memory memory;

static c10::DispatchKeySet keys() {
  return c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);
}

static at::Tensor empty(c10::IntArrayRef sizes,
                        std::optional<at::ScalarType> type,
                        std::optional<at::Layout>,
                        std::optional<at::Device> device, std::optional<bool>,
                        std::optional<at::MemoryFormat> format) {
  c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_generic(sizes, &memory, keys(),
                                   c10::dtype_or_default(type), format);
}

static at::Tensor emptyStrided(c10::IntArrayRef sizes, c10::IntArrayRef strides,
                               std::optional<at::ScalarType> type,
                               std::optional<at::Layout>,
                               std::optional<at::Device> device,
                               std::optional<bool>) {
  c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_strided_generic(sizes, strides, &memory, keys(),
                                           c10::dtype_or_default(type));
}

/// The same memory, for the CPU.
static at::Tensor onHost(const at::Tensor &t) {
  return at::from_blob(t.data_ptr(), t.sizes(), t.strides(),
                       at::TensorOptions().dtype(t.scalar_type()));
}

static at::Tensor copyFrom(const at::Tensor &from, const at::Tensor &to, bool) {
  onHost(to).copy_(onHost(from));
  return to;
}

static at::Tensor copyFromAndResize(const at::Tensor &from,
                                    const at::Tensor &to) {
  if (from.sizes() != to.sizes())
    at::native::resize_(to, from.sizes());
  return copyFrom(from, to, false);
}

static at::Tensor &fill(at::Tensor &self, const at::Scalar &value) {
  onHost(self).fill_(value);
  return self;
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("_copy_from_and_resize", &copyFromAndResize);
  m.impl("fill_.Scalar", &fill);
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &emptyStrided);
  m.impl("_copy_from", &copyFrom);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
}

static void forward(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  if (op.operator_name().name.rfind("quant_ste::", 0) == 0)
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CUDA), stack);
  else
    at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&forward>());
}

static void setStream(int64_t number) { stream = number; }

TORCH_LIBRARY(quant_ste_emulated, m) {
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  c10::SetAllocator(kType, &memory);
  m.def("set_stream(int number) -> ()", &setStream);
}
