//===- torch_ops.cpp - quantizers as ops of torch's dispatcher --*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quant_ste.torch._ops. A table in Python says of each op its schema, how its
// operands take part in gradients, and what text to compile. This file knows no
// op: it registers what the table says, and for a call finds the layout, looks
// up the compiled kernel by a key of a few words, and runs it. The table is
// asked for text only for a key that is new.
//
//===----------------------------------------------------------------------===//

#include "torch_calls.h"

#include "quant_ste-c/Execution.h"
#include "quant_ste/Runtime/Cuda.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ExpandUtils.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/TypeProperties.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <numeric>
#include <shared_mutex>

namespace nb = nanobind;
using namespace nb::literals;
using at::ArrayRef;
using at::IntArrayRef;
using at::Tensor;
using c10::IValue;
using c10::SmallVector;
using torch::jit::Stack;

//===----------------------------------------------------------------------===//
// What the table says
//===----------------------------------------------------------------------===//

namespace {
/// An argument of the schema.
enum class ArgKind {
  Operand, // a tensor
  Number,  // a number that the kernel takes at run time
  Word,    // part of the text: an int, float, bool or str
  Axis,    // the dimension of x that one-dimensional operands run along
};

/// What the cotangent of x, or of a parameter, is.
enum class Gradient { None, Pass, Zero, Kernel };

/// Whether a value that an operand has may be written into the text.
enum class Bake { Never, Zero, Always };

struct Arg {
  ArgKind kind;
  Gradient gradient = Gradient::None;
  Bake bake = Bake::Never;
};

/// Where an operand's elements are.
enum class Extent : uint8_t { One, Channel, Element, Baked };

/// What is computed: y; gradients; y and the masks that gradients need;
/// gradients from masks.
enum class Form : uint8_t { Forward, Backward, Save, PackedBackward };

/// The shape that a kernel sees: x as it lies in memory, collapsed.
enum class Layout : uint8_t {
  Flat,              // [n]
  ChannelInner,      // [channels, inner]
  OuterChannel,      // [outer, channels]
  OuterChannelInner, // [outer, channels, inner]
};

/// Words that tell one kernel of an op from another.
using Key = SmallVector<uint64_t, 20>;

struct Kernel {
  Key key;
  quant_ste_entry entry;
};

struct OpSpec {
  std::string name;
  std::vector<Arg> args;
  bool promotes;      // x takes the common type of all operands
  bool givesFloat;    // the result is f32, whatever x is
  nb::object getText; // (form, dtype, layout, operands, words, wrt)
  std::optional<c10::OperatorHandle> forward, backward, save, packedBackward;
  uint64_t packs = 0; // the tensors whose gradients need a mask alone
  int packsWord = -1; // unless the argument at this place, if any, is that
  std::string packsValue;

  mutable std::shared_mutex mutex;
  mutable std::vector<Kernel> kernels;

