//===- CEntry.cpp - the code behind a C function ----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   int f(const float *x, int64_t x_size0, float *y) {
//     if (x_size0 < 0) return <code>;                // checks
//     if (!x && x_size0) return <code>;
//     ...
//     switch (level) {                               // set when loaded
//     case 0: f.x86-64-v2(x, x, 0, x_size0, 1, y, y, 0, x_size0, 1); break;
//     ...
//     default: return <code>;
//     }
//     return 0;
//   }
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/CInterface.h"

#include "quant_ste/Execution/Target.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/IntrinsicsAArch64.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
/// What a library has once.
struct Library {
  llvm::Module &module;
  StringRef name;
  /// Explanations of error codes, by number.
  std::vector<std::string> messages;
  /// The processor found when the library was loaded, or -1. Null: not looked
  /// at.
  llvm::GlobalVariable *level = nullptr;
  /// The chips of the levels, if there are several. Null: one, or a processor.
  llvm::GlobalVariable *chips = nullptr;

  /// The code that stands for this message.
  int addMessage(CError error, const Twine &message) {
    messages.push_back(message.str());
    return static_cast<int>(messages.size() << 4) | static_cast<int>(error);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Checks and the call
//===----------------------------------------------------------------------===//

namespace {
/// A tensor as the entry sees it.
struct Buffer {
  unsigned value;
  const CValue *type;
  llvm::Value *data = nullptr;
  SmallVector<llvm::Value *> sizes, strides;
  llvm::Value *bytes = nullptr;
  /// Of a strided tensor: what the kernel reads and writes in its place; and
  /// whether that is memory of its own.
  llvm::Value *packed = nullptr;
  llvm::Value *isOwn = nullptr;

  unsigned getRank() const { return sizes.size(); }
};

class EntryWriter {
public:
  EntryWriter(Library &library, const CFunction &f)
      : library(library), f(f), b(library.module.getContext()) {}
  LogicalResult write(ArrayRef<llvm::Function *> levels);
  /// The function that says how much workspace this one needs.
  LogicalResult writeQuery(ArrayRef<llvm::Function *> levels);

private:
  void createFunction(StringRef name, ArrayRef<CParameter> parameters,
                      bool isQuery);
  void createBlocks(llvm::Function *of);
  void storeParameters();
  void beginPart();
  void endPart();
  void leaveUnless(llvm::Value *condition, llvm::Value *code);
  Buffer readBuffer(unsigned value);
  void readBuffers();
  void checkSizes();
  void checkWorkspace();
  void checkBuffers();
  void checkOverlap();
  void pack();
  void unpack();
  LogicalResult call(llvm::Function *level);
  LogicalResult dispatch(ArrayRef<llvm::Function *> levels);
  /// Leaves with an error unless the condition holds, at the next
  /// `leaveIfFailed`.
  void require(llvm::Value *condition, CError error, const Twine &message);
  void leaveIfFailed();
  /// The same, once there are enough checks to share a branch. In a function of
  /// many arrays no value outlives it.
  void leaveIfEnough();
  llvm::Value *getSize(unsigned value, unsigned dim);
  /// The bytes of packed rows.
  llvm::Value *getPackedSize(llvm::Value *size, int64_t bits);
  std::pair<llvm::Value *, llvm::Value *> countBytes(const Buffer &buffer);
  Buffer *findBuffer(unsigned value);
  llvm::Value *getParameter(CParameter::Kind kind, unsigned value,
                            unsigned dim = 0);
  llvm::Value *i64(int64_t v) { return b.getInt64(v); }
  std::string spell(ArgumentDim d) const {
    for (const CParameter &p : f.parameters)
      if (p.kind == CParameter::Size && p.value == d.argument && p.dim == d.dim)
        return p.name;
    return ("dimension " + Twine(d.dim) + " of " + f.values[d.argument].name)
        .str();
  }

  Library &library;
  const CFunction &f;
  llvm::IRBuilder<> b;
  llvm::Function *function = nullptr;
  ArrayRef<CParameter> parameters; // of the function
  llvm::BasicBlock *leave = nullptr; // with the code in `result`
  llvm::PHINode *result = nullptr;
  std::vector<Buffer> buffers;
  SmallVector<std::pair<llvm::Value *, int>> checks; // and error codes
  /// Of a function of many arrays: its parameters in memory, eight bytes each;
  /// and the function with the part of its code that is being written.
  llvm::Value *slots = nullptr;
  llvm::Function *part = nullptr;
  /// Where the code goes on behind the part.
  std::tuple<llvm::BasicBlock *, llvm::BasicBlock *, llvm::PHINode *> caller;
};
} // namespace

/// Above this, a function has so many arrays that comparing each with each
/// would take longer than a small call itself, and that allocating registers
/// for all of them in one function of code would take quadratic time.
static constexpr unsigned kFewBuffers = 32;

/// Predicted branches cost a small call less than one that waits for all.
static constexpr unsigned kChecksPerPart = 32;

void EntryWriter::createFunction(StringRef name,
                                 ArrayRef<CParameter> given, bool isQuery) {
  parameters = given;
  SmallVector<llvm::Type *> types;
  auto getScalarType = [&](ElementType element) -> llvm::Type * {
    if (element == ElementType::f32)
      return b.getFloatTy();
    if (element == ElementType::f64)
      return b.getDoubleTy();
    return b.getIntNTy(8 * getByteSize(element));
  };
  for (const CParameter &p : parameters)
    switch (p.kind) {
    case CParameter::Data:
      types.push_back(b.getPtrTy());
      break;
    case CParameter::Scalar:
      types.push_back(getScalarType(f.values[p.value].type.element));
      break;
    case CParameter::Size:
    case CParameter::Stride:
    case CParameter::WorkspaceBytes:
      types.push_back(b.getInt64Ty());
      break;
    case CParameter::Workspace:
    case CParameter::Stream:
      types.push_back(b.getPtrTy());
      break;
    }
  if (isQuery)
    types.push_back(b.getPtrTy());
  function = llvm::Function::Create(
      llvm::FunctionType::get(b.getInt32Ty(), types, false),
      llvm::GlobalValue::ExternalLinkage, name, library.module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  for (auto [argument, p] : llvm::zip(function->args(), parameters))
    argument.setName(p.name);
  createBlocks(function);
}

/// The first block, and the one that leaves with a code.
void EntryWriter::createBlocks(llvm::Function *of) {
  b.SetInsertPoint(llvm::BasicBlock::Create(b.getContext(), "", of));
  leave = llvm::BasicBlock::Create(b.getContext(), "leave", of);
  llvm::IRBuilder<> at(leave);
  result = at.CreatePHI(b.getInt32Ty(), 2);
  at.CreateRet(result);
}

llvm::Value *EntryWriter::getParameter(CParameter::Kind kind, unsigned value,
                                       unsigned dim) {
  for (auto [argument, p] : llvm::zip(function->args(), parameters)) {
    if (p.kind != kind || p.value != value || p.dim != dim)
      continue;
    if (!part)
      return &argument;
    return b.CreateLoad(argument.getType(), b.CreateConstInBoundsGEP1_64(
                                                b.getInt64Ty(), part->getArg(0),
                                                argument.getArgNo()));
  }
  return nullptr;
}

void EntryWriter::storeParameters() {
  slots = b.CreateAlloca(
      llvm::ArrayType::get(b.getInt64Ty(), function->arg_size()));
  for (llvm::Argument &argument : function->args())
    b.CreateStore(&argument, b.CreateConstInBoundsGEP1_64(b.getInt64Ty(), slots,
                                                          argument.getArgNo()));
}

/// What follows is written to a function of its own, that returns a code.
void EntryWriter::beginPart() {
  part = llvm::Function::Create(
      llvm::FunctionType::get(b.getInt32Ty(), {b.getPtrTy()}, false),
      llvm::GlobalValue::InternalLinkage, f.name + ".part", library.module);
  part->addFnAttr(llvm::Attribute::NoUnwind);
  part->addFnAttr(llvm::Attribute::NoInline);
  caller = {b.GetInsertBlock(), leave, result};
  createBlocks(part);
}

void EntryWriter::endPart() {
  result->addIncoming(b.getInt32(0), b.GetInsertBlock());
  b.CreateBr(leave);
  llvm::BasicBlock *block;
  std::tie(block, leave, result) = caller;
  b.SetInsertPoint(block);
  llvm::Value *code = b.CreateCall(part, slots);
  part = nullptr;
  leaveUnless(b.CreateICmpEQ(code, b.getInt32(0)), code);
}

void EntryWriter::leaveUnless(llvm::Value *condition, llvm::Value *code) {
  auto *next =
      llvm::BasicBlock::Create(b.getContext(), "", leave->getParent(), leave);
  auto *branch = b.CreateCondBr(condition, next, leave);
  llvm::MDBuilder weights(b.getContext());
  branch->setMetadata(llvm::LLVMContext::MD_prof,
                      weights.createLikelyBranchWeights());
  result->addIncoming(code, b.GetInsertBlock());
  b.SetInsertPoint(next);
}

void EntryWriter::require(llvm::Value *condition, CError error,
                          const Twine &message) {
  checks.push_back(
      {condition, library.addMessage(error, f.name + ": " + message)});
}

void EntryWriter::leaveIfFailed() {
  if (part && !checks.empty()) {
    llvm::Value *holds = b.getTrue(), *code = b.getInt32(0);
    for (auto [condition, number] : llvm::reverse(checks)) {
      holds = b.CreateAnd(condition, holds);
      code = b.CreateSelect(condition, code, b.getInt32(number));
    }
    leaveUnless(holds, code);
  } else {
    for (auto [condition, number] : checks)
      leaveUnless(condition, b.getInt32(number));
  }
  checks.clear();
}

void EntryWriter::leaveIfEnough() {
  if (!part)
    return leaveIfFailed();
  if (checks.size() < kChecksPerPart)
    return;
  leaveIfFailed();
  endPart();
  beginPart();
}

llvm::Value *EntryWriter::getPackedSize(llvm::Value *size, int64_t bits) {
  size = b.CreateMul(size, i64(bits));
  llvm::Value *hasRest = b.CreateICmpNE(b.CreateAnd(size, 7), i64(0));
  return b.CreateAdd(b.CreateLShr(size, 3),
                     b.CreateZExt(hasRest, b.getInt64Ty()));
}

llvm::Value *EntryWriter::getSize(unsigned value, unsigned dim) {
  unsigned numArguments = f.signature.arguments.size();
  if (value >= numArguments) {
    const ResultDim &from = f.signature.resultDims[value - numArguments][dim];
    if (!from.like)
      return i64(from.size);
    llvm::Value *size = getSize(from.like->argument, from.like->dim);
    return from.bits ? getPackedSize(size, from.bits) : size;
  }
  int64_t size = f.values[value].type.shape[dim];
  return size == ValueType::kDynamic
             ? getParameter(CParameter::Size, value, dim)
             : i64(size);
}

Buffer EntryWriter::readBuffer(unsigned value) {
  const CValue &type = f.values[value];
  Buffer buffer;
  buffer.value = value;
  buffer.type = &type;
  buffer.data = getParameter(CParameter::Data, value);
  for (unsigned d = 0, e = type.type.shape.size(); d < e; ++d) {
    buffer.sizes.push_back(getSize(value, d));
    if (type.hasStrides)
      buffer.strides.push_back(getParameter(CParameter::Stride, value, d));
  }
  return buffer;
}

void EntryWriter::readBuffers() {
  buffers.clear();
  for (auto [i, value] : llvm::enumerate(f.values))
    if (!value.type.isScalar)
      buffers.push_back(readBuffer(i));
  for (Buffer &buffer : buffers)
    buffer.bytes = countBytes(buffer).first;
}

Buffer *EntryWriter::findBuffer(unsigned value) {
  auto found = llvm::find_if(
      buffers, [&](const Buffer &other) { return other.value == value; });
  return found == buffers.end() ? nullptr : &*found;
}

void EntryWriter::checkSizes() {
  for (const CParameter &p : f.parameters)
    if (p.kind == CParameter::Size) {
      require(b.CreateICmpSGE(getParameter(p.kind, p.value, p.dim), i64(0)),
              CError::Size, p.name + ": expected no negative size");
      leaveIfEnough();
    }
  for (const EqualDims &equal : f.signature.equalDims) {
    bool isKnown = equal.size != ValueType::kDynamic;
    ArgumentDim first = equal.dims.front();
    std::string text = isKnown ? std::to_string(equal.size) : spell(first);
    for (ArgumentDim d : ArrayRef(equal.dims).drop_front(isKnown ? 0 : 1)) {
      llvm::Value *expected =
          isKnown ? i64(equal.size) : getSize(first.argument, first.dim);
      require(b.CreateICmpEQ(getSize(d.argument, d.dim), expected),
              CError::Size, spell(d) + ": expected " + text);
      leaveIfEnough();
    }
  }
  for (auto [bytes, like, bits] : f.signature.packedDims) {
    llvm::Value *expected =
        getPackedSize(getSize(like.argument, like.dim), bits);
    require(b.CreateICmpEQ(getSize(bytes.argument, bytes.dim), expected),
            CError::Size,
            spell(bytes) + ": expected the bytes of " + spell(like) +
                (bits == 1 ? "" : " * " + std::to_string(bits)) + " bits");
    leaveIfEnough();
  }
}

/// The number of bytes, and whether it is less than 2^63.
std::pair<llvm::Value *, llvm::Value *>
EntryWriter::countBytes(const Buffer &buffer) {
  llvm::Value *bytes = i64(getByteSize(buffer.type->type.element));
  llvm::Value *overflows = b.getFalse();
  llvm::Value *isEmpty = b.getFalse();
  for (llvm::Value *size : buffer.sizes) {
    llvm::Value *product = b.CreateBinaryIntrinsic(
        llvm::Intrinsic::smul_with_overflow, bytes, size);
    bytes = b.CreateExtractValue(product, 0);
    overflows = b.CreateOr(overflows, b.CreateExtractValue(product, 1));
    isEmpty = b.CreateOr(isEmpty, b.CreateICmpEQ(size, i64(0)));
  }
  return {b.CreateSelect(isEmpty, i64(0), bytes),
          b.CreateOr(isEmpty, b.CreateNot(overflows))};
}

void EntryWriter::checkBuffers() {
  for (auto [i, value] : llvm::enumerate(f.values)) {
    if (value.type.isScalar)
      continue;
    Buffer buffer = readBuffer(i);
    auto [bytes, fits] = countBytes(buffer);
    require(fits, CError::Size,
            value.name + ": expected a number of bytes below 2^63");
    llvm::Value *isEmpty = b.CreateICmpEQ(bytes, i64(0));
    require(b.CreateOr(isEmpty, b.CreateIsNotNull(buffer.data)), CError::Null,
            value.name + ": expected a pointer, got NULL");
    if (size_t alignment = getByteSize(value.type.element); alignment != 1) {
      llvm::Value *address = b.CreatePtrToInt(buffer.data, b.getInt64Ty());
      require(b.CreateICmpEQ(b.CreateAnd(address, i64(alignment - 1)), i64(0)),
              CError::Alignment,
              value.name + ": expected an address that is a multiple of " +
                  Twine(alignment));
    }
    leaveIfEnough();
  }
  for (auto [i, value] : llvm::enumerate(f.values))
    if (value.type.isScalar && value.isResult) {
      require(b.CreateIsNotNull(getParameter(CParameter::Data, i)),
              CError::Null, value.name + ": expected a pointer, got NULL");
      leaveIfEnough();
    }
}

/// What is packed is out of the way.
void EntryWriter::checkOverlap() {
  auto isWritten = [](const Buffer &buffer) {
    return buffer.type->isResult || buffer.type->isWritable;
  };
  for (auto [i, one] : llvm::enumerate(buffers))
    for (const Buffer &other : ArrayRef(buffers).drop_front(i + 1)) {
      if ((!isWritten(one) && !isWritten(other)) || one.type->hasStrides ||
          other.type->hasStrides)
        continue;
      auto end = [&](const Buffer &buffer) {
        return b.CreatePtrAdd(buffer.data, buffer.bytes);
      };
      llvm::Value *isBefore = b.CreateICmpULE(end(one), other.data);
      llvm::Value *isBehind = b.CreateICmpULE(end(other), one.data);
      require(b.CreateOr(isBefore, isBehind), CError::Overlap,
              one.type->name + ": expected no overlap with " +
                  other.type->name);
      leaveIfEnough();
    }
}

//===----------------------------------------------------------------------===//
// Strides
//===----------------------------------------------------------------------===//

/// Copies an array of any rank between two layouts, given in bytes.
static constexpr StringLiteral kCopyStrided = R"(
define internal void @quant_ste.copy_strided(ptr %to, ptr %from, i64 %rank,
    ptr %sizes, ptr %to_strides, ptr %from_strides, i64 %bytes) nounwind {
  %is_scalar = icmp eq i64 %rank, 0
  br i1 %is_scalar, label %scalar, label %array
scalar:
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %bytes, i1 false)
  ret void
array:
  %size = load i64, ptr %sizes
  %to_stride = load i64, ptr %to_strides
  %from_stride = load i64, ptr %from_strides
  %rank_1 = sub i64 %rank, 1
  %sizes_1 = getelementptr i64, ptr %sizes, i64 1
  %to_strides_1 = getelementptr i64, ptr %to_strides, i64 1
  %from_strides_1 = getelementptr i64, ptr %from_strides, i64 1
  br label %head
head:
  %i = phi i64 [ 0, %array ], [ %next, %body ]
  %to_i = phi ptr [ %to, %array ], [ %to_next, %body ]
  %from_i = phi ptr [ %from, %array ], [ %from_next, %body ]
  %more = icmp slt i64 %i, %size
  br i1 %more, label %body, label %done
body:
  call void @quant_ste.copy_strided(ptr %to_i, ptr %from_i, i64 %rank_1,
      ptr %sizes_1, ptr %to_strides_1, ptr %from_strides_1, i64 %bytes)
  %next = add i64 %i, 1
  %to_next = getelementptr i8, ptr %to_i, i64 %to_stride
  %from_next = getelementptr i8, ptr %from_i, i64 %from_stride
  br label %head
done:
  ret void
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
)";

static llvm::Function *getCopyStrided(llvm::Module &module) {
  constexpr StringLiteral kName = "quant_ste.copy_strided";
  if (!module.getFunction(kName)) {
    llvm::SMDiagnostic error;
    std::unique_ptr<llvm::Module> copy =
        llvm::parseAssemblyString(kCopyStrided, error, module.getContext());
    assert(copy && "the text above is IR");
    copy->setDataLayout(module.getDataLayout());
    copy->setTargetTriple(module.getTargetTriple());
    // Visible, until it is used.
    copy->getFunction(kName)->setLinkage(llvm::GlobalValue::ExternalLinkage);
    llvm::Linker::linkModules(module, std::move(copy));
    module.getFunction(kName)->setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  return module.getFunction(kName);
}

/// Row-major strides, in elements.
static SmallVector<llvm::Value *> getRowMajor(llvm::IRBuilder<> &b,
                                              const Buffer &buffer) {
  SmallVector<llvm::Value *> strides(buffer.getRank(), b.getInt64(1));
  for (unsigned d = buffer.getRank() - 1; d > 0; --d)
    strides[d - 1] = b.CreateMul(strides[d], buffer.sizes[d]);
  return strides;
}

/// Three arrays for copy_strided: sizes, packed strides, given strides.
static std::array<llvm::Value *, 3> storeLayout(llvm::IRBuilder<> &b,
                                                const Buffer &buffer) {
  llvm::Value *element = b.getInt64(getByteSize(buffer.type->type.element));
  llvm::Function *function = b.GetInsertBlock()->getParent();
  llvm::IRBuilder<> entry(&function->getEntryBlock(),
                          function->getEntryBlock().begin());
  auto store = [&](ArrayRef<llvm::Value *> values, bool isStride) {
    llvm::Value *array =
        entry.CreateAlloca(llvm::ArrayType::get(b.getInt64Ty(), values.size()));
    for (auto [i, v] : llvm::enumerate(values))
      b.CreateStore(isStride ? b.CreateMul(v, element) : v,
                    b.CreateConstInBoundsGEP1_64(b.getInt64Ty(), array, i));
    return array;
  };
  return {store(buffer.sizes, false), store(getRowMajor(b, buffer), true),
          store(buffer.strides, true)};
}

static void copyStrided(llvm::IRBuilder<> &b, const Buffer &buffer,
                        llvm::Value *to, llvm::Value *from, bool isPacking) {
  llvm::Module &module = *b.GetInsertBlock()->getModule();
  llvm::Function *copy = getCopyStrided(module);
  auto [sizes, packed, given] = storeLayout(b, buffer);
  b.CreateCall(copy, {to, from, b.getInt64(buffer.getRank()), sizes,
                      isPacking ? packed : given, isPacking ? given : packed,
                      b.getInt64(getByteSize(buffer.type->type.element))});
}

/// Runs `body` if the condition holds.
static void createIf(llvm::IRBuilder<> &b, llvm::BasicBlock *before,
                     llvm::Value *condition, function_ref<void()> body) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  auto *then = llvm::BasicBlock::Create(b.getContext(), "", function, before);
  auto *next = llvm::BasicBlock::Create(b.getContext(), "", function, before);
  b.CreateCondBr(condition, then, next);
  b.SetInsertPoint(then);
  body();
  b.CreateBr(next);
  b.SetInsertPoint(next);
}

void EntryWriter::pack() {
  llvm::Module &module = library.module;
  // All memory first: after an error nothing is to be freed but what is there.
  SmallVector<Buffer *> strided;
  for (Buffer &buffer : buffers) {
    buffer.packed = buffer.data;
    if (!buffer.type->hasStrides)
      continue;
    strided.push_back(&buffer);
    llvm::Value *isPlain = b.getTrue();
    for (auto [size, stride, plain] :
         llvm::zip_equal(buffer.sizes, buffer.strides, getRowMajor(b, buffer)))
      isPlain = b.CreateAnd(isPlain, b.CreateOr(b.CreateICmpEQ(stride, plain),
                                                b.CreateICmpEQ(size, i64(1))));
    buffer.isOwn =
        b.CreateAnd(b.CreateNot(isPlain), b.CreateICmpNE(buffer.bytes, i64(0)));
  }
  if (strided.empty())
    return;
  // What is given row-major beside another's written elements is copied too.
  llvm::FunctionCallee malloc =
      module.getOrInsertFunction("malloc", b.getPtrTy(), b.getInt64Ty());
  llvm::Value *hasMemory = b.getTrue();
  for (Buffer *buffer : strided) {
    llvm::Value *own = b.CreateCall(
        malloc, b.CreateSelect(buffer->isOwn, buffer->bytes, i64(1)));
    hasMemory = b.CreateAnd(hasMemory, b.CreateIsNotNull(own));
    buffer->packed = own;
  }
  llvm::FunctionCallee free =
      module.getOrInsertFunction("free", b.getVoidTy(), b.getPtrTy());
  createIf(b, leave, b.CreateNot(hasMemory), [&] {
    for (Buffer *buffer : strided)
      b.CreateCall(free, buffer->packed);
  });
  require(hasMemory, CError::Memory,
          "expected memory for copies of arrays with strides");
  leaveIfFailed();
  for (Buffer *buffer : strided)
    if (!buffer->type->isResult)
      createIf(b, leave, buffer->isOwn, [&] {
        copyStrided(b, *buffer, buffer->packed, buffer->data,
                    /*isPacking=*/true);
      });
}

void EntryWriter::unpack() {
  llvm::FunctionCallee free =
      library.module.getOrInsertFunction("free", b.getVoidTy(), b.getPtrTy());
  for (Buffer &buffer : buffers) {
    if (!buffer.isOwn)
      continue;
    if (buffer.type->isResult || buffer.type->isWritable)
      createIf(b, leave, buffer.isOwn, [&] {
        copyStrided(b, buffer, buffer.data, buffer.packed,
                    /*isPacking=*/false);
      });
    b.CreateCall(free, buffer.packed);
  }
}

//===----------------------------------------------------------------------===//
// The call
//===----------------------------------------------------------------------===//

LogicalResult EntryWriter::call(llvm::Function *level) {
  SmallVector<llvm::Value *> operands;
  for (auto [i, value] : llvm::enumerate(f.values)) {
    if (Buffer *buffer = findBuffer(i)) {
      llvm::Value *data = buffer->packed;
      if (buffer->isOwn)
        data = b.CreateSelect(buffer->isOwn, data, buffer->data);
      operands.append({data, data, i64(0)});
      llvm::append_range(operands, buffer->sizes);
      if (buffer->getRank())
        llvm::append_range(operands, getRowMajor(b, *buffer));
      continue;
    }
    if (value.isResult)
      continue;
    if (operands.size() >= level->arg_size())
      return failure();
    llvm::Type *wanted = level->getArg(operands.size())->getType();
    llvm::Value *scalar = getParameter(CParameter::Scalar, i);
    if (wanted->isIntegerTy(1))
      scalar = b.CreateIsNotNull(scalar);
    else if (scalar->getType() != wanted)
      scalar = b.CreateBitCast(scalar, wanted);
    operands.push_back(scalar);
  }
  if (operands.size() != level->arg_size() ||
      !llvm::all_of(llvm::zip(operands, level->args()), [](auto pair) {
        return std::get<0>(pair)->getType() == std::get<1>(pair).getType();
      }))
    return failure();
  llvm::CallInst *call = b.CreateCall(level, operands);
  call->setCallingConv(level->getCallingConv());
  // Arithmetic knows nothing of the state around the call, and must stay there.
  call->setIsNoInline();

  SmallVector<unsigned> scalars;
  for (auto [i, value] : llvm::enumerate(f.values))
    if (value.isResult && value.type.isScalar)
      scalars.push_back(i);
  llvm::Type *type = level->getReturnType();
  if (type->isVoidTy() != scalars.empty() ||
      (scalars.size() > 1 && (!isa<llvm::StructType>(type) ||
                              type->getStructNumElements() != scalars.size())))
    return failure();
  for (auto [n, i] : llvm::enumerate(scalars)) {
    llvm::Value *value = scalars.size() == 1 ? static_cast<llvm::Value *>(call)
                                             : b.CreateExtractValue(call, n);
    if (value->getType()->isIntegerTy(1))
      value = b.CreateZExt(value, b.getInt8Ty());
    if (llvm::Value *place = getParameter(CParameter::Data, i))
      b.CreateStore(value, place);
  }
  return success();
}

namespace {
/// The floating point state that the code expects, rounding to nearest and
/// keeping denormals, where the caller has set another.
class FloatState {
public:
  FloatState(llvm::IRBuilder<> &b, llvm::BasicBlock *before)
      : b(b), before(before),
        triple(b.GetInsertBlock()->getModule()->getTargetTriple()) {
    if (!isKnown())
      return;
    saved = read();
    // Flags of what happened so far are no setting.
    llvm::Value *setting = b.CreateAnd(
        saved, llvm::ConstantInt::get(saved->getType(), isX86() ? ~0x3f : ~0));
    isOther = b.CreateICmpNE(setting, getDefault());
    createIf(b, before, isOther, [&] { write(getDefault()); });
  }
  void restore() {
    if (isKnown())
      createIf(b, before, isOther, [&] { write(saved); });
  }

private:
  bool isX86() const { return triple.isX86_64(); }
  bool isKnown() const { return isX86() || triple.isAArch64(); }
  llvm::Value *getDefault() {
    return isX86() ? b.getInt32(0x1f80)
                   : static_cast<llvm::Value *>(b.getInt64(0));
  }
  llvm::Value *read() {
    if (!isX86())
      return b.CreateIntrinsic(llvm::Intrinsic::aarch64_get_fpcr, {});
    llvm::BasicBlock &entry = b.GetInsertBlock()->getParent()->getEntryBlock();
    memory =
        llvm::IRBuilder<>(&entry, entry.begin()).CreateAlloca(b.getInt32Ty());
    b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, memory);
    return b.CreateLoad(b.getInt32Ty(), memory);
  }
  void write(llvm::Value *state) {
    if (!isX86()) {
      b.CreateIntrinsic(llvm::Intrinsic::aarch64_set_fpcr, state);
      return;
    }
    b.CreateStore(state, memory);
    b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, memory);
  }

  llvm::IRBuilder<> &b;
  llvm::BasicBlock *before;
  llvm::Triple triple;
  llvm::Value *memory = nullptr, *saved = nullptr, *isOther = nullptr;
};
} // namespace

