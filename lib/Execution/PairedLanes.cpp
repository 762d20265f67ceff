//===- PairedLanes.cpp - bf16 by pairs that share 32 bits -*- C++ -*-------===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PairedLanes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/VectorUtils.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::quant_ste;
namespace match = llvm::PatternMatch;

/// Elements whose order changes together: what two registers of AVX-512 hold.
static constexpr unsigned kBlock = 32;

static llvm::FixedVectorType *getVectorType(llvm::Value *v) {
  return dyn_cast<llvm::FixedVectorType>(v->getType());
}

/// The lane of element i.
static int getLane(int i) {
  int place = i % kBlock;
  return i - place + place % 2 * (kBlock / 2) + place / 2;
}

/// Takes lanes to the places of their elements.
static SmallVector<int> getInOrder(unsigned lanes) {
  return llvm::to_vector(
      llvm::map_range(llvm::seq<int>(0, lanes), [](int i) { return getLane(i); }));
}

/// Of even elements alone, or of odd ones.
static llvm::Value *takeHalf(llvm::IRBuilder<> &b, llvm::Value *v, bool isOdd) {
  unsigned lanes = getVectorType(v)->getNumElements();
  SmallVector<int> half;
  for (unsigned i = isOdd; i < lanes; i += 2)
    half.push_back(getLane(i));
  return b.CreateShuffleVector(v, half);
}

/// bf16, as 16 bits, that becomes the upper half of an i32.
static llvm::Value *matchWidened(llvm::Instruction &i) {
  llvm::Value *narrow = nullptr;
  auto *type = getVectorType(&i);
  if (!type || type->getNumElements() % kBlock != 0 ||
      !type->getElementType()->isIntegerTy(32) ||
      !match::match(&i, match::m_Shl(match::m_ZExt(match::m_Value(narrow)),
                                     match::m_SpecificInt(16))) ||
      !narrow->getType()->getScalarType()->isIntegerTy(16))
    return nullptr;
  return narrow;
}

/// Does lane i of the result depend on lane i of each vector alone?
static bool isLanewise(llvm::Instruction &i, unsigned lanes) {
  auto *type = getVectorType(&i);
  if (!type || type->getNumElements() != lanes ||
      type->getElementType()->isIntegerTy(16) ||
      type->getElementType()->isIntegerTy(8))
    return false;
  for (llvm::Value *v : i.operand_values())
    if (auto *vector = getVectorType(v);
        vector && vector->getNumElements() != lanes)
      return false;
  if (auto *call = dyn_cast<llvm::IntrinsicInst>(&i))
    return llvm::isTriviallyVectorizable(call->getIntrinsicID()) ||
           call->getIntrinsicID() == llvm::Intrinsic::arithmetic_fence;
  return isa<llvm::UnaryOperator, llvm::BinaryOperator, llvm::CmpInst,
             llvm::SelectInst, llvm::PHINode, llvm::CastInst,
             llvm::FreezeInst>(i);
}

/// Takes what has the old order and will be asked for the new one.
bool PairedLanes::takeOperand(llvm::Value *v) {
  auto *type = getVectorType(v);
  if (!type || isa<llvm::Constant>(v) || llvm::getSplatValue(v))
    return true; // the same in any order, or put in it
  auto *i = dyn_cast<llvm::Instruction>(v);
  if (!i || (!isLanewise(*i, lanes) && !llvm::is_contained(roots, i)))
    return false;
  body.insert(i);
  return true;
}