  bool isTensor(size_t i) const { return args[i].kind == ArgKind::Operand; }
  std::optional<int64_t> getAxis(const IValue *values) const {
    for (size_t i = 0; i < args.size(); ++i)
      if (args[i].kind == ArgKind::Axis)
        return values[i].toInt();
    return std::nullopt;
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

namespace {
/// One operand of a kernel.
struct Operand {
  Tensor tensor; // as the kernel reads it; undefined if a number or baked
  double number = 0;
  Extent extent = Extent::One;
  at::ScalarType type = at::kFloat;
  // How to come back from a channel operand's gradient: its sizes and
  // dimensions in the order of memory.
  SmallVector<int64_t, 5> channelSizes, channelOrder;
};

/// A call, once it is known where everything lies.
struct Plan {
  Tensor x; // dense; of the type computed in
  Layout layout = Layout::Flat;
  int64_t outer = 1, channels = 1, inner = 1;
  SmallVector<Operand, 4> operands; // after x
  int capability = 0;               // of the GPU that x is on; 0: none

  bool isOnGpu() const { return capability != 0; }
};
} // namespace

/// The dimensions of a dense tensor, outermost in memory first, without those
/// of size 1.
template <class Int>
static SmallVector<int64_t, 5> getMemoryOrder(ArrayRef<Int> sizes,
                                              ArrayRef<Int> strides) {
  SmallVector<int64_t, 5> order;
  for (size_t d = 0; d < sizes.size(); ++d)
    if (sizes[d] != 1)
      order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return strides[a] > strides[b];
  });
  return order;
}

/// Room for a result in the layout of x, which is dense: at::empty_like, which
/// on a processor would go through the dispatcher for nothing.
static Tensor makeRoomLike(const Tensor &x) {
  if (!x.is_cpu())
    return at::empty_like(x);
  return at::detail::empty_strided_cpu(x.sizes(), x.strides(), x.scalar_type());
}

/// x itself if its elements fill a block of memory, else a copy that does.
static Tensor makeDense(const Tensor &x) {
  if (x.is_contiguous() || x.is_non_overlapping_and_dense())
    return x;
  Tensor dense = at::empty_like(x);
  dense.copy_(x);
  return dense;
}

/// The elements of `t` in the layout and type of x.
static Tensor makeLike(const Tensor &t, const Tensor &x) {
  if (t.scalar_type() == x.scalar_type() && t.strides() == x.strides() &&
      t.sizes() == x.sizes())
    return t;
  Tensor like = at::empty_like(x);
  like.copy_(t);
  return like;
}

static bool isFloatType(at::ScalarType type) {
  return type == at::kFloat || type == at::kDouble || type == at::kHalf ||
         type == at::kBFloat16;
}

/// The type of a parameter in a kernel with data of this type.
static at::ScalarType getParameterType(at::ScalarType parameter,
                                       at::ScalarType data) {
  if (parameter == data || data == at::kDouble)
    return data;
  return at::kFloat;
}

/// The sizes of an operand that broadcasts to x: one-dimensional operands of an
/// op with an axis run along that.
template <class Int>
static SmallVector<Int, 5> getAlignedSizes(ArrayRef<Int> sizes, int64_t rank,
                                           std::optional<int64_t> axis) {
  if (!axis || sizes.size() != 1)
    return SmallVector<Int, 5>(sizes.begin(), sizes.end());
  SmallVector<Int, 5> aligned(rank, Int(1));
  aligned[at::maybe_wrap_dim(*axis, rank)] = sizes[0];
  return aligned;
}

/// The operand as a tensor of those sizes.
static Tensor alignToAxis(const Tensor &p, const Tensor &x,
                          std::optional<int64_t> axis) {
  if (!axis || p.dim() != 1)
    return p;
  return p.reshape(getAlignedSizes(p.sizes(), x.dim(), axis));
}

namespace {
/// x in memory around the dimensions that an operand has.
template <class Int> struct Run {
  Int outer = 1, channels = 1, inner = 1;
  SmallVector<int64_t, 5> order; // those of the operand

  Layout getLayout() const {
    return outer == 1   ? Layout::ChannelInner
           : inner == 1 ? Layout::OuterChannel
                        : Layout::OuterChannelInner;
  }
};
} // namespace

/// The run of an operand that is neither one value nor one per element, if its
/// dimensions lie side by side in memory, where those of x are in `order`.
template <class Int>
static std::optional<Run<Int>> findRun(ArrayRef<Int> x, ArrayRef<Int> p,
                                       IntArrayRef order) {
  Run<Int> run;
  int64_t missing = x.size() - p.size();
  auto isOf = [&](int64_t d) { return d >= missing && p[d - missing] != 1; };
  size_t first = order.size(), last = 0;
  for (size_t i = 0; i < order.size(); ++i)
    if (isOf(order[i])) {
      first = std::min(first, i);
      last = i + 1;
    }
  for (size_t i = 0; i < order.size(); ++i) {
    if (i >= first && i < last && !isOf(order[i]))
      return std::nullopt; // a gap: the operand repeats within the run
    Int &extent = i < first ? run.outer : i >= last ? run.inner : run.channels;
    extent = extent * x[order[i]];
    if (i >= first && i < last)
      run.order.push_back(order[i] - missing);
  }
  return run;
}

/// Sets the layout by the first operand that has a run.
static bool placeChannel(Plan &plan, Operand &operand, const Tensor &p,
                         IntArrayRef order, bool &isPlaced) {
  auto run = findRun(plan.x.sizes(), p.sizes(), order);
  if (!run || (isPlaced &&
               (run->outer != plan.outer || run->channels != plan.channels)))
    return false;
  isPlaced = true;
  plan.outer = run->outer, plan.channels = run->channels;
  plan.inner = run->inner;
  plan.layout = run->getLayout();
  auto &permutation = run->order;
  for (int64_t d = 0; d < p.dim(); ++d)
    if (p.size(d) == 1)
      permutation.push_back(d);
  operand.extent = Extent::Channel;
  operand.channelOrder = permutation;
  Tensor permuted = p.permute(permutation);
  operand.channelSizes.assign(permuted.sizes().begin(), permuted.sizes().end());
  operand.tensor = permuted.contiguous().reshape({-1});
  return true;
}

namespace {
/// The arguments of a call by kind.
struct Call {
  SmallVector<Tensor, 6> tensors; // operands
  SmallVector<double, 4> numbers;
  std::optional<int64_t> axis;
};
} // namespace

static Call readCall(const OpSpec &spec, const IValue *args) {
  Call call;
  call.axis = spec.getAxis(args);
  for (size_t i = 0; i < spec.args.size(); ++i)
    switch (spec.args[i].kind) {
    case ArgKind::Operand:
      call.tensors.push_back(args[i].toTensor());
      break;
    case ArgKind::Number:
      call.numbers.push_back(args[i].toScalar().toDouble());
      break;
    case ArgKind::Axis:
    case ArgKind::Word:
      break;
    }
  return call;
}

/// The type that an op computes in, and the sizes of its result.
static at::ScalarType getDataType(const OpSpec &spec, const Call &call) {
  at::ScalarType type = call.tensors[0].scalar_type();
  if (spec.promotes && call.tensors.size() > 1) {
    bool differs = false;
    for (const Tensor &t : call.tensors)
      differs |= t.scalar_type() != type;
    if (differs) {
      at::native::ResultTypeState state = {};
      for (const Tensor &t : call.tensors)
        state = at::native::update_result_type_state(t, state);
      type = at::native::result_type(state);
    }
  }
  TORCH_CHECK_TYPE(
      isFloatType(type), "quant_ste::", spec.name,
      ": expected x of float16, bfloat16, float32 or float64, got ", type);
  return type;
}

/// The compute capability of a GPU, 90 for 9.0.
static int getCapability(const OpSpec &spec, c10::Device device) {
  int32_t index = device.has_index() ? device.index() : 0;
  static std::array<std::atomic<int>, 64> known{};
  bool isFew = index >= 0 && static_cast<size_t>(index) < known.size();
  if (isFew && known[index] != 0)
    return known[index];
  quant_ste_cuda_take_error();
  int capability = quant_ste_cuda_capability(index);
  TORCH_CHECK(capability > 0, "quant_ste::", spec.name, ": ",
              quant_ste_cuda_take_error());
  if (isFew)
    known[index] = capability;
  return capability;
}

/// The one element of a tensor in the host's memory, if a double holds it.
static std::optional<double> readHostValue(const Tensor &p) {
  switch (p.scalar_type()) {
  case at::kFloat:
    return *p.const_data_ptr<float>();
  case at::kDouble:
    return *p.const_data_ptr<double>();
  case at::kHalf:
    return static_cast<float>(*p.const_data_ptr<at::Half>());
  case at::kBFloat16:
    return static_cast<float>(*p.const_data_ptr<at::BFloat16>());
  case at::kInt:
    return *p.const_data_ptr<int32_t>();
  default:
    return std::nullopt;
  }
}

/// `isWanted[i]`: the gradient of operand i will be computed, so that its value
/// stays an operand.
static Plan makePlan(const OpSpec &spec, const Call &call,
                     const bool *isWanted) {
  Plan plan;
  at::ScalarType type = getDataType(spec, call);
  Tensor x = call.tensors[0];
  for (size_t i = 1; i < call.tensors.size(); ++i) {
    const Tensor &p = call.tensors[i];
    // As everywhere in torch, a number of the host goes with any device.
    TORCH_CHECK(p.device() == x.device() || (p.is_cpu() && p.dim() == 0),
                "quant_ste::", spec.name,
                ": expected operands on one device, got ", x.device(), " and ",
                p.device());
    if (p.numel() == 1 && p.dim() <= x.dim())
      continue;
    Tensor aligned = alignToAxis(p, x, call.axis);
    auto sizes = at::infer_size_dimvector(x.sizes(), aligned.sizes());
    if (IntArrayRef(sizes) != x.sizes())
      x = x.expand(sizes);
  }
  if (x.scalar_type() != type)
    x = x.to(type);
  plan.x = makeDense(x);
  plan.inner = plan.x.numel();
  if (!x.is_cpu())
    plan.capability = getCapability(spec, x.device());

  bool isPlaced = false;
  SmallVector<int64_t, 5> order;
  size_t tensor = 0, number = 0;
  for (const Arg &arg : spec.args) {
    if (arg.kind != ArgKind::Operand && arg.kind != ArgKind::Number)
      continue;
    if (arg.kind == ArgKind::Operand && tensor++ == 0)
      continue;
    Operand &operand = plan.operands.emplace_back();
    operand.type = type == at::kDouble ? at::kDouble : at::kFloat;
    if (arg.kind == ArgKind::Number) {
      operand.number = call.numbers[number++];
      if (plan.isOnGpu())
        operand.tensor =
            at::full({}, operand.number, plan.x.options().dtype(operand.type));
      continue;
    }
    Tensor p = call.tensors[tensor - 1];
    operand.type = getParameterType(p.scalar_type(), type);
    if (p.numel() == 1) {
      // The value of what is on a GPU takes a wait.
      bool mayRead = !isWanted[tensor - 1] && p.is_cpu();
      std::optional<double> value;
      if (mayRead)
        value = readHostValue(p);
      if (mayRead && arg.bake != Bake::Never) {
        operand.number = value ? *value : p.item().toDouble();
        if (arg.bake == Bake::Always || operand.number == 0) {
          operand.extent = Extent::Baked;
          continue;
        }
      }
      // A number needs no tensor of another type.
      if (value && p.scalar_type() != operand.type && plan.x.is_cpu()) {
        operand.number = *value;
        continue;
      }
      operand.tensor = p.scalar_type() == operand.type ? p : p.to(operand.type);
      if (p.device() != plan.x.device())
        operand.tensor = operand.tensor.to(plan.x.device());
      continue;
    }
    p = alignToAxis(p, plan.x, call.axis);
    if (p.scalar_type() != operand.type)
      p = p.to(operand.type);
    if (p.sizes() != plan.x.sizes()) {
      if (order.empty())
        order = getMemoryOrder(plan.x.sizes(), plan.x.strides());
      if (placeChannel(plan, operand, p, order, isPlaced))
        continue;
    }
    operand.extent = Extent::Element;
    if (p.strides() == plan.x.strides() && p.sizes() == plan.x.sizes()) {
      operand.tensor = p;
    } else {
      operand.tensor = at::empty_like(plan.x, p.options());
      operand.tensor.copy_(p.expand(plan.x.sizes()));
    }
  }
  return plan;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

static const char *getTypeName(at::ScalarType type) {
  switch (type) {
  case at::kHalf:
    return "f16";
  case at::kBFloat16:
    return "bf16";
  case at::kDouble:
    return "f64";
  default:
    return "f32";
  }
}

/// Appends a word as it is: two of one argument give keys that differ.
static void appendWord(Key &key, const IValue &value) {
  if (value.isInt()) {
    key.push_back(static_cast<uint64_t>(value.toInt()));
    return;
  }
  if (value.isBool()) {
    key.push_back(value.toBool());
    return;
  }
  if (value.isDouble()) {
    key.push_back(std::bit_cast<uint64_t>(value.toDouble()));
    return;
  }
  std::string_view text = value.toStringView();
  key.push_back(text.size());
  for (; !text.empty(); text.remove_prefix(std::min<size_t>(8, text.size()))) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, text.data(), std::min<size_t>(8, text.size()));
    key.push_back(bytes);
  }
}