/// Calls the code for the processor.
LogicalResult EntryWriter::dispatch(ArrayRef<llvm::Function *> levels) {
  llvm::Value *level = nullptr;
  if (library.level) {
    level = b.CreateLoad(b.getInt32Ty(), library.level);
    require(b.CreateICmpSGE(level, b.getInt32(0)), CError::Processor,
            "this processor lacks instructions that the code was made of");
  }
  leaveIfFailed();
  pack();
  llvm::Value *stream = getParameter(CParameter::Stream, 0);
  if (stream)
    stream =
        b.CreateCall(library.module.getOrInsertFunction(
                         "quant_ste_cuda_enter", b.getPtrTy(), b.getPtrTy()),
                     stream);
  if (llvm::Value *workspace = getParameter(CParameter::Workspace, 0))
    b.CreateCall(library.module.getOrInsertFunction(
                     "quant_ste_cuda_use_workspace", b.getVoidTy(),
                     b.getPtrTy(), b.getInt64Ty()),
                 {workspace, getParameter(CParameter::WorkspaceBytes, 0)});
  if (library.chips)
    level = b.CreateCall(library.module.getOrInsertFunction(
                             "quant_ste_cuda_choose", b.getInt32Ty(),
                             b.getPtrTy(), b.getInt32Ty()),
                         {library.chips, b.getInt32(levels.size())});
  FloatState state(b, leave);
  auto newBlock = [&] {
    return llvm::BasicBlock::Create(b.getContext(), "", leave->getParent(),
                                    leave);
  };
  if (levels.size() == 1) {
    if (failed(call(levels.front())))
      return failure();
  } else {
    SmallVector<llvm::BasicBlock *> cases;
    for (unsigned i = 0; i < levels.size(); ++i)
      cases.push_back(newBlock());
    auto *done = newBlock();
    // The last processor needs no comparison. No chip is an error, which the
    // runtime has noted.
    auto *otherwise = library.chips ? done : cases.back();
    auto *choice = b.CreateSwitch(level, otherwise, levels.size());
    for (auto [i, target] : llvm::enumerate(cases)) {
      if (target != otherwise)
        choice->addCase(b.getInt32(i), target);
      b.SetInsertPoint(target);
      if (failed(call(levels[i])))
        return failure();
      b.CreateBr(done);
    }
    b.SetInsertPoint(done);
  }
  state.restore();
  if (stream) {
    llvm::Value *failed =
        b.CreateCall(library.module.getOrInsertFunction(
                         "quant_ste_cuda_leave", b.getInt1Ty(), b.getPtrTy()),
                     stream);
    require(b.CreateNot(failed), CError::Device, "the GPU");
    leaveIfFailed();
  }
  unpack();
  return success();
}

