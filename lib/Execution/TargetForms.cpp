//===- TargetForms.cpp - what a processor has its own code for -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TargetForms.h"

#include "PairedLanes.h"

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
static llvm::Value *matchRounding(llvm::TruncInst &root) {
  auto *type = dyn_cast<llvm::FixedVectorType>(root.getType());
  if (!type || !type->getElementType()->isIntegerTy(16) ||
      (type->getNumElements() != kRegister &&
       type->getNumElements() % kRounded != 0))
    return nullptr;
  llvm::Value *x = nullptr, *bits = nullptr;
  llvm::Value *sum = nullptr;
  if (!match::match(
          root.getOperand(0),
          match::m_LShr(
              match::m_Select(match::m_SpecificFCmp(llvm::FCmpInst::FCMP_UNO,
                                                    match::m_Value(x),
                                                    match::m_Deferred(x)),
                              match::m_SpecificInt(0x7fc00000),
                              match::m_Value(sum)),
              match::m_SpecificInt(16))))
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
static void useRounding(llvm::TruncInst &root, llvm::Value *x) {
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

//===----------------------------------------------------------------------===//
// f16 without instructions
//===----------------------------------------------------------------------===//

/// An integer as large as `type`'s elements, for as many.
static llvm::Type *getBitsType(llvm::Type *type) {
  auto *element =
      llvm::IntegerType::get(type->getContext(), type->getScalarSizeInBits());
  return type->getWithNewType(element);
}

static bool isHalf(llvm::Type *type) {
  return type->getScalarType()->isHalfTy();
}

/// f16 to f32 on integers: exponents move to their new bias, infinity and NaN
/// (quiet from here on) to the top. Denormals are integers times 2^-24.
static llvm::Value *expandExtension(llvm::FPExtInst &root) {
  llvm::IRBuilder<> b(&root);
  llvm::Type *type = root.getType(), *bits = getBitsType(type);
  auto constant = [&](uint32_t v) { return llvm::ConstantInt::get(bits, v); };
  llvm::Value *x = root.getOperand(0);
  x = b.CreateZExt(b.CreateBitCast(x, getBitsType(x->getType())), bits);
  llvm::Value *size = b.CreateAnd(x, constant(0x7fff));
  llvm::Value *sign = b.CreateShl(b.CreateXor(x, size), constant(16));
  llvm::Value *shifted = b.CreateShl(size, constant(13));
  llvm::Value *normal = b.CreateAdd(shifted, constant(112u << 23));
  llvm::Value *top = b.CreateAdd(normal, constant(112u << 23));
  llvm::Value *isNaN = b.CreateICmpSGT(size, constant(0x7c00));
  top = b.CreateSelect(isNaN, b.CreateOr(top, constant(0x400000)), top);
  llvm::Value *scaled = b.CreateFMul(b.CreateSIToFP(size, type),
                                     llvm::ConstantFP::get(type, 0x1p-24));
  scaled = b.CreateBitCast(scaled, bits);
  llvm::Value *isTop = b.CreateICmpSGT(size, constant(0x7bff));
  llvm::Value *isDenormal = b.CreateICmpSLT(size, constant(0x400));
  llvm::Value *result = b.CreateSelect(isTop, top, normal);
  result = b.CreateSelect(isDenormal, scaled, result);
  return b.CreateBitCast(b.CreateOr(result, sign), type);
}

/// f32 to f16, to nearest and ties to even: of normal numbers on integers, as
/// to bf16. The sum with 1/2 rounds what becomes denormal.
static llvm::Value *expandRounding(llvm::FPTruncInst &root) {
  llvm::IRBuilder<> b(&root);
  llvm::Value *x = root.getOperand(0);
  llvm::Type *type = x->getType(), *bits = getBitsType(type);
  auto constant = [&](uint32_t v) { return llvm::ConstantInt::get(bits, v); };
  x = b.CreateBitCast(x, bits);
  llvm::Value *size = b.CreateAnd(x, constant(0x7fffffff));
  llvm::Value *sign = b.CreateLShr(b.CreateXor(x, size), constant(16));
  llvm::Value *odd = b.CreateAnd(b.CreateLShr(size, constant(13)), constant(1));
  llvm::Value *normal =
      b.CreateAdd(size, constant(0xfff - (uint32_t(112) << 23)));
  normal = b.CreateLShr(b.CreateAdd(normal, odd), constant(13));
  llvm::Constant *half = llvm::ConstantFP::get(type, 0.5);
  llvm::Value *denormal = b.CreateFAdd(b.CreateBitCast(size, type), half);
  denormal =
      b.CreateSub(b.CreateBitCast(denormal, bits), b.CreateBitCast(half, bits));
  llvm::Value *payload =
      b.CreateAnd(b.CreateLShr(size, constant(13)), constant(0x3ff));
  llvm::Value *isNaN = b.CreateICmpSGT(size, constant(0x7f800000));
  llvm::Value *top = b.CreateSelect(
      isNaN, b.CreateOr(payload, constant(0x7e00)), constant(0x7c00));
  llvm::Value *isTop = b.CreateICmpSGT(size, constant((143u << 23) - 1));
  llvm::Value *isDenormal = b.CreateICmpSLT(size, constant(113u << 23));
  llvm::Value *result = b.CreateSelect(isTop, top, normal);
  result = b.CreateSelect(isDenormal, denormal, result);
  result = b.CreateTrunc(b.CreateOr(result, sign), getBitsType(root.getType()));
  return b.CreateBitCast(result, root.getType());
}

static llvm::Value *expandHalf(llvm::Instruction &i) {
  if (auto *extend = dyn_cast<llvm::FPExtInst>(&i))
    if (isHalf(i.getOperand(0)->getType()) &&
        i.getType()->getScalarType()->isFloatTy())
      return expandExtension(*extend);
  if (auto *truncate = dyn_cast<llvm::FPTruncInst>(&i))
    if (isHalf(i.getType()) &&
        i.getOperand(0)->getType()->getScalarType()->isFloatTy())
      return expandRounding(*truncate);
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Rounding to whole numbers without instructions
//===----------------------------------------------------------------------===//

/// Magnitudes below 2^23 (2^52 in f64) lose their fraction in a sum with that,
/// to nearest and ties to even. Larger ones are whole; NaNs become quiet.
static llvm::Value *expandWhole(llvm::Instruction &i) {
  auto *call = dyn_cast<llvm::IntrinsicInst>(&i);
  if (!call)
    return nullptr;
  llvm::Type *type = i.getType();
  bool isDouble = type->getScalarType()->isDoubleTy();
  if (!isDouble && !type->getScalarType()->isFloatTy())
    return nullptr;
  llvm::Intrinsic::ID mode = call->getIntrinsicID();
  if (mode != llvm::Intrinsic::roundeven && mode != llvm::Intrinsic::floor &&
      mode != llvm::Intrinsic::ceil && mode != llvm::Intrinsic::trunc)
    return nullptr;

  llvm::IRBuilder<> b(&i);
  llvm::Type *bits = getBitsType(type);
  llvm::Value *x = call->getArgOperand(0);
  llvm::Value *size = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
  llvm::Constant *large =
      llvm::ConstantFP::get(type, isDouble ? 0x1p52 : 0x1p23);
  llvm::Value *whole = b.CreateFSub(b.CreateFAdd(size, large), large);
  if (mode != llvm::Intrinsic::roundeven) {
    llvm::Constant *one = llvm::ConstantFP::get(type, 1.0);
    llvm::Constant *zero = llvm::ConstantFP::get(type, 0.0);
    llvm::Value *isAbove = b.CreateFCmpOGT(whole, size);
    whole = b.CreateFSub(whole, b.CreateSelect(isAbove, one, zero));
    if (mode != llvm::Intrinsic::trunc) {
      llvm::Value *isNegative = b.CreateFCmpOLT(x, zero);
      llvm::Value *isAway =
          mode == llvm::Intrinsic::floor ? isNegative : b.CreateNot(isNegative);
      isAway = b.CreateAnd(isAway, b.CreateFCmpOLT(whole, size));
      whole = b.CreateFAdd(whole, b.CreateSelect(isAway, one, zero));
    }
  }
  whole = b.CreateCopySign(whole, x);
  llvm::Value *same = b.CreateBitCast(x, bits);
  llvm::Constant *quiet =
      llvm::ConstantInt::get(bits, isDouble ? uint64_t(1) << 51 : 1u << 22);
  same = b.CreateSelect(b.CreateFCmpUNO(x, x), b.CreateOr(same, quiet), same);
  return b.CreateSelect(b.CreateFCmpOLT(size, large), whole,
                        b.CreateBitCast(same, type));
}

//===----------------------------------------------------------------------===//
// Division of bounded whole numbers
//===----------------------------------------------------------------------===//

// ExactDivision.cpp proves the product with a reciprocal and its correction for
// some magnitudes. To look at every dividend's costs more than the instruction
// does. But there is nothing to look at where a whole number is divided whose
// position was clamped before, as in a clipped activation: it is zero or not
// small, and how large it can be does not depend on the lane.

/// Lanes from which on it pays to prepare the divisor in front of a loop.
static constexpr unsigned kDivided = 64;
/// Exponents of the magnitudes that the proof is for.
static constexpr int kMaxDivisor = 40, kMaxDividend = 80;

namespace {
/// The f32 quotient of a vector of whole numbers and one number. Unless some
/// bound is a NaN, each whole number is one, or at most as large as rounding
/// makes a bound times the factor.
struct BoundedQuotient {
  llvm::BinaryOperator *root;
  llvm::Value *divisor;
  llvm::Value *factor = nullptr; ///< null for 1
  SmallVector<llvm::Value *, 2> bounds;

  static std::optional<BoundedQuotient> match(llvm::Instruction &i);
  void useReciprocal();

private:
  bool takeBounds(llvm::Value *v);
  llvm::Value *areInProof(llvm::IRBuilder<> &b);
};
} // namespace

/// Those that v is clamped to from above and from below. What is clamped are no
/// 16-bit floats: beside their conversions, the instruction costs nothing.
bool BoundedQuotient::takeBounds(llvm::Value *v) {
  using llvm::FCmpInst;
  bool isBoundedAbove = false, isBoundedBelow = false;
  while (!isBoundedAbove || !isBoundedBelow) {
    llvm::CmpPredicate predicate;
    llvm::Value *x = nullptr, *bound = nullptr;
    if (!match::match(
            v, match::m_Select(match::m_FCmp(predicate, match::m_Value(x),
                                             match::m_Value(bound)),
                               match::m_Deferred(bound), match::m_Deferred(x))))
      return false;
    llvm::Value *scalar = llvm::getSplatValue(bound);
    bool isAbove =
        predicate == FCmpInst::FCMP_OGT || predicate == FCmpInst::FCMP_OGE;
    bool isBelow =
        predicate == FCmpInst::FCMP_OLT || predicate == FCmpInst::FCMP_OLE;
    if (!scalar || (!isAbove && !isBelow))
      return false;
    isBoundedAbove |= isAbove;
    isBoundedBelow |= isBelow;
    bounds.push_back(scalar);
    v = x;
  }
  if (auto *fence = dyn_cast<llvm::IntrinsicInst>(v);
      fence && fence->getIntrinsicID() == llvm::Intrinsic::arithmetic_fence)
    v = fence->getArgOperand(0);
  return !isa<llvm::CastInst>(v);
}

std::optional<BoundedQuotient> BoundedQuotient::match(llvm::Instruction &i) {
  using llvm::Intrinsic::ID;
  auto *type = dyn_cast<llvm::FixedVectorType>(i.getType());
  if (i.getOpcode() != llvm::Instruction::FDiv || !type ||
      !type->getElementType()->isFloatTy() ||
      type->getNumElements() % kDivided != 0)
    return std::nullopt;
  auto *rounding = dyn_cast<llvm::IntrinsicInst>(i.getOperand(0));
  ID mode = rounding ? rounding->getIntrinsicID() : ID(0);
  if (mode != llvm::Intrinsic::roundeven && mode != llvm::Intrinsic::floor &&
      mode != llvm::Intrinsic::ceil && mode != llvm::Intrinsic::trunc)
    return std::nullopt;
  BoundedQuotient quotient;
  quotient.root = cast<llvm::BinaryOperator>(&i);
  quotient.divisor = llvm::getSplatValue(i.getOperand(1));
  if (!quotient.divisor)
    return std::nullopt;
  llvm::Value *position = rounding->getArgOperand(0), *x = nullptr,
              *y = nullptr;
  if (match::match(position,
                   match::m_FMul(match::m_Value(x), match::m_Value(y))))
    if ((quotient.factor = llvm::getSplatValue(y)))
      position = x;
  if (!quotient.takeBounds(position))
    return std::nullopt;
  return quotient;
}

/// Whether the divisor and all dividends but NaNs are of a size for the proof.
llvm::Value *BoundedQuotient::areInProof(llvm::IRBuilder<> &b) {
  auto power = [](llvm::Value *like, int exponent) {
    return llvm::ConstantFP::get(like->getType(), std::ldexp(1.0, exponent));
  };
  auto getSize = [&](llvm::Value *v) {
    return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v);
  };
  llvm::Value *size = getSize(divisor);
  llvm::Value *all =
      b.CreateAnd(b.CreateFCmpOGE(size, power(size, -kMaxDivisor)),
                  b.CreateFCmpOLE(size, power(size, kMaxDivisor)));
  for (llvm::Value *bound : bounds) {
    llvm::Value *largest =
        getSize(factor ? b.CreateFMul(bound, factor) : bound);
    // Rounding to a whole number makes it less than twice as large, or 1.
    all = b.CreateAnd(
        all, b.CreateFCmpOLT(largest, power(largest, kMaxDividend - 1)));
  }
  return all;
}

/// By the product with the reciprocal where magnitudes allow it, else by the
/// instruction. A sum loses the sign of zero.
void BoundedQuotient::useReciprocal() {
  llvm::IRBuilder<> b(root);
  llvm::Instruction *fast = nullptr, *slow = nullptr;
  llvm::MDNode *weights =
      llvm::MDBuilder(b.getContext()).createLikelyBranchWeights();
  llvm::SplitBlockAndInsertIfThenElse(areInProof(b), root->getIterator(), &fast,
                                      &slow, weights);
  b.SetInsertPoint(fast);
  llvm::Type *type = root->getType();
  auto splat = [&](llvm::Value *v) {
    return b.CreateVectorSplat(
        cast<llvm::FixedVectorType>(type)->getElementCount(), v);
  };
  auto fma = [&](llvm::Value *x, llvm::Value *y, llvm::Value *z) {
    return b.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {x, y, z});
  };
  llvm::Value *dividend = root->getOperand(0);
  llvm::Value *one = llvm::ConstantFP::get(divisor->getType(), 1.0);
  llvm::Value *reciprocal = splat(b.CreateFDiv(one, divisor));
  llvm::Value *product = b.CreateFMul(dividend, reciprocal);
  llvm::Value *rest = fma(splat(b.CreateFNeg(divisor)), product, dividend);
  llvm::Value *quotient =
      b.CreateCopySign(fma(rest, reciprocal, product), product);
  b.SetInsertPoint(root);
  llvm::PHINode *phi = b.CreatePHI(type, 2);
  phi->addIncoming(quotient, fast->getParent());
  phi->addIncoming(root, slow->getParent());
  root->replaceUsesWithIf(phi,
                          [&](llvm::Use &use) { return use.getUser() != phi; });
  root->moveBefore(slow->getIterator());
}

/// What LLVM would make a call for each element.
static void
expandCalls(llvm::Function &f,
            function_ref<llvm::Value *(llvm::Instruction &)> expand) {
  for (llvm::Instruction &i : llvm::make_early_inc_range(llvm::instructions(f)))
    if (llvm::Value *expanded = expand(i)) {
      i.replaceAllUsesWith(expanded);
      i.eraseFromParent();
    }
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
    if (!has("+f16c") && !has("+avx512f"))
      expandCalls(f, expandHalf);
    if (!has("+sse4.1"))
      expandCalls(f, expandWhole);
    if (has("+fma") || has("+avx512f")) {
      SmallVector<BoundedQuotient> quotients;
      for (llvm::Instruction &i : llvm::instructions(f))
        if (auto quotient = BoundedQuotient::match(i))
          quotients.push_back(std::move(*quotient));
      for (BoundedQuotient &quotient : quotients)
        quotient.useReciprocal();
    }
    PairedLanes lanes(f);
    if (has("+avx512bf16,+avx512dq")) {
      SmallVector<std::pair<llvm::TruncInst *, llvm::Value *>> roundings;
      for (llvm::Instruction &i : llvm::instructions(f))
        if (auto *root = dyn_cast<llvm::TruncInst>(&i))
          if (llvm::Value *x = matchRounding(*root))
            roundings.emplace_back(root, x);
      for (auto [root, x] : roundings)
        useRounding(*root, x);
    }
    lanes.joinTops();
  }
}