static Key makeKey(const OpSpec &spec, const Plan &plan, const IValue *args,
                   Form form, uint64_t wrt) {
  Key key;
  key.push_back(static_cast<uint64_t>(form) |
                static_cast<uint64_t>(plan.layout) << 8 |
                static_cast<uint64_t>(plan.x.scalar_type()) << 16 | wrt << 32 |
                static_cast<uint64_t>(plan.capability) << 48);
  for (const Operand &operand : plan.operands) {
    key.push_back(static_cast<uint64_t>(operand.extent) |
                  static_cast<uint64_t>(operand.type) << 8);
    if (operand.extent == Extent::Baked)
      key.push_back(std::bit_cast<uint64_t>(operand.number));
  }
  for (size_t i = 0; i < spec.args.size(); ++i)
    if (spec.args[i].kind == ArgKind::Word)
      appendWord(key, args[i]);
  return key;
}

static nb::object toPython(const IValue &value) {
  if (value.isInt())
    return nb::int_(value.toInt());
  if (value.isBool())
    return nb::bool_(value.toBool());
  if (value.isDouble())
    return nb::float_(value.toDouble());
  return nb::cast(std::string(value.toStringView()));
}

/// Asks the table for the text. Called without any lock: it takes the GIL.
static std::string askText(const OpSpec &spec, const Plan &plan,
                           const IValue *args, Form form, uint64_t wrt) {
  nb::gil_scoped_acquire python;
  nb::list operands, words, wanted;
  for (const Operand &operand : plan.operands)
    operands.append(nb::make_tuple(static_cast<int>(operand.extent),
                                   getTypeName(operand.type), operand.number));
  for (size_t i = 0; i < spec.args.size(); ++i)
    if (spec.args[i].kind == ArgKind::Word)
      words.append(toPython(args[i]));
  for (int i = 0; wrt >> i; ++i)
    if (wrt >> i & 1)
      wanted.append(i);
  return nb::cast<std::string>(
      spec.getText(static_cast<int>(form), getTypeName(plan.x.scalar_type()),
                   static_cast<int>(plan.layout), operands, words, wanted));
}

/// Options of quant-ste-gpu-pipeline for kernels that are not compiled yet.
static std::string gpuOptions;