void EntryWriter::checkWorkspace() {
  llvm::Value *workspace = getParameter(CParameter::Workspace, 0);
  if (!workspace)
    return;
  llvm::Value *bytes = getParameter(CParameter::WorkspaceBytes, 0);
  require(b.CreateICmpSGE(bytes, i64(0)), CError::Size,
          "workspace_bytes: expected no negative size");
  require(b.CreateOr(b.CreateIsNotNull(workspace),
                     b.CreateICmpEQ(bytes, i64(0))),
          CError::Null, "workspace: expected a pointer, got NULL");
  llvm::Value *address = b.CreatePtrToInt(workspace, b.getInt64Ty());
  require(b.CreateICmpEQ(b.CreateAnd(address, 255), i64(0)), CError::Alignment,
          "workspace: expected an address that is a multiple of 256");
}

LogicalResult EntryWriter::writeQuery(ArrayRef<llvm::Function *> levels) {
  SmallVector<CParameter> given;
  llvm::copy_if(f.parameters, std::back_inserter(given),
                [](const CParameter &p) {
                  return p.kind == CParameter::Size ||
                         p.kind == CParameter::Scalar;
                });
  createFunction(f.getQueryName(), given, /*isQuery=*/true);
  checkSizes();
  llvm::Value *place = function->getArg(given.size());
  place->setName("bytes");
  require(b.CreateIsNotNull(place), CError::Null,
          "bytes: expected a pointer, got NULL");
  leaveIfFailed();
  for (auto [i, value] : llvm::enumerate(f.values))
    if (!value.type.isScalar) {
      Buffer &buffer = buffers.emplace_back(readBuffer(i));
      buffer.packed = llvm::Constant::getNullValue(b.getPtrTy());
    }
  auto call = [&](StringRef name, llvm::Type *type,
                  ArrayRef<llvm::Value *> operands = {}) {
    SmallVector<llvm::Type *> types = llvm::map_to_vector(
        operands, [](llvm::Value *v) { return v->getType(); });
    return b.CreateCall(
        library.module.getOrInsertFunction(
            name, llvm::FunctionType::get(type, types, false)),
        operands);
  };
  llvm::Value *none = llvm::Constant::getNullValue(b.getPtrTy());
  llvm::Value *previous = call("quant_ste_cuda_enter", b.getPtrTy(), none);
  llvm::Value *most = i64(0);
  for (llvm::Function *level : levels) {
    call("quant_ste_cuda_count_workspace", b.getVoidTy());
    if (failed(this->call(level)))
      return failure();
    most = b.CreateBinaryIntrinsic(
        llvm::Intrinsic::smax, most,
        call("quant_ste_cuda_get_counted_bytes", b.getInt64Ty()));
  }
  llvm::Value *failed = call("quant_ste_cuda_leave", b.getInt1Ty(), previous);
  require(b.CreateNot(failed), CError::Device, "the GPU");
  leaveIfFailed();
  b.CreateStore(most, place);
  result->addIncoming(b.getInt32(0), b.GetInsertBlock());
  b.CreateBr(leave);
  return success();
}

