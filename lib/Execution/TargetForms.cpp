//===- TargetForms.cpp - what a processor has its own code for -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TargetForms.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Analysis/VectorUtils.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;
namespace match = llvm::PatternMatch;

//===----------------------------------------------------------------------===//
// Rounding to bf16
//===----------------------------------------------------------------------===//

/// Lanes of one instruction.
static constexpr unsigned kRounded = 32, kRegister = 16;

/// The f32 vector that `root` rounds to bf16, as quant-ste-expand-bfloat
/// spells it: on integers, NaN apart.
static llvm::Value *matchRounding(llvm::SelectInst &root) {
  auto *type = dyn_cast<llvm::FixedVectorType>(root.getType());
  if (!type || !type->getElementType()->isIntegerTy(16) ||
      (type->getNumElements() != kRegister &&
       type->getNumElements() % kRounded != 0))
    return nullptr;
  llvm::Value *x = nullptr, *bits = nullptr;
  llvm::Value *sum = nullptr;
  if (!match::match(root.getCondition(),
                    match::m_SpecificFCmp(llvm::FCmpInst::FCMP_UNO,
                                          match::m_Value(x),
                                          match::m_Deferred(x))) ||
      !match::match(root.getTrueValue(), match::m_SpecificInt(0x7fc0)) ||
      !match::match(root.getFalseValue(),
                    match::m_Trunc(match::m_LShr(match::m_Value(sum),
                                                 match::m_SpecificInt(16)))))
    return nullptr;
  if (!x->getType()->getScalarType()->isFloatTy() ||
      !match::match(
          sum, match::m_c_Add(
                   match::m_CombineAnd(match::m_BitCast(match::m_Specific(x)),
                                       match::m_Value(bits)),
                   match::m_Value())))
    return nullptr;
  auto odd = match::m_c_And(
      match::m_LShr(match::m_Specific(bits), match::m_SpecificInt(16)),
      match::m_One());
  auto half = match::m_c_Add(odd, match::m_SpecificInt(0x7fff));
  return match::match(sum, match::m_c_Add(match::m_Specific(bits), half))
             ? x
             : nullptr;
}

static llvm::Value *takeLanes(llvm::IRBuilder<> &b, llvm::Value *v,
                              unsigned first, unsigned count) {
  return b.CreateShuffleVector(
      v, llvm::to_vector(llvm::seq<int>(first, first + count)));
}

/// By the instruction for two registers at a time, or for one.
static llvm::Value *roundByInstruction(llvm::IRBuilder<> &b, llvm::Value *x,
                                       unsigned lanes) {
  SmallVector<llvm::Value *> parts;
  if (lanes == kRegister)
    parts.push_back(b.CreateIntrinsic(
        llvm::Intrinsic::x86_avx512bf16_cvtneps2bf16_512, {}, {x}));
  for (unsigned i = 0; i + kRounded <= lanes; i += kRounded) {
    llvm::Value *low = takeLanes(b, x, i, kRegister);
    llvm::Value *high = takeLanes(b, x, i + kRegister, kRegister);
    parts.push_back(b.CreateIntrinsic(
        llvm::Intrinsic::x86_avx512bf16_cvtne2ps2bf16_512, {}, {high, low}));
  }
  llvm::Value *whole = llvm::concatenateVectors(b, parts);
  return b.CreateBitCast(whole,
                         llvm::FixedVectorType::get(b.getInt16Ty(), lanes));
}

/// Is some lane a denormal or NaN? LLVM takes its own test apart.
static llvm::Value *testRare(llvm::IRBuilder<> &b, llvm::Value *x,
                             unsigned lanes) {
  constexpr uint32_t kQuietNaN = 0x01, kDenormal = 0x20, kSignalingNaN = 0x80;
  llvm::Value *any = nullptr;
  for (unsigned i = 0; i < lanes; i += kRegister) {
    llvm::Value *part =
        b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_fpclass_ps_512, {},
                          {takeLanes(b, x, i, kRegister),
                           b.getInt32(kQuietNaN | kDenormal | kSignalingNaN)});
    any = any ? b.CreateOr(any, part) : part;
  }
  return b.CreateIsNotNull(b.CreateBitCast(any, b.getIntNTy(kRegister)));
}