static quant_ste_entry compile(const OpSpec &spec, const std::string &text,
                               const Plan &plan) {
  char *error = nullptr;
  quant_ste_compile_options options{};
  std::string target;
  if (plan.isOnGpu()) {
    c10::Device device = plan.x.device();
    char *chip =
        quant_ste_device_chip(device.has_index() ? device.index() : 0, &error);
    target = std::string("cuda:") + (chip ? chip : "");
    quant_ste_error_free(chip);
    options.target = target.c_str();
    options.pipeline_options = gpuOptions.c_str();
  }
  // Kept for as long as the process lives.
  quant_ste_module *module =
      error ? nullptr
            : quant_ste_compile(text.data(), text.size(), &options, &error);
  std::string message = error ? error : "";
  quant_ste_error_free(error);
  TORCH_CHECK(module, "quant_ste::", spec.name, ": ", message, "\n", text);
  int32_t function = quant_ste_module_lookup(module, "kernel", nullptr);
  quant_ste_entry entry = quant_ste_function_entry(module, function);
  TORCH_CHECK(entry, "quant_ste::", spec.name, ": no kernel in\n", text);
  return entry;
}

static quant_ste_entry findKernel(const OpSpec &spec, const Plan &plan,
                                  const IValue *args, Form form, uint64_t wrt) {
  Key key = makeKey(spec, plan, args, form, wrt);
  {
    std::shared_lock<std::shared_mutex> lock(spec.mutex);
    for (const Kernel &kernel : spec.kernels)
      if (kernel.key == key)
        return kernel.entry;
  }
  quant_ste_entry entry =
      compile(spec, askText(spec, plan, args, form, wrt), plan);
  std::unique_lock<std::shared_mutex> lock(spec.mutex);
  spec.kernels.push_back({std::move(key), entry});
  return entry;
}

namespace {
/// The slots of one call: descriptors {allocated, aligned, offset, sizes,
/// strides}.
class Slots {
public:
  void add(void *data, IntArrayRef sizes) {
    auto &words = descriptors[count++];
    words[0] = words[1] = reinterpret_cast<intptr_t>(data);
    words[2] = 0;
    size_t rank = sizes.size();
    int64_t stride = 1;
    for (size_t i = rank; i-- > 0;) {
      words[3 + i] = sizes[i];
      words[3 + rank + i] = stride;
      stride *= sizes[i];
    }
  }
  void **get() {
    for (size_t i = 0; i < count; ++i)
      slots[i] = descriptors[i].data();
    return slots.data();
  }

private:
  size_t count = 0;
  std::array<std::array<int64_t, 9>, 24> descriptors;
  std::array<void *, 24> slots;
};
} // namespace

static SmallVector<int64_t, 3> getKernelSizes(const Plan &plan) {
  switch (plan.layout) {
  case Layout::Flat:
    return {plan.x.numel()};
  case Layout::ChannelInner:
    return {plan.channels, plan.inner};
  case Layout::OuterChannel:
    return {plan.outer, plan.channels};
  case Layout::OuterChannelInner:
    return {plan.outer, plan.channels, plan.inner};
  }
  return {};
}

/// Adds the parameters. `numbers` gives memory to plain numbers.
static void addParameters(Slots &slots, Plan &plan, IntArrayRef sizes,
                          std::array<double, 16> &numbers) {
  size_t n = 0;
  for (Operand &operand : plan.operands) {
    switch (operand.extent) {
    case Extent::Baked:
      break;
    case Extent::Channel:
      slots.add(operand.tensor.data_ptr(), {plan.channels});
      break;
    case Extent::Element:
      slots.add(operand.tensor.data_ptr(), sizes);
      break;
    case Extent::One:
      if (operand.tensor.defined()) {
        slots.add(operand.tensor.data_ptr(), {});
        break;
      }
      void *place = &numbers[n++];
      if (operand.type == at::kDouble)
        *static_cast<double *>(place) = operand.number;
      else
        *static_cast<float *>(place) = static_cast<float>(operand.number);
      slots.add(place, {});
    }
  }
}

/// Compiled loops use as many threads as torch's own.
static void useThreads() {
  thread_local int known = 0;
  int wanted = at::get_num_threads();
  if (wanted == known)
    return;
  known = wanted;
  quant_ste_set_thread_count(wanted);
}

/// torch's current stream, as the driver knows it.
static void *getCurrentStream(c10::Device device) {
#ifdef QUANT_STE_TORCH_NATIVE_HANDLE
  return c10::impl::VirtualGuardImpl(device.type())
      .getStream(device)
      .native_handle();
#else
  nb::gil_scoped_acquire python;
  nb::object stream =
      nb::module_::import_("torch.cuda").attr("current_stream")(device.index());
  return reinterpret_cast<void *>(
      nb::cast<uintptr_t>(stream.attr("cuda_stream")));
#endif
}

/// Calls the kernel: on a GPU, on torch's current stream.
static void runKernel(const OpSpec &spec, const Plan &plan,
                      quant_ste_entry entry, Slots &slots) {
  if (!plan.isOnGpu()) {
    useThreads();
    entry(slots.get());
    return;
  }
  c10::Device device = plan.x.device();
  void *previous = quant_ste_cuda_enter(getCurrentStream(device));
  void *context =
      quant_ste_cuda_enter_device(device.has_index() ? device.index() : 0);
  entry(slots.get());
  quant_ste_cuda_leave_device(context);
  bool failed = quant_ste_cuda_leave(previous);
  TORCH_CHECK(!failed, "quant_ste::", spec.name, ": ",
              quant_ste_cuda_last_error());
}

/// The operand that each tensor is: kernels count numbers as operands, too.
static SmallVector<int64_t, 6> getOperands(const OpSpec &spec) {
  SmallVector<int64_t, 6> operands;
  int64_t operand = 0;
  for (const Arg &arg : spec.args) {
    if (arg.kind == ArgKind::Operand)
      operands.push_back(operand);
    if (arg.kind == ArgKind::Operand || arg.kind == ArgKind::Number)
      ++operand;
  }
  return operands;
}

/// `wrt`, positions among the tensors, as bits of operands.
static uint64_t getOperandMask(IntArrayRef operands, IntArrayRef wrt) {
  uint64_t mask = 0;
  for (int64_t i : wrt)
    mask |= uint64_t(1) << operands[i];
  return mask;
}

/// How many bytes a mask has: rows of bits start on a byte.
template <class Int> static Int getMaskSize(const Int &n, const Int &row) {
  if (row == n)
    return (n + 7) / 8;
  return n / row * ((row + 7) / 8);
}