LogicalResult EntryWriter::write(ArrayRef<llvm::Function *> levels) {
  createFunction(f.name, f.parameters, /*isQuery=*/false);
  bool isInParts = llvm::count_if(f.values, [](const CValue &value) {
                     return !value.type.isScalar;
                   }) > kFewBuffers;
  if (isInParts) {
    storeParameters();
    beginPart();
  }
  checkSizes();
  checkWorkspace();
  checkBuffers();
  if (isInParts) {
    leaveIfFailed();
    endPart();
    beginPart();
  }
  readBuffers();
  if (!isInParts)
    checkOverlap();
  if (failed(dispatch(levels)))
    return failure();
  if (isInParts)
    endPart();
  result->addIncoming(b.getInt32(0), b.GetInsertBlock());
  b.CreateBr(leave);
  return success();
}

//===----------------------------------------------------------------------===//
// The choice of a processor
//===----------------------------------------------------------------------===//

/// Runs cpuid; {eax, ebx, ecx, edx}.
static llvm::Value *callCpuid(llvm::IRBuilder<> &b, uint32_t leaf,
                              uint32_t subleaf) {
  llvm::Type *i32 = b.getInt32Ty();
  auto *type = llvm::FunctionType::get(
      llvm::StructType::get(b.getContext(), {i32, i32, i32, i32}), {i32, i32},
      false);
  // rbx may be the frame's base.
  auto *code = llvm::InlineAsm::get(
      type, "xchgq %rbx, ${1:q}\n\tcpuid\n\txchgq %rbx, ${1:q}",
      "={ax},=r,={cx},={dx},0,2,~{dirflag},~{fpsr},~{flags}",
      /*hasSideEffects=*/true);
  return b.CreateCall(type, code, {b.getInt32(leaf), b.getInt32(subleaf)});
}

