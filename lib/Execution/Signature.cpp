//===- Signature.cpp - what a function takes and gives ----------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Reading a signature
//===----------------------------------------------------------------------===//

static std::optional<ElementType> getElementType(Type type) {
  if (isa<IndexType>(type))
    return ElementType::index;
  if (isa<Float16Type>(type))
    return ElementType::f16;
  if (isa<BFloat16Type>(type))
    return ElementType::bf16;
  if (isa<Float32Type>(type))
    return ElementType::f32;
  if (isa<Float64Type>(type))
    return ElementType::f64;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  std::string name =
      (integer.isUnsigned() ? "ui" : "i") + std::to_string(integer.getWidth());
  return parseElementType(name);
}

static std::string toString(Type type) {
  std::string out;
  llvm::raw_string_ostream(out) << type;
  return out;
}

std::optional<ValueType> quant_ste::getValueType(Type type) {
  ValueType value;
  auto tensor = dyn_cast<RankedTensorType>(type);
  value.isScalar = !tensor;
  std::optional<ElementType> element =
      getElementType(tensor ? tensor.getElementType() : type);
  if (!element || (tensor && tensor.getEncoding()))
    return std::nullopt;
  value.element = *element;
  if (tensor)
    for (int64_t size : tensor.getShape())
      value.shape.push_back(ShapedType::isDynamic(size) ? ValueType::kDynamic
                                                        : size);
  return value;
}

/// `what` is "argument" or "result". Returns what is wrong, if anything.
static std::string readTypes(StringRef what, TypeRange types,
                             function_ref<Attribute(unsigned)> getNameAttr,
                             std::vector<ValueType> &out) {
  llvm::StringSet<> names;
  for (auto [i, type] : llvm::enumerate(types)) {
    std::string at = (what + " #" + Twine(i)).str();
    std::optional<ValueType> value = getValueType(type);
    if (!value)
      return at +
             ": expected a ranked tensor or a scalar of f16, bf16, f32, "
             "f64, index or an integer of 1, 8, 16, 32 or 64 bits, got " +
             toString(type);
    if (Attribute attr = getNameAttr(i)) {
      auto name = dyn_cast<StringAttr>(attr);
      if (!name || name.empty())
        return at + ": expected quant_ste.name to be a string, not empty";
      if (!names.insert(name).second)
        return at + ": the name '" + name.str() + "' is taken";
      value->name = name.str();
    }
    out.push_back(std::move(*value));
  }
  return "";
}

Signature quant_ste::getSignature(func::FuncOp function) {
  constexpr StringLiteral kName = "quant_ste.name";
  Signature signature;
  signature.function = function.getName().str();
  signature.unsupported = readTypes(
      "argument", function.getArgumentTypes(),
      [&](unsigned i) { return function.getArgAttr(i, kName); },
      signature.arguments);
  if (signature.unsupported.empty())
    signature.unsupported = readTypes(
        "result", function.getResultTypes(),
        [&](unsigned i) { return function.getResultAttr(i, kName); },
        signature.results);
  if (signature.unsupported.empty())
    inferDims(function, signature);
  return signature;
}

std::vector<Signature> quant_ste::getSignatures(ModuleOp module) {
  std::vector<Signature> signatures;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      signatures.push_back(getSignature(function));
  return signatures;
}

llvm::Expected<const Signature *>
quant_ste::selectFunction(ArrayRef<Signature> functions, StringRef name) {
  for (const Signature &f : functions)
    if (f.function == name || (name.empty() && functions.size() == 1))
      return &f;
  std::string there =
      functions.empty()
          ? "there is no public function with a body"
          : "the public functions are " +
                llvm::join(llvm::map_range(functions,
                                           [](const Signature &f) {
                                             return "@" + f.function;
                                           }),
                           ", ");
  if (name.empty())
    return llvm::createStringError("expected the name of a function; " + there);
  return llvm::createStringError("no function @" + name + "; " + there);
}

//===----------------------------------------------------------------------===//
// Checking arguments against it
//===----------------------------------------------------------------------===//