/// How many elements a row of bits has: those that a kernel's innermost loop
/// takes, as makePlan places them. `y` has the sizes and strides of the result.
static c10::SymInt getRow(const OpSpec &spec, const IValue *args,
                          const Tensor &y) {
  SmallVector<int64_t, 5> order;
  std::optional<int64_t> axis = spec.getAxis(args);
  for (size_t i = 0, tensor = 0; i < spec.args.size(); ++i) {
    if (!spec.isTensor(i) || tensor++ == 0)
      continue;
    const Tensor &p = args[i].toTensor();
    if (p.sym_numel() == 1)
      continue;
    auto sizes = getAlignedSizes(p.sym_sizes(), y.dim(), axis);
    if (c10::SymIntArrayRef(sizes) == y.sym_sizes())
      continue;
    if (order.empty())
      order = getMemoryOrder(y.sym_sizes(), y.sym_strides());
    auto run = findRun(y.sym_sizes(), c10::SymIntArrayRef(sizes), order);
    if (run)
      return run->getLayout() == Layout::OuterChannel ? run->channels
                                                      : run->inner;
  }
  return y.sym_numel();
}

/// The same of a plan.
static int64_t getRow(const Plan &plan) {
  return plan.layout == Layout::OuterChannel ? plan.channels : plan.inner;
}

static void addMasks(Slots &slots, const Tensor &masks,
                     SmallVector<int64_t, 3> sizes) {
  sizes.back() = (sizes.back() + 7) / 8;
  for (int64_t i = 0; i < masks.size(0); ++i)
    slots.add(masks.data_ptr<uint8_t>() + i * masks.size(1), sizes);
}

/// y, and with `wrt`, positions among the tensors, the masks that their
/// gradients need.
static std::pair<Tensor, Tensor> runForward(const OpSpec &spec,
                                            const IValue *args,
                                            std::optional<IntArrayRef> wrt) {
  std::array<bool, 16> isWanted{};
  if (wrt)
    for (int64_t i : *wrt)
      isWanted[i] = true;
  Call call = readCall(spec, args);
  c10::OptionalDeviceGuard guard;
  if (!call.tensors[0].is_cpu())
    guard.reset_device(call.tensors[0].device());
  Plan plan = makePlan(spec, call, isWanted.data());
  Tensor y = makeRoomLike(plan.x), masks;
  uint64_t mask = 0;
  if (wrt) {
    masks = at::empty({static_cast<int64_t>(wrt->size()),
                       getMaskSize(plan.x.numel(), getRow(plan))},
                      plan.x.options().dtype(at::kByte));
    mask = getOperandMask(getOperands(spec), *wrt);
  }
  quant_ste_entry entry =
      findKernel(spec, plan, args, wrt ? Form::Save : Form::Forward, mask);
  Slots slots;
  std::array<double, 16> numbers;
  auto sizes = getKernelSizes(plan);
  slots.add(plan.x.data_ptr(), sizes);
  addParameters(slots, plan, sizes, numbers);
  slots.add(y.data_ptr(), sizes);
  if (wrt)
    addMasks(slots, masks, sizes);
  runKernel(spec, plan, entry, slots);
  return {spec.givesFloat ? y.to(at::kFloat) : y, masks};
}

/// A kernel's gradient of one operand, in that operand's shape and type.
static Tensor finishGradient(const Tensor &gradient, const Operand &operand,
                             const Tensor &p, std::optional<int64_t> axis,
                             const Tensor &x) {
  Tensor out = gradient;
  if (operand.extent == Extent::Channel) {
    SmallVector<int64_t, 5> inverse(operand.channelOrder.size());
    for (size_t i = 0; i < inverse.size(); ++i)
      inverse[operand.channelOrder[i]] = i;
    out = out.view(operand.channelSizes).permute(inverse);
  } else if (operand.extent == Extent::Element) {
    out = at::sum_to(out, alignToAxis(p, x, axis).sizes());
  }
  return out.reshape(p.sizes()).to(p.scalar_type());
}

/// The gradient of `given` where and in the strides that BackwardMeta says.
static Tensor placeAs(const Tensor &gradient, const Tensor &given) {
  bool isAtPlace = gradient.device() == given.device();
  if (isAtPlace && gradient.is_contiguous() && given.is_contiguous())
    return gradient;
  Tensor placed = at::empty_like(given);
  if (isAtPlace && gradient.strides() == placed.strides())
    return gradient;
  return placed.copy_(gradient);
}

/// `wrt` are positions among the tensor operands. With masks, x is as good as
/// any tensor of its layout: dy.
static std::vector<Tensor> runBackward(const OpSpec &spec, const Tensor &dy,
                                       const IValue *args, IntArrayRef wrt,
                                       const Tensor *masks = nullptr) {
  Call call = readCall(spec, args);
  std::array<bool, 16> isWanted{};
  for (int64_t i : wrt)
    isWanted[i] = true;
  c10::OptionalDeviceGuard guard;
  if (!call.tensors[0].is_cpu())
    guard.reset_device(call.tensors[0].device());
  Plan plan = makePlan(spec, call, isWanted.data());
  SmallVector<int64_t, 6> operandOf = getOperands(spec);
  quant_ste_entry entry = findKernel(
      spec, plan, args, masks ? Form::PackedBackward : Form::Backward,
      getOperandMask(operandOf, wrt));

  Slots slots;
  std::array<double, 16> numbers;
  auto sizes = getKernelSizes(plan);
  if (!masks)
    slots.add(plan.x.data_ptr(), sizes);
  addParameters(slots, plan, sizes, numbers);
  if (masks) {
    std::array<int64_t, 2> expected = {
        static_cast<int64_t>(wrt.size()),
        getMaskSize(plan.x.numel(), getRow(plan))};
    TORCH_CHECK(masks->sizes() == IntArrayRef(expected) &&
                    masks->scalar_type() == at::kByte && masks->is_contiguous(),
                "quant_ste::", spec.name,
                "_packed_backward: expected masks of ", IntArrayRef(expected),
                " bytes, got ", masks->sizes(), " of ", masks->scalar_type());
    addMasks(slots, *masks, sizes);
  }
  Tensor cotangent = makeLike(dy, plan.x);
  slots.add(cotangent.data_ptr(), sizes);
  SmallVector<Tensor, 6> gradients(call.tensors.size());
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!isWanted[i])
      continue;
    if (i == 0) {
      gradients[i] = makeRoomLike(plan.x);
      slots.add(gradients[i].data_ptr(), sizes);
      continue;
    }
    const Operand &p = plan.operands[operandOf[i] - 1];
    gradients[i] = at::empty_like(p.tensor);
    if (p.extent == Extent::One)
      slots.add(gradients[i].data_ptr(), {});
    else if (p.extent == Extent::Channel)
      slots.add(gradients[i].data_ptr(), {plan.channels});
    else
      slots.add(gradients[i].data_ptr(), sizes);
  }
  runKernel(spec, plan, entry, slots);

  std::vector<Tensor> results;
  for (int64_t i : wrt) {
    const Tensor &given = call.tensors[i];
    Tensor gradient =
        i == 0 ? at::sum_to(gradients[0], given.sizes()).to(given.scalar_type())
               : finishGradient(gradients[i], plan.operands[operandOf[i] - 1],
                                given, call.axis, plan.x);
    results.push_back(placeAs(gradient, given));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Kernels of the dispatcher
//===----------------------------------------------------------------------===//

namespace {
using c10::DispatchKeySet;
using c10::OperatorHandle;

/// On processors and GPUs: where the tensors are.
struct ForwardKernel : c10::OperatorKernel {
  explicit ForwardKernel(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size();
    Tensor y =
        runForward(spec, stack->data() + stack->size() - n, std::nullopt).first;
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(y));
  }
  const OpSpec &spec;
};

/// (arguments..., wrt) -> y, masks
struct SaveKernel : c10::OperatorKernel {
  explicit SaveKernel(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size() + 1;
    const IValue *args = stack->data() + stack->size() - n;
    auto wrt = args[n - 1].toIntVector();
    auto [y, masks] = runForward(spec, args, IntArrayRef(wrt));
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(y));
    stack->emplace_back(std::move(masks));
  }
  const OpSpec &spec;
};