/// Builds a constructor that stores the number of the last level whose
/// instructions this processor has, or -1.
static void buildChoice(Library &library, ArrayRef<CpuidMask> masks) {
  llvm::LLVMContext &context = library.module.getContext();
  llvm::IRBuilder<> b(context);
  library.level = new llvm::GlobalVariable(
      library.module, b.getInt32Ty(), /*isConstant=*/false,
      llvm::GlobalValue::InternalLinkage, b.getInt32(-1), "quant_ste.level");
  auto *function =
      llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), false),
                             llvm::GlobalValue::InternalLinkage,
                             "quant_ste.choose_level", library.module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  auto newBlock = [&] {
    return llvm::BasicBlock::Create(context, "", function);
  };
  b.SetInsertPoint(newBlock());
  llvm::Value *none = b.getInt32(0);
  /// Values computed if the condition holds, else zeros.
  auto guarded = [&](llvm::Value *condition,
                     function_ref<SmallVector<llvm::Value *>()> compute) {
    llvm::BasicBlock *from = b.GetInsertBlock();
    llvm::BasicBlock *then = newBlock(), *next = newBlock();
    b.CreateCondBr(condition, then, next);
    b.SetInsertPoint(then);
    SmallVector<llvm::Value *> values = compute();
    llvm::BasicBlock *end = b.GetInsertBlock();
    b.CreateBr(next);
    b.SetInsertPoint(next);
    for (llvm::Value *&v : values) {
      llvm::PHINode *phi = b.CreatePHI(b.getInt32Ty(), 2);
      phi->addIncoming(v, end);
      phi->addIncoming(none, from);
      v = phi;
    }
    return values;
  };
  enum { EAX, EBX, ECX, EDX };
  std::array<llvm::Value *, CpuidMask::kNumWords> words;
  llvm::Value *maxLeaf = b.CreateExtractValue(callCpuid(b, 0, 0), EAX);
  words[CpuidMask::Leaf1ECX] = b.CreateExtractValue(callCpuid(b, 1, 0), ECX);
  auto leaf7 = guarded(
      b.CreateICmpUGE(maxLeaf, b.getInt32(7)),
      [&]() -> SmallVector<llvm::Value *> {
        llvm::Value *r = callCpuid(b, 7, 0);
        llvm::Value *r1 = callCpuid(b, 7, 1);
        return {b.CreateExtractValue(r, EBX), b.CreateExtractValue(r, ECX),
                b.CreateExtractValue(r, EDX), b.CreateExtractValue(r1, EAX)};
      });
  words[CpuidMask::Leaf7EBX] = leaf7[0];
  words[CpuidMask::Leaf7ECX] = leaf7[1];
  words[CpuidMask::Leaf7EDX] = leaf7[2];
  words[CpuidMask::Leaf7_1EAX] = leaf7[3];
  llvm::Value *maxExtended =
      b.CreateExtractValue(callCpuid(b, 0x80000000, 0), EAX);
  words[CpuidMask::ExtendedECX] =
      guarded(b.CreateICmpUGE(maxExtended, b.getInt32(0x80000001)),
              [&]() -> SmallVector<llvm::Value *> {
                return {b.CreateExtractValue(callCpuid(b, 0x80000001, 0), ECX)};
              })[0];
  llvm::Value *osxsave =
      b.CreateAnd(words[CpuidMask::Leaf1ECX], b.getInt32(uint32_t(1) << 27));
  llvm::Value *xcr0 = guarded(
      b.CreateICmpNE(osxsave, none), [&]() -> SmallVector<llvm::Value *> {
        llvm::Type *i32 = b.getInt32Ty();
        auto *type = llvm::FunctionType::get(
            llvm::StructType::get(context, {i32, i32}), {i32}, false);
        auto *code = llvm::InlineAsm::get(
            type, "xgetbv", "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}",
            /*hasSideEffects=*/true);
        return {b.CreateExtractValue(b.CreateCall(type, code, {none}), 0)};
      })[0];

  auto hasAll = [&](llvm::Value *word, uint32_t mask) {
    return b.CreateICmpEQ(b.CreateAnd(word, b.getInt32(mask)),
                          b.getInt32(mask));
  };
  llvm::Value *chosen = b.getInt32(-1);
  for (auto [i, mask] : llvm::enumerate(masks)) {
    llvm::Value *runs = hasAll(xcr0, mask.xcr0);
    for (auto [word, bits] : llvm::zip_equal(words, mask.words))
      runs = b.CreateAnd(runs, hasAll(word, bits));
    chosen = b.CreateSelect(runs, b.getInt32(i), chosen);
  }
  b.CreateStore(chosen, library.level);
  b.CreateRetVoid();
  llvm::appendToGlobalCtors(library.module, function, /*Priority=*/101);
}