/// vcvtne2ps2bf16 rounds to nearest, ties to even, whatever the caller has set.
/// But it takes denormals for zeros, and keeps the payload of a NaN: where some
/// lane is one of these, which is rare, all are rounded on integers.
static void useRounding(llvm::SelectInst &root, llvm::Value *x) {
  unsigned lanes =
      cast<llvm::FixedVectorType>(root.getType())->getNumElements();
  llvm::IRBuilder<> b(&root);
  llvm::Value *isRare = testRare(b, x, lanes);
  llvm::Instruction *rare = nullptr, *usual = nullptr;
  llvm::MDNode *weights =
      llvm::MDBuilder(b.getContext()).createUnlikelyBranchWeights();
  llvm::SplitBlockAndInsertIfThenElse(isRare, root.getIterator(), &rare, &usual,
                                      weights);
  b.SetInsertPoint(usual);
  llvm::Value *rounded = roundByInstruction(b, x, lanes);
  b.SetInsertPoint(&root);
  llvm::PHINode *phi = b.CreatePHI(root.getType(), 2);
  phi->addIncoming(rounded, usual->getParent());
  phi->addIncoming(&root, rare->getParent());
  root.replaceUsesWithIf(phi,
                         [&](llvm::Use &use) { return use.getUser() != phi; });
  // LLVM's passes move after it what it is made of.
  root.moveBefore(rare->getIterator());
}

//===----------------------------------------------------------------------===//
// Rounding to f16
//===----------------------------------------------------------------------===//

/// By the instruction that LLVM takes as well. But LLVM's own form gives
/// vectors of f16, which it cannot store past the caches; this gives integers.
static void useRounding(llvm::FPTruncInst &root, unsigned width) {
  llvm::IRBuilder<> b(&root);
  auto *type = cast<llvm::FixedVectorType>(root.getType());
  llvm::Value *nearest = b.getInt32(0);
  SmallVector<llvm::Value *> parts;
  for (unsigned i = 0; i < type->getNumElements(); i += width) {
    llvm::Value *lanes = takeLanes(b, root.getOperand(0), i, width);
    auto *bits = llvm::FixedVectorType::get(b.getInt16Ty(), width);
    parts.push_back(
        width == kRegister
            ? b.CreateIntrinsic(
                  llvm::Intrinsic::x86_avx512_mask_vcvtps2ph_512, {},
                  {lanes, nearest, llvm::Constant::getNullValue(bits),
                   b.getInt16(-1)})
            : b.CreateIntrinsic(llvm::Intrinsic::x86_vcvtps2ph_256, {},
                                {lanes, nearest}));
  }
  llvm::Value *whole =
      b.CreateBitCast(llvm::concatenateVectors(b, parts), type);
  root.replaceAllUsesWith(whole);
  root.eraseFromParent();
}

static bool isRoundingToHalf(llvm::Instruction &i, unsigned width) {
  auto *type = dyn_cast<llvm::FixedVectorType>(i.getType());
  return isa<llvm::FPTruncInst>(i) && type &&
         type->getElementType()->isHalfTy() &&
         i.getOperand(0)->getType()->getScalarType()->isFloatTy() &&
         type->getNumElements() % width == 0;
}

void quant_ste::useTargetForms(llvm::Module &module,
                               const llvm::TargetMachine &machine) {
  if (!machine.getTargetTriple().isX86_64())
    return;
  for (llvm::Function &f : module) {
    if (f.isDeclaration())
      continue;
    const llvm::MCSubtargetInfo &code = *machine.getSubtargetImpl(f);
    auto has = [&](StringRef features) { return code.checkFeatures(features); };
    if (unsigned width = has("+avx512f") ? kRegister : has("+f16c") ? 8 : 0)
      for (llvm::Instruction &i :
           llvm::make_early_inc_range(llvm::instructions(f)))
        if (isRoundingToHalf(i, width))
          useRounding(cast<llvm::FPTruncInst>(i), width);
    if (!has("+avx512bf16,+avx512dq"))
      continue;
    SmallVector<std::pair<llvm::SelectInst *, llvm::Value *>> roundings;
    for (llvm::Instruction &i : llvm::instructions(f))
      if (auto *select = dyn_cast<llvm::SelectInst>(&i))
        if (llvm::Value *x = matchRounding(*select))
          roundings.emplace_back(select, x);
    for (auto [root, x] : roundings)
      useRounding(*root, x);
  }
}