/// (masks, dy, parameters..., wrt) -> gradients
struct PackedBackwardKernel : c10::OperatorKernel {
  explicit PackedBackwardKernel(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size() + 2;
    const IValue *args = stack->data() + stack->size() - n;
    auto wrt = args[n - 1].toIntVector();
    Tensor masks = args[0].toTensor();
    std::vector<Tensor> gradients =
        runBackward(spec, args[1].toTensor(), args + 1, wrt, &masks);
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(gradients));
  }
  const OpSpec &spec;
};

/// (dy, arguments..., wrt) -> gradients
struct BackwardKernel : c10::OperatorKernel {
  explicit BackwardKernel(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size() + 2;
    const IValue *args = stack->data() + stack->size() - n;
    auto wrt = args[n - 1].toIntVector();
    std::vector<Tensor> gradients =
        runBackward(spec, args[0].toTensor(), args + 1, wrt);
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(gradients));
  }
  const OpSpec &spec;
};

static Tensor makeMetaResult(const OpSpec &spec, const IValue *args) {
  Call call = readCall(spec, args);
  at::ScalarType type = getDataType(spec, call);
  Tensor x = call.tensors[0];
  if (!call.axis)
    for (const Tensor &p : ArrayRef<Tensor>(call.tensors).slice(1))
      if (p.dim() > 0)
        x = at::broadcast_tensors({x, p})[0];
  return at::empty_like(x,
                        x.options().dtype(spec.givesFloat ? at::kFloat : type));
}

/// Shapes alone.
struct ForwardMeta : c10::OperatorKernel {
  explicit ForwardMeta(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size();
    Tensor y = makeMetaResult(spec, stack->data() + stack->size() - n);
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(y));
  }
  const OpSpec &spec;
};

struct SaveMeta : c10::OperatorKernel {
  explicit SaveMeta(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size() + 1;
    const IValue *args = stack->data() + stack->size() - n;
    int64_t count = args[n - 1].toIntVector().size();
    Tensor y = makeMetaResult(spec, args);
    Tensor masks = at::empty_symint(
        {count, getMaskSize(y.sym_numel(), getRow(spec, args, y))},
        y.options().dtype(at::kByte));
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(y));
    stack->emplace_back(std::move(masks));
  }
  const OpSpec &spec;
};

/// Of the backward ops, both of which have one argument in front.
struct BackwardMeta : c10::OperatorKernel {
  explicit BackwardMeta(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &, DispatchKeySet, Stack *stack) {
    size_t n = spec.args.size() + 2;
    const IValue *args = stack->data() + stack->size() - n;
    Call call = readCall(spec, args + 1);
    std::vector<Tensor> gradients;
    for (int64_t i : args[n - 1].toIntVector())
      gradients.push_back(at::empty_like(call.tensors[i]));
    torch::jit::drop(*stack, n);
    stack->emplace_back(std::move(gradients));
  }
  const OpSpec &spec;
};

//===----------------------------------------------------------------------===//
// Autograd
//===----------------------------------------------------------------------===//

// How torch counts references to nodes changed in time.
#ifdef QUANT_STE_TORCH_INTRUSIVE_NODES
template <class T> using NodePointer = c10::intrusive_ptr<T>;
template <class T, class... Args>
NodePointer<T> makeNodePointer(Args &&...args) {
  return c10::make_intrusive<T>(std::forward<Args>(args)...);
}
NodePointer<torch::autograd::Node> getPointer(torch::autograd::Node *node) {
  return NodePointer<torch::autograd::Node>::reclaim_copy(node);
}
#else
template <class T> using NodePointer = std::shared_ptr<T>;
template <class T, class... Args>
NodePointer<T> makeNodePointer(Args &&...args) {
  return NodePointer<T>(new T(std::forward<Args>(args)...),
                        torch::autograd::deleteNode);
}
NodePointer<torch::autograd::Node> getPointer(torch::autograd::Node *node) {
  return node->shared_from_this();
}
#endif

/// The backward pass of one call. It holds the operands, if any gradient is
/// computed from them, and nothing else.
struct QuantizerBackward : torch::autograd::Node {
  QuantizerBackward(const OpSpec &spec, torch::autograd::edge_list &&edges)
      : Node(std::move(edges)), spec(spec) {}

  std::string name() const override { return spec.name + "Backward"; }