//===----------------------------------------------------------------------===//
// Libraries
//===----------------------------------------------------------------------===//

/// const char *<library>_error(int code)
static void buildErrorFunction(Library &library, bool isForGpu) {
  llvm::LLVMContext &context = library.module.getContext();
  llvm::IRBuilder<> b(context);
  auto *function = llvm::Function::Create(
      llvm::FunctionType::get(b.getPtrTy(), {b.getInt32Ty()}, false),
      llvm::GlobalValue::ExternalLinkage, getErrorFunctionName(library.name),
      library.module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "", function));
  SmallVector<llvm::Constant *> texts = {
      b.CreateGlobalString("no error", "quant_ste.message")};
  for (const std::string &message : library.messages)
    texts.push_back(b.CreateGlobalString(message, "quant_ste.message"));
  llvm::Constant *unknown =
      b.CreateGlobalString("unknown error code", "quant_ste.message");
  auto *type = llvm::ArrayType::get(b.getPtrTy(), texts.size());
  auto *table = new llvm::GlobalVariable(
      library.module, type, /*isConstant=*/true,
      llvm::GlobalValue::InternalLinkage, llvm::ConstantArray::get(type, texts),
      "quant_ste.messages");
  llvm::Value *number = b.CreateLShr(function->getArg(0), b.getInt32(4));
  llvm::Value *isKnown = b.CreateICmpULT(number, b.getInt32(texts.size()));
  llvm::Value *index = b.CreateSelect(isKnown, number, b.getInt32(0));
  llvm::Value *text = b.CreateLoad(
      b.getPtrTy(), b.CreateInBoundsGEP(b.getPtrTy(), table,
                                        b.CreateZExt(index, b.getInt64Ty())));
  text = b.CreateSelect(isKnown, text, unknown);
  if (isForGpu) {
    llvm::Value *kind = b.CreateAnd(function->getArg(0), b.getInt32(15));
    llvm::Value *isOfDevice =
        b.CreateICmpEQ(kind, b.getInt32(static_cast<int>(CError::Device)));
    llvm::Value *last = b.CreateCall(library.module.getOrInsertFunction(
        "quant_ste_cuda_last_error", b.getPtrTy()));
    text = b.CreateSelect(isOfDevice, last, text);
  }
  b.CreateRet(text);
}