std::string Signature::str() const {
  std::string out;
  llvm::raw_string_ostream os(out);
  auto list = [&](ArrayRef<ValueType> types) {
    os << '(';
    llvm::interleaveComma(types, os,
                          [&](const ValueType &t) { os << t.str(); });
    os << ')';
  };
  list(arguments);
  os << " -> ";
  list(results);
  return out;
}

bool Signature::hasDestination(unsigned result) const {
  return !results[result].isScalar &&
         llvm::all_of(resultDims[result], [](const ResultDim &dim) {
           return dim.isKnownBeforeCall();
         });
}

llvm::SmallVector<int64_t, 4>
Signature::getResultShape(unsigned result, ArrayRef<HostArray> given) const {
  assert(hasDestination(result) && "only the call tells the shape");
  llvm::SmallVector<int64_t, 4> shape;
  for (const ResultDim &dim : resultDims[result]) {
    int64_t size = dim.size;
    if (dim.like)
      size = given[dim.like->argument].getShape()[dim.like->dim];
    shape.push_back(dim.bits ? getPackedSize(size * dim.bits) : size);
  }
  return shape;
}

bool ValueType::accepts(ElementType given) const {
  if (given == element)
    return true;
  switch (element) {
  case ElementType::i8:
    return given == ElementType::ui8;
  case ElementType::i16:
    return given == ElementType::ui16;
  case ElementType::i32:
    return given == ElementType::ui32;
  case ElementType::i64:
    return given == ElementType::ui64 || given == ElementType::index;
  case ElementType::index:
    return given == ElementType::i64;
  default:
    return false;
  }
}

bool ValueType::accepts(const HostArray &array) const {
  return accepts(array.getElementType()) &&
         array.getShape().size() == shape.size() &&
         llvm::all_of(llvm::zip_equal(shape, array.getShape()), [](auto pair) {
           auto [expected, given] = pair;
           return expected == kDynamic || expected == given;
         });
}

llvm::Error Signature::checkSupported() const {
  if (unsupported.empty())
    return llvm::Error::success();
  return llvm::createStringError("cannot call @" + function + ": " +
                                 unsupported);
}

llvm::Error Signature::check(ArrayRef<HostArray> given) const {
  if (auto error = checkSupported())
    return error;
  if (given.size() != arguments.size())
    return llvm::createStringError(
        "@" + function + " : " + str() + " expects " + Twine(arguments.size()) +
        (arguments.size() == 1 ? " argument, got " : " arguments, got ") +
        Twine(given.size()));
  auto at = [&](unsigned i) {
    std::string text = "argument #" + std::to_string(i) + " of @" + function;
    return arguments[i].name.empty() ? text
                                     : text + " ('" + arguments[i].name + "')";
  };
  for (auto [i, array] : llvm::enumerate(given))
    if (!arguments[i].accepts(array))
      return llvm::createStringError(at(i) + ": expected " +
                                     arguments[i].str() + ", got " +
                                     array.getTypeString());
  auto sizeOf = [&](ArgumentDim d) {
    return given[d.argument].getShape()[d.dim];
  };
  for (const PackedDim &packed : packedDims) {
    int64_t bits = sizeOf(packed.like) * packed.bits;
    if (sizeOf(packed.bytes) != getPackedSize(bits))
      return llvm::createStringError(
          at(packed.bytes.argument) + ": expected dimension " +
          Twine(packed.bytes.dim) + " to be " + Twine(getPackedSize(bits)) +
          ", the bytes of " + Twine(bits) + " bits, got " +
          given[packed.bytes.argument].getTypeString());
  }
  for (const EqualDims &equal : equalDims) {
    bool isKnown = equal.size != ValueType::kDynamic;
    int64_t expected = isKnown ? equal.size : sizeOf(equal.dims.front());
    for (ArgumentDim d : equal.dims) {
      if (sizeOf(d) == expected)
        continue;
      std::string why = isKnown ? std::string("as the function needs")
                                : "that of dimension " +
                                      std::to_string(equal.dims.front().dim) +
                                      " of " + at(equal.dims.front().argument);
      return llvm::createStringError(at(d.argument) + ": expected dimension " +
                                     Twine(d.dim) + " to be " +
                                     Twine(expected) + ", " + why + ", got " +
                                     given[d.argument].getTypeString());
    }
  }
  return llvm::Error::success();
}