  /// dy as x lies in memory, which the masks follow.
  Tensor layAsResult(const Tensor &dy) const {
    if (dy.sym_strides() == c10::SymIntArrayRef(strides))
      return dy;
    Tensor laid =
        at::empty_strided_symint(dy.sym_sizes(), strides, dy.options());
    return laid.copy_(dy);
  }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto &s : saved)
      s.reset_data();
    isReleased = true;
  }

  torch::autograd::variable_list
  apply(torch::autograd::variable_list &&cotangents) override {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t numTensors = sizes.size();
    torch::autograd::variable_list gradients(numTensors);
    const Tensor &dy = cotangents[0];
    if (!dy.defined())
      return gradients;
    std::vector<int64_t> wrt;
    size_t t = 0;
    for (const Arg &arg : spec.args) {
      if (arg.kind != ArgKind::Operand)
        continue;
      size_t i = t++;
      if (!task_should_compute_output(i))
        continue;
      if (arg.gradient == Gradient::Pass)
        gradients[i] = at::sum_to(dy, sizes[i]).to(types[i]);
      else if (arg.gradient == Gradient::Zero)
        gradients[i] = at::zeros_symint(sizes[i], dy.options().dtype(types[i]));
      else if (arg.gradient == Gradient::Kernel)
        wrt.push_back(i);
    }
    if (wrt.empty())
      return gradients;
    TORCH_CHECK(!isReleased, torch::autograd::ERR_BACKWARD_TWICE);
    // The masks are of all gradients that had been wanted.
    const std::vector<int64_t> &asked = packed.empty() ? wrt : packed;
    Stack stack;
    stack.reserve(spec.args.size() + 2);
    if (packed.empty())
      stack.emplace_back(dy);
    size_t next = 0;
    for (size_t i = 0; i < spec.args.size(); ++i) {
      if (!spec.isTensor(i)) {
        stack.emplace_back(others[i]);
        continue;
      }
      stack.emplace_back(saved[next++].unpack(getPointer(this)));
      if (next == 1 && !packed.empty()) // x: the masks, and dy in its place
        stack.emplace_back(layAsResult(dy));
    }
    stack.emplace_back(asked);
    (packed.empty() ? spec.backward : spec.packedBackward)->callBoxed(&stack);
    auto computed = stack.back().toTensorVector();
    for (size_t i = 0; i < asked.size(); ++i)
      if (task_should_compute_output(asked[i]))
        gradients[asked[i]] = std::move(computed[i]);
    return gradients;
  }

  const OpSpec &spec;
  std::vector<torch::autograd::SavedVariable> saved; // empty if not needed
  std::vector<IValue> others; // the arguments that are no tensors
  std::vector<c10::SymDimVector> sizes;
  std::vector<at::ScalarType> types;
  std::vector<int64_t> packed; // the tensors that there are masks for
  c10::SymDimVector strides;   // of the result, if there are
  bool isReleased = false;
};

/// Fewer elements are not worth a second result, nor shorter rows of bits.
static constexpr int64_t kLeastPacked = 1024, kLeastRow = 16;

/// Whether x is in memory in the backward pass whatever is saved: a parameter
/// of a module, or what a graph that is traced is given.
static bool isThereAnyway(const Tensor &x) {
  if (!x.is_leaf())
    return false;
  if (x.key_set().has(c10::DispatchKey::Python))
    return true;
  nb::gil_scoped_acquire python;
  static auto *parameter =
      new nb::object(nb::module_::import_("torch.nn").attr("Parameter"));
  nb::object object = nb::steal(THPVariable_Wrap(x));
  return nb::isinstance(object, *parameter);
}

struct ForwardAutograd : c10::OperatorKernel {
  explicit ForwardAutograd(const OpSpec &spec) : spec(spec) {}
  void operator()(const OperatorHandle &op, DispatchKeySet keys, Stack *stack) {
    size_t n = spec.args.size();
    const IValue *args = stack->data() + stack->size() - n;
    NodePointer<QuantizerBackward> node;
    if (at::GradMode::is_enabled())
      node = makeNode(args);
    bool isPacked = node && !node->packed.empty();
    if (isPacked)
      stack->emplace_back(node->packed);
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      (isPacked ? *spec.save : op)
          .redispatchBoxed(keys & c10::after_autograd_keyset, stack);
    }
    if (isPacked) {
      node->saved.front() = torch::autograd::SavedVariable(
          torch::jit::pop(*stack).toTensor(), false);
      auto strides = stack->back().toTensor().sym_strides();
      node->strides.assign(strides.begin(), strides.end());
    }
    if (node)
      torch::autograd::set_history(stack->back().toTensor(), node);
  }

private:
  /// Whether an operand broadcasts to the sizes of x as they are.
  static bool isWithin(const Tensor &p, const Tensor &x,
                       std::optional<int64_t> axis) {
    auto sizes = getAlignedSizes(p.sym_sizes(), x.dim(), axis);
    for (size_t i = 0; i < sizes.size(); ++i)
      if (sizes[i] != 1 && sizes[i] != x.sym_size(x.dim() - sizes.size() + i))
        return false;
    return true;
  }

  /// Whether masks do in place of x, and are less.
  bool canPack(const IValue *args, IntArrayRef wrt) const {
    for (int64_t i : wrt)
      if (!(spec.packs >> i & 1))
        return false;
    if (wrt.empty() || (spec.packsWord >= 0 &&
                        args[spec.packsWord].toStringView() == spec.packsValue))
      return false;
    const Tensor *x = nullptr;
    bool hasRows = false;
    for (size_t i = 0, tensor = 0; i < spec.args.size(); ++i) {
      if (!spec.isTensor(i))
        continue;
      size_t position = tensor++;
      const Tensor &t = args[i].toTensor();
      if (!x) {
        x = &t;
        bool isTraced = t.key_set().has(c10::DispatchKey::Python);
        if (!isFloatType(t.scalar_type()) ||
            (spec.givesFloat && t.scalar_type() != at::kFloat) ||
            (!isTraced && t.numel() < kLeastPacked) || isThereAnyway(t))
          return false;
        continue;
      }
      if (t.dim() > x->dim() ||
          (spec.promotes && t.dim() > 0 && t.scalar_type() != x->scalar_type()))
        return false;
      if (t.sym_numel() == 1)
        continue;
      if (std::count(wrt.begin(), wrt.end(), position) ||
          !isWithin(t, *x, spec.getAxis(args)))
        return false;
      hasRows = true;
    }
    return !hasRows || getRow(spec, args, *x) >= kLeastRow;
  }

  NodePointer<QuantizerBackward> makeNode(const IValue *args) {
    torch::autograd::edge_list edges;
    bool isNeeded = false;
    std::vector<int64_t> wrt; // of the kernel
    for (size_t i = 0, tensor = 0; i < spec.args.size(); ++i) {
      if (!spec.isTensor(i))
        continue;
      const Tensor &t = args[i].toTensor();
      bool counts =
          spec.args[i].gradient != Gradient::None && t.requires_grad();
      edges.push_back(counts ? torch::autograd::impl::gradient_edge(t)
                             : torch::autograd::Edge());
      isNeeded |= counts;
      if (counts && spec.args[i].gradient == Gradient::Kernel)
        wrt.push_back(tensor);
      ++tensor;
    }
    if (!isNeeded)
      return nullptr;
    auto node = makeNodePointer<QuantizerBackward>(spec, std::move(edges));
    bool savesOperands = !wrt.empty();
    if (canPack(args, wrt))
      node->packed = std::move(wrt);
    for (size_t i = 0; i < spec.args.size(); ++i) {
      if (!spec.isTensor(i)) {
        node->others.resize(i + 1);
        node->others[i] = args[i];
        continue;
      }
      const Tensor &t = args[i].toTensor();
      node->sizes.emplace_back(t.sym_sizes());
      node->types.push_back(t.scalar_type());
      if (!savesOperands)
        continue;
      if (node->saved.empty() && !node->packed.empty())
        node->saved.emplace_back(); // until there are masks
      else
        node->saved.emplace_back(t, false);
    }
    node->others.resize(spec.args.size());
    return node;
  }

  const OpSpec &spec;
};
} // namespace

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static ArgKind parseKind(const std::string &kind) {
  if (kind == "operand")
    return ArgKind::Operand;
  if (kind == "number")
    return ArgKind::Number;
  if (kind == "axis")
    return ArgKind::Axis;
  return ArgKind::Word;
}

