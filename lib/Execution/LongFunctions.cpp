//===- LongFunctions.cpp - sequences of thousands of calls ------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LongFunctions.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/Local.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// From here on LLVM's time for a block, or for the arguments of a call, is no
/// longer small beside that for the kernels.
static constexpr unsigned kManyInstructions = 1000, kManyArguments = 128,
                          kManyCalls = 16;

static bool isLong(const llvm::Function &f) {
  return f.arg_size() > kManyArguments ||
         llvm::any_of(f, [](const llvm::BasicBlock &block) {
           return block.size() > kManyInstructions;
         });
}

static bool isCall(const llvm::Instruction &op) {
  return isa<llvm::CallBase>(op) && !isa<llvm::IntrinsicInst>(op);
}

static bool computes(const llvm::Instruction &op) {
  llvm::Type *type = op.getType();
  return type->isVectorTy() ||
         (type->isFloatingPointTy() && !isa<llvm::LoadInst>(op));
}

/// Does each loop just call something?
static bool onlyCalls(llvm::Function &f) {
  llvm::DominatorTree dominators(f);
  llvm::LoopInfo loops(dominators);
  return llvm::all_of(loops.getLoopsInPreorder(), [](const llvm::Loop *loop) {
    bool calls = false;
    for (const llvm::BasicBlock *block : loop->blocks())
      for (const llvm::Instruction &op : *block) {
        if (computes(op))
          return false;
        calls |= isCall(op);
      }
    return calls;
  });
}

/// The calls of a function that nothing else refers to.
static FailureOr<SmallVector<llvm::CallInst *>> getCalls(llvm::Function &f) {
  SmallVector<llvm::CallInst *> calls;
  for (const llvm::Use &use : f.uses()) {
    auto *call = dyn_cast<llvm::CallInst>(use.getUser());
    if (!call || !call->isCallee(&use) || call->isMustTailCall() ||
        call->getFunctionType() != f.getFunctionType())
      return failure();
    calls.push_back(call);
  }
  return calls;
}

/// Arguments that are plain values: no attribute says how they are passed.
static bool canPack(const llvm::Function &f) {
  return f.hasLocalLinkage() && !f.isVarArg() &&
         f.arg_size() > kManyArguments &&
         llvm::none_of(f.args(), [](const llvm::Argument &arg) {
           return arg.hasPassPointeeByValueCopyAttr() ||
                  arg.hasStructRetAttr() || arg.hasNestAttr() ||
                  arg.hasSwiftErrorAttr();
         });
}

/// Gives the function one pointer to all of its arguments. It reads each where
/// it is used, so that none is in a register, or spilled, for long.
static llvm::Function *pack(llvm::Function &f,
                            ArrayRef<llvm::CallInst *> calls) {
  llvm::LLVMContext &context = f.getContext();
  auto *fields = llvm::StructType::get(
      context, llvm::map_to_vector(f.args(), [](llvm::Argument &arg) {
        return arg.getType();
      }));
  auto *type = llvm::FunctionType::get(
      f.getReturnType(), {llvm::PointerType::getUnqual(context)}, false);
  auto *packed = llvm::Function::Create(type, f.getLinkage(),
                                        f.getAddressSpace(), "", f.getParent());
  packed->takeName(&f);
  packed->setCallingConv(f.getCallingConv());
  packed->setDSOLocal(f.isDSOLocal());
  packed->setSubprogram(f.getSubprogram());
  packed->addFnAttrs(
      llvm::AttrBuilder(context, f.getAttributes().getFnAttrs()));
  // It reads what its caller has put into memory.
  packed->removeFnAttr(llvm::Attribute::Memory);
  packed->splice(packed->end(), &f);

  llvm::IRBuilder<> b(context);
  for (llvm::Argument &arg : f.args())
    for (llvm::Use &use : llvm::make_early_inc_range(arg.uses())) {
      auto *user = cast<llvm::Instruction>(use.getUser());
      if (auto *phi = dyn_cast<llvm::PHINode>(user))
        b.SetInsertPoint(phi->getIncomingBlock(use)->getTerminator());
      else
        b.SetInsertPoint(user);
      llvm::Value *at =
          b.CreateStructGEP(fields, packed->getArg(0), arg.getArgNo());
      use.set(b.CreateLoad(arg.getType(), at));
    }

  for (llvm::CallInst *call : calls) {
    llvm::Function *caller = call->getFunction();
    b.SetInsertPoint(&caller->getEntryBlock(),
                     caller->getEntryBlock().getFirstInsertionPt());
    llvm::Value *memory = b.CreateAlloca(fields);
    b.SetInsertPoint(call);
    for (auto [i, value] : llvm::enumerate(call->args()))
      b.CreateStore(value, b.CreateStructGEP(fields, memory, i));
    llvm::CallInst *other = b.CreateCall(packed, {memory});
    other->setCallingConv(call->getCallingConv());
    call->replaceAllUsesWith(other);
    call->eraseFromParent();
  }
  f.eraseFromParent();
  return packed;
}

/// Keeps in memory what lives across many calls: the register allocator looks
/// at each of these calls for each such value.
static void demoteFarUsed(llvm::Function &f) {
  llvm::DenseMap<const llvm::Instruction *, unsigned> callsBefore;
  unsigned calls = 0;
  for (const llvm::Instruction &op : llvm::instructions(f)) {
    callsBefore[&op] = calls;
    calls += isCall(op);
  }
  SmallVector<llvm::Instruction *> found;
  for (llvm::Instruction &op : llvm::instructions(f)) {
    if (isa<llvm::AllocaInst>(op) || op.isTerminator())
      continue;
    unsigned at = callsBefore.lookup(&op);
    if (llvm::any_of(op.users(), [&](const llvm::User *user) {
          unsigned there = callsBefore.lookup(cast<llvm::Instruction>(user));
          return there < at || there - at > kManyCalls;
        }))
      found.push_back(&op);
  }
  for (llvm::Instruction *op : found)
    llvm::DemoteRegToStack(*op);
}

void quant_ste::simplifyLongFunctions(llvm::Module &module) {
  SmallVector<llvm::Function *> found;
  for (llvm::Function &f : module)
    if (!f.isDeclaration() && isLong(f) && onlyCalls(f))
      found.push_back(&f);
  for (llvm::Function *f : found) {
    if (canPack(*f))
      if (auto calls = getCalls(*f); succeeded(calls))
        f = pack(*f, *calls);
    // Backwards, an instruction comes after all that use it.
    for (llvm::BasicBlock &block : *f)
      for (llvm::Instruction &op :
           llvm::make_early_inc_range(llvm::reverse(block)))
        if (llvm::isInstructionTriviallyDead(&op))
          op.eraseFromParent();
    demoteFarUsed(*f);
    f->removeFnAttr(llvm::Attribute::AlwaysInline);
    f->addFnAttr(llvm::Attribute::NoInline);
    f->addFnAttr(llvm::Attribute::OptimizeNone);
  }
}