LogicalResult quant_ste::buildCInterface(
    llvm::Module &module, StringRef libraryName, ArrayRef<CFunction> functions,
    ArrayRef<std::string> suffixes, ArrayRef<CpuidMask> masks,
    ArrayRef<int32_t> chips, llvm::StringSet<> &visible) {
  Library library{module, libraryName, {}, nullptr, nullptr};
  if (chips.size() > 1) {
    SmallVector<uint32_t> numbers(chips);
    auto *codes = llvm::ConstantDataArray::get(module.getContext(), numbers);
    library.chips = new llvm::GlobalVariable(
        module, codes->getType(), /*isConstant=*/true,
        llvm::GlobalValue::InternalLinkage, codes, "chips");
  }
  if (!masks.empty())
    buildChoice(library, masks);
  for (const CFunction &f : functions) {
    SmallVector<llvm::Function *> levels;
    for (const std::string &suffix : suffixes) {
      llvm::Function *level = module.getFunction(f.signature.function + suffix);
      if (!level || level->isDeclaration())
        return failure();
      levels.push_back(level);
    }
    if (failed(EntryWriter(library, f).write(levels)))
      return failure();
    visible.insert(f.name);
    if (!f.hasWorkspace())
      continue;
    if (failed(EntryWriter(library, f).writeQuery(levels)))
      return failure();
    visible.insert(f.getQueryName());
  }
  buildErrorFunction(library, llvm::any_of(functions, [](const CFunction &f) {
                       return f.isForGpu();
                     }));
  visible.insert(getErrorFunctionName(libraryName));
  return success();
}