bool PairedLanes::collect(llvm::Function &f) {
  for (llvm::Instruction &i : llvm::instructions(f))
    if (matchWidened(i)) {
      unsigned count = getVectorType(&i)->getNumElements();
      if (lanes != 0 && lanes != count)
        return false;
      lanes = count;
      roots.push_back(&i);
    }
  if (roots.empty())
    return false;
  llvm::DominatorTree dominators(f);
  llvm::LoopInfo loops(dominators);
  unsigned depth = 0;
  for (llvm::Instruction *root : roots)
    depth = std::max(depth, loops.getLoopDepth(root->getParent()));
  if (depth == 0)
    return false; // a tail alone

  body.insert(roots.begin(), roots.end());
  for (unsigned next = 0; next < body.size(); ++next) {
    llvm::Instruction *i = body[next];
    if (!llvm::is_contained(roots, i) &&
        !llvm::all_of(i->operand_values(),
                      [&](llvm::Value *v) { return takeOperand(v); }))
      return false;
    for (llvm::Use &use : i->uses()) {
      auto *user = cast<llvm::Instruction>(use.getUser());
      auto *type = getVectorType(user);
      if (isLanewise(*user, lanes))
        body.insert(user);
      else if (isa<llvm::TruncInst>(user) &&
               type->getElementType()->isIntegerTy(16))
        tops.insert(user);
      else if (loops.getLoopDepth(user->getParent()) < depth)
        uses.push_back(&use);
      else
        return false;
    }
  }
  return !tops.empty();
}

static llvm::Constant *reorderConstant(llvm::Constant *constant,
                                       unsigned lanes) {
  SmallVector<llvm::Constant *> elements(lanes);
  for (unsigned i = 0; i < lanes; ++i) {
    elements[getLane(i)] = constant->getAggregateElement(i);
    if (!elements[getLane(i)])
      return nullptr;
  }
  return llvm::ConstantVector::get(elements);
}

void PairedLanes::reorder() {
  // In front of all changes, to say what is to change.
  SmallVector<std::pair<llvm::Use *, llvm::Constant *>> constants;
  for (llvm::Instruction *i : body)
    if (!llvm::is_contained(roots, i))
      for (llvm::Use &use : i->operands())
        if (auto *constant = dyn_cast<llvm::Constant>(use.get()))
          if (getVectorType(constant) && !constant->getSplatValue() &&
              !isa<llvm::UndefValue>(constant)) {
            llvm::Constant *reordered = reorderConstant(constant, lanes);
            if (!reordered)
              return;
            constants.emplace_back(&use, reordered);
          }
  for (auto [use, constant] : constants)
    use->set(constant);

  SmallVector<int> inOrder = getInOrder(lanes);
  for (llvm::Use *use : uses) {
    auto *user = cast<llvm::Instruction>(use->getUser());
    llvm::IRBuilder<> b(user);
    use->set(b.CreateShuffleVector(use->get(), inOrder));
  }
  for (llvm::Instruction *top : tops) {
    llvm::IRBuilder<> b(top->getNextNode());
    auto *shuffle =
        cast<llvm::ShuffleVectorInst>(b.CreateShuffleVector(top, inOrder));
    top->replaceUsesWithIf(
        shuffle, [&](llvm::Use &use) { return use.getUser() != shuffle; });
    joined.push_back(shuffle);
  }
  SmallVector<int> apart(lanes);
  for (unsigned i = 0; i < lanes; ++i)
    apart[getLane(i)] = i / 2 + i % 2 * (lanes / 2);
  for (llvm::Instruction *root : roots) {
    llvm::IRBuilder<> b(root);
    auto *pairs = llvm::FixedVectorType::get(b.getInt32Ty(), lanes / 2);
    llvm::Value *both = b.CreateBitCast(matchWidened(*root), pairs);
    llvm::Value *even = b.CreateShl(both, 16);
    llvm::Value *odd = b.CreateAnd(both, 0xffff0000);
    root->replaceAllUsesWith(b.CreateShuffleVector(even, odd, apart));
  }
}

PairedLanes::PairedLanes(llvm::Function &f) {
  if (collect(f))
    reorder();
}

void PairedLanes::joinTops() {
  for (llvm::ShuffleVectorInst *shuffle : joined) {
    llvm::Value *whole = nullptr;
    if (!match::match(shuffle->getOperand(0),
                      match::m_Trunc(match::m_LShr(match::m_Value(whole),
                                                   match::m_SpecificInt(16)))))
      continue;
    llvm::IRBuilder<> b(shuffle);
    llvm::Value *even = b.CreateLShr(takeHalf(b, whole, false), 16);
    llvm::Value *odd = b.CreateAnd(takeHalf(b, whole, true), 0xffff0000);
    shuffle->replaceAllUsesWith(
        b.CreateBitCast(b.CreateOr(even, odd), shuffle->getType()));
    shuffle->eraseFromParent();
  }
}