static Gradient parseGradient(const std::string &gradient) {
  if (gradient == "pass")
    return Gradient::Pass;
  if (gradient == "zero")
    return Gradient::Zero;
  if (gradient == "kernel")
    return Gradient::Kernel;
  return Gradient::None;
}

static Bake parseBake(const std::string &bake) {
  return bake == "always" ? Bake::Always
         : bake == "zero" ? Bake::Zero
                          : Bake::Never;
}

/// Never destroyed: torch unregisters in an order of its own.
static torch::Library &getLibrary() {
  static auto *library = new torch::Library(
      torch::Library::FRAGMENT, "quant_ste", std::nullopt, __FILE__, __LINE__);
  return *library;
}

template <class Functor>
static torch::CppFunction box(const OpSpec &spec, c10::DispatchKey key) {
  return torch::dispatch(key, torch::CppFunction::makeFromBoxedFunctor(
                                  std::make_unique<Functor>(spec)));
}

/// Registers an op that others are computed from, which autograd does not see.
template <class Kernel, class Meta>
static c10::OperatorHandle defineInner(const OpSpec &spec,
                                       const std::string &schema) {
  torch::Library &library = getLibrary();
  std::string name = schema.substr(0, schema.find('('));
  library.def(
      torch::schema(schema.c_str(), c10::AliasAnalysisKind::FROM_SCHEMA),
      {at::Tag::pt2_compliant_tag});
  for (auto key : {c10::DispatchKey::CPU, c10::DispatchKey::CUDA})
    library.impl(name.c_str(), box<Kernel>(spec, key));
  library.impl(name.c_str(), box<Meta>(spec, c10::DispatchKey::Meta));
  library.impl(
      name.c_str(),
      torch::dispatch(c10::DispatchKey::Autograd,
                      torch::autograd::autogradNotImplementedFallback()));
  size_t dot = name.find('.');
  std::string overload = dot == std::string::npos ? "" : name.substr(dot + 1);
  return c10::Dispatcher::singleton().findSchemaOrThrow(
      ("quant_ste::" + name.substr(0, dot)).c_str(), overload.c_str());
}

/// Registers an op. `args` are (kind, gradient, bake); schemas are torch's.
/// `packing`: which tensors' gradients masks do for, unless the argument at a
/// place, or -1, has a value.
static void define(const std::string &name, const std::string &schema,
                   const std::string &backwardSchema,
                   const std::vector<std::vector<std::string>> &args,
                   bool promotes, bool givesFloat,
                   const std::string &saveSchema,
                   const std::string &packedBackwardSchema,
                   const std::tuple<uint64_t, int, std::string> &packing,
                   nb::object getText) {
  auto *spec = new OpSpec; // lives as long as its registration
  spec->name = name;
  for (const auto &arg : args)
    spec->args.push_back(
        {parseKind(arg[0]), parseGradient(arg[1]), parseBake(arg[2])});
  spec->promotes = promotes;
  spec->givesFloat = givesFloat;
  std::tie(spec->packs, spec->packsWord, spec->packsValue) = packing;
  spec->getText = getText;
  torch::Library &library = getLibrary();
  std::string base = name.substr(0, name.find('.'));
  std::string overload =
      base.size() == name.size() ? "" : name.substr(base.size() + 1);
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag};
  library.def(
      torch::schema(schema.c_str(), c10::AliasAnalysisKind::FROM_SCHEMA), tags);
  for (auto key : {c10::DispatchKey::CPU, c10::DispatchKey::CUDA})
    library.impl(name.c_str(), box<ForwardKernel>(*spec, key));
  library.impl(name.c_str(), box<ForwardMeta>(*spec, c10::DispatchKey::Meta));
  library.impl(name.c_str(),
               box<ForwardAutograd>(*spec, c10::DispatchKey::Autograd));
  auto &dispatcher = c10::Dispatcher::singleton();
  spec->forward = dispatcher.findSchemaOrThrow(("quant_ste::" + base).c_str(),
                                               overload.c_str());
  if (!backwardSchema.empty())
    spec->backward =
        defineInner<BackwardKernel, BackwardMeta>(*spec, backwardSchema);
  if (saveSchema.empty())
    return;
  spec->save = defineInner<SaveKernel, SaveMeta>(*spec, saveSchema);
  spec->packedBackward = defineInner<PackedBackwardKernel, BackwardMeta>(
      *spec, packedBackwardSchema);
}

NB_MODULE(_ops, m) {
  m.doc() = "Registers the ops of quant_ste.torch; see its table.";
  m.attr("TORCH_VERSION") = QUANT_STE_TORCH_VERSION;
  m.def("define", &define, "name"_a, "schema"_a, "backward_schema"_a, "args"_a,
        "promotes"_a, "gives_float"_a, "save_schema"_a,
        "packed_backward_schema"_a, "packing"_a, "get_text"_a);
  m.def(
      "set_gpu_options",
      [](const std::string &options) { gpuOptions = options; }, "options"_a);
  quant_ste::registerTorchCalls(m);
}
