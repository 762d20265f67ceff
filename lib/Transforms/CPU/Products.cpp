//===- Products.cpp - matrix products by the runtime ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Products.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "quant_ste/Runtime/Matmul.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using mlir::quant_ste::Product;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEPRODUCTSTORUNTIMEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

static constexpr StringLiteral kFunction = "quant_ste_matmul";
static constexpr StringLiteral kDeviceFunction = "quant_ste_cuda_matmul";

//===----------------------------------------------------------------------===//
// What is a product
//===----------------------------------------------------------------------===//

static std::optional<int64_t> getTypeCode(Type type) {
  if (type.isF16())
    return QUANT_STE_MATMUL_F16;
  if (type.isBF16())
    return QUANT_STE_MATMUL_BF16;
  if (type.isF32())
    return QUANT_STE_MATMUL_F32;
  if (type.isF64())
    return QUANT_STE_MATMUL_F64;
  return std::nullopt;
}

static Value skipExtension(Value v) {
  auto ext = v.getDefiningOp<arith::ExtFOp>();
  return ext ? ext.getIn() : v;
}

/// c + a * b, each factor perhaps widened first.
static bool isMultiplyAndAdd(Block &body) {
  if (body.getNumArguments() != 3)
    return false;
  Value a = body.getArgument(0), b = body.getArgument(1);
  Value c = body.getArgument(2);
  Operation *yield = body.getTerminator();
  auto sum = yield->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  Value term = sum.getLhs() == c ? sum.getRhs() : sum.getLhs();
  auto product = term.getDefiningOp<arith::MulFOp>();
  if (!product || (sum.getLhs() != c && sum.getRhs() != c))
    return false;
  Value x = skipExtension(product.getLhs());
  Value y = skipExtension(product.getRhs());
  return (x == a && y == b) || (x == b && y == a);
}

LogicalResult Product::readMaps() {
  for (AffineMap map : op.getIndexingMapsArray()) {
    if (map.getNumSymbols() != 0)
      return failure();
    auto &operand = steps.emplace_back();
    for (AffineExpr expr : map.getResults()) {
      SmallVector<int64_t> flat;
      // The steps of the loops and, last, a constant; more if it is not linear.
      if (failed(getFlattenedAffineExpr(expr, map.getNumDims(), 0, &flat)) ||
          flat.size() != map.getNumDims() + 1 || flat.back() != 0)
        return failure();
      flat.pop_back();
      operand.push_back(std::move(flat));
    }
  }
  return success();
}

LogicalResult Product::sortLoops() {
  auto isSeen = [&](unsigned operand, unsigned loop) {
    return llvm::any_of(steps[operand],
                        [&](ArrayRef<int64_t> dim) { return dim[loop] != 0; });
  };
  for (unsigned loop = 0, e = op.getNumLoops(); loop < e; ++loop) {
    bool a = isSeen(0, loop), b = isSeen(1, loop), c = isSeen(2, loop);
    if (a && b && c)
      batch.push_back(loop);
    else if (a && c)
      rows.push_back(loop);
    else if (b && c)
      columns.push_back(loop);
    else if (a && b)
      terms.push_back(loop);
    else
      return failure();
  }
  // A matrix times a vector is bound by memory: a vector loop does it.
  return success(!rows.empty() && !columns.empty() && !terms.empty());
}

std::optional<unsigned> Product::findContiguousLoop(unsigned operand) const {
  int64_t offset;
  SmallVector<int64_t> strides;
  ArrayRef<SmallVector<int64_t>> dims = steps[operand];
  auto type = dyn_cast<MemRefType>(op->getOperand(operand).getType());
  if (!type || dims.empty() ||
      failed(type.getStridesAndOffset(strides, offset)) || strides.back() != 1)
    return std::nullopt;
  const int64_t *step = llvm::find(dims.back(), 1);
  return step - dims.back().begin();
}

bool Product::hasTypesOfBlas() const {
  auto typeOf = [&](unsigned i) {
    return getElementTypeOrSelf(op->getOperand(i).getType());
  };
  return typeOf(0) == typeOf(1) &&
         (typeOf(0) == typeOf(2) || (typeOf(2).isF32() && !typeOf(0).isF64()));
}

LogicalResult Product::orderForBlas() {
  if (!hasTypesOfBlas())
    return failure();
  for (AffineMap map : op.getIndexingMapsArray())
    if (!map.isProjectedPermutation())
      return failure();
  // Of each kind, the one loop that has to be the matrix's.
  std::array<std::optional<unsigned>, 3> chosen;
  std::array<SmallVector<unsigned> *, 3> kinds = {&rows, &columns, &terms};
  for (unsigned operand = 0; operand < 3; ++operand) {
    auto loop = findContiguousLoop(operand);
    if (!loop)
      return failure();
    bool isFree = false;
    for (auto [kind, choice] : llvm::zip_equal(kinds, chosen)) {
      if (!llvm::is_contained(*kind, *loop) || (choice && *choice != *loop))
        continue;
      choice = loop;
      isFree = true;
    }
    if (!isFree)
      return failure();
  }
  for (auto [kind, choice] : llvm::zip_equal(kinds, chosen)) {
    if (!choice)
      continue;
    llvm::erase(*kind, *choice);
    kind->push_back(*choice);
  }
  return success();
}

/// Below so many multiplications a call costs more than it gains.
static constexpr int64_t kFewest = 2048;

FailureOr<Product> Product::match(linalg::LinalgOp op, std::string &why) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.hasIndexSemantics() || !isMultiplyAndAdd(*op.getBlock()))
    return failure();
  auto refuse = [&](const Twine &reason) -> LogicalResult {
    why = reason.str();
    return failure();
  };
  for (Value v : op->getOperands()) {
    Type type = getElementTypeOrSelf(v.getType());
    if (!isa<ShapedType>(v.getType()) || !getTypeCode(type)) {
      std::string text;
      llvm::raw_string_ostream(text) << v.getType();
      return refuse("an operand is " + text);
    }
  }
  Type sumType = getElementTypeOrSelf(op->getOperand(2).getType());
  if (!sumType.isF32() && !sumType.isF64())
    return refuse("it sums in less than f32");
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (!ShapedType::isDynamicShape(sizes) &&
      ShapedType::getNumElements(sizes) < kFewest)
    return refuse("it has fewer than " + Twine(kFewest) + " multiplications");
  Product product;
  product.op = op;
  if (failed(product.readMaps()))
    return refuse("its indices are not linear in the loops");
  if (failed(product.sortLoops()))
    return refuse("it is no product of two matrices");
  return product;
}

linalg::FillOp quant_ste::findFill(linalg::LinalgOp op, Value output) {
  auto isView = [&](Operation *user) {
    bool isLater = user->getBlock() == op->getBlock() &&
                   op.getOperation()->isBeforeInBlock(user);
    return isa<ViewLikeOpInterface>(user) && !isLater;
  };
  if (isa_and_nonnull<ViewLikeOpInterface>(output.getDefiningOp()) ||
      llvm::any_of(output.getUsers(), isView) ||
      llvm::count(op->getOperands(), output) != 1)
    return nullptr;
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    if (auto fill = dyn_cast<linalg::FillOp>(before);
        fill && fill.output() == output)
      return fill;
    if (before == output.getDefiningOp() || before->getNumRegions() ||
        llvm::is_contained(before->getOperands(), output))
      return nullptr;
  }
  return nullptr;
}

/// The zeros that a product is added to, if it need not be: they are no one
/// else's, and there is a term.
static linalg::FillOp findZeros(const Product &product) {
  linalg::LinalgOp op = product.op;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (llvm::any_of(product.terms, [&](unsigned loop) {
        return sizes[loop] == 0 || ShapedType::isDynamic(sizes[loop]);
      }))
    return nullptr;
  linalg::FillOp fill = quant_ste::findFill(op, op.getDpsInits().front());
  return fill && matchPattern(fill.value(), m_PosZeroFloat()) ? fill : nullptr;
}

//===----------------------------------------------------------------------===//
// The call
//===----------------------------------------------------------------------===//

namespace {
struct CallBuilder {
  ImplicitLocOpBuilder b;
  Product &product;

  Value index(int64_t i) { return arith::ConstantIndexOp::create(b, i); }
  Value word(int64_t i) {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(i));
  }
  Value word(Value index) {
    return b.createOrFold<arith::IndexCastOp>(b.getI64Type(), index);
  }

  /// Words in memory of the function's frame: an alloca in a loop would take
  /// more of it in each iteration. Iterations that run at once have their own.
  Value allocate(int64_t words) {
    OpBuilder::InsertionGuard guard(b);
    Operation *scope = product.op->getParentOp();
    while (!isa<FunctionOpInterface>(scope) &&
           !scope->hasTrait<OpTrait::HasParallelRegion>())
      scope = scope->getParentOp();
    b.setInsertionPointToStart(&scope->getRegion(0).front());
    return memref::AllocaOp::create(b,
                                    MemRefType::get({words}, b.getI64Type()));
  }
  void store(Value word, Value words, int64_t at) {
    memref::StoreOp::create(b, word, words, index(at));
  }
  Value getAddress(Value memref) {
    return memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  }
  Value getPointer(Value memref) {
    return LLVM::IntToPtrOp::create(b,
                                    LLVM::LLVMPointerType::get(b.getContext()),
                                    word(getAddress(memref)));
  }

  /// `overwrites`: for GPUs, whether c = a * b.
  void build(StringRef function, int64_t threads, bool library,
             std::optional<bool> overwrites);
  void storeOperand(unsigned operand, Value args, Value loops,
                    ArrayRef<unsigned> order);
};
} // namespace

/// The address of the first element, and the strides of all loops.
void CallBuilder::storeOperand(unsigned operand, Value args, Value loops,
                               ArrayRef<unsigned> order) {
  Value memref = product.op->getOperand(operand);
  auto type = cast<MemRefType>(memref.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  Value bytes = index(type.getElementTypeBitWidth() / 8);
  Value offset = b.createOrFold<arith::MulIOp>(
      getValueOrCreateConstantIndexOp(b, b.getLoc(),
                                      metadata.getConstifiedMixedOffset()),
      bytes);
  Value address = arith::AddIOp::create(b, getAddress(memref), offset);
  store(word(address), args, operand);
  store(word(*getTypeCode(type.getElementType())), args, 3 + operand);

  SmallVector<Value> strides = getValueOrCreateConstantIndexOp(
      b, b.getLoc(), metadata.getConstifiedMixedStrides());
  for (auto [i, loop] : llvm::enumerate(order)) {
    Value stride = index(0);
    for (auto [dim, step] : llvm::enumerate(product.steps[operand])) {
      if (step[loop] == 0)
        continue;
      Value scaled =
          b.createOrFold<arith::MulIOp>(strides[dim], index(step[loop]));
      stride = b.createOrFold<arith::AddIOp>(stride, scaled);
    }
    store(word(stride), loops, 4 * i + 1 + operand);
  }
}

/// Fills a quant_ste_matmul_args and its loops, word by word.
void CallBuilder::build(StringRef function, int64_t threads, bool library,
                        std::optional<bool> overwrites) {
  static_assert(sizeof(quant_ste_matmul_args) == 12 * 8 &&
                sizeof(quant_ste_matmul_loop) == 4 * 8);
  linalg::LinalgOp op = product.op;
  SmallVector<unsigned> order;
  for (ArrayRef<unsigned> kind :
       {ArrayRef(product.batch), ArrayRef(product.rows),
        ArrayRef(product.columns), ArrayRef(product.terms)})
    llvm::append_range(order, kind);
  Value args = allocate(12);
  Value loops = allocate(4 * order.size());

  SmallVector<Range> ranges = op.createLoopRanges(b, b.getLoc());
  for (auto [i, loop] : llvm::enumerate(order))
    store(
        word(getValueOrCreateConstantIndexOp(b, b.getLoc(), ranges[loop].size)),
        loops, 4 * i);
  for (unsigned operand : {0, 1, 2})
    storeOperand(operand, args, loops, order);
  int64_t at = 6;
  for (size_t count : {product.batch.size(), product.rows.size(),
                       product.columns.size(), product.terms.size()})
    store(word(int64_t(count)), args, at++);
  store(word(threads), args, at++);
  store(word(int64_t(library)), args, at++);
  SmallVector<Value> operands{getPointer(args), getPointer(loops)};
  if (overwrites)
    operands.push_back(word(int64_t(*overwrites)));
  func::CallOp::create(b, function, TypeRange{}, operands);
}

/// The function of the runtime, declared; an error if the module has another of
/// this name.
static LogicalResult declareFunction(ModuleOp module, StringRef name,
                                     bool device) {
  auto pointer = LLVM::LLVMPointerType::get(module.getContext());
  SmallVector<Type> inputs{pointer, pointer};
  if (device)
    inputs.push_back(IntegerType::get(module.getContext(), 64));
  auto type = FunctionType::get(module.getContext(), inputs, TypeRange{});
  if (Operation *other = module.lookupSymbol(name)) {
    auto function = dyn_cast<func::FuncOp>(other);
    if (function && function.isExternal() && function.getFunctionType() == type)
      return success();
    return other->emitError("expected no symbol of this name, which is that of "
                            "a function of the runtime");
  }
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto function = func::FuncOp::create(b, module.getLoc(), name, type);
  function.setPrivate();
  return success();
}

namespace {
struct ProductsToRuntime
    : quant_ste::impl::QuantSTEProductsToRuntimePassBase<ProductsToRuntime> {
  using QuantSTEProductsToRuntimePassBase::QuantSTEProductsToRuntimePassBase;

  void runOnOperation() override {
    std::vector<Product> products;
    getOperation().walk([&](linalg::LinalgOp op) {
      std::string why;
      if (!op.hasPureBufferSemantics())
        return;
      FailureOr<Product> product = Product::match(op, why);
      if (succeeded(product) && device && failed(product->orderForBlas())) {
        why = "cuBLAS has no such product";
        product = failure();
      }
      if (succeeded(product))
        products.push_back(std::move(*product));
      else if (!why.empty())
        remark::missed(op.getLoc(), getRemark(op))
            << ("'" + op->getName().getStringRef() +
                "' stays in the code: " + why)
                   .str();
    });
    if (products.empty())
      return;
    if (requireLibrary && !quant_ste_matmul_library()) {
      products.front().op->emitError(
          "expected a library for matrix products, but none was found when "
          "this was built (matmul=library)");
      return signalPassFailure();
    }
    StringRef function = device ? kDeviceFunction : kFunction;
    if (failed(declareFunction(getOperation(), function, device)))
      return signalPassFailure();
    for (Product &product : products) {
      OpBuilder b(product.op);
      CallBuilder builder{ImplicitLocOpBuilder(product.op.getLoc(), b),
                          product};
      std::optional<bool> overwrites;
      if (device) {
        linalg::FillOp zeros = findZeros(product);
        overwrites = static_cast<bool>(zeros);
        if (zeros)
          zeros.erase();
      }
      builder.build(function, parallel ? 0 : 1, library, overwrites);
      remark::passed(product.op.getLoc(), getRemark(product.op))
          << ("'" + product.op->getName().getStringRef() + "' by " +
              describe(product))
                 .str();
      product.op->erase();
      ++numProducts;
    }
  }

  remark::RemarkOpts getRemark(linalg::LinalgOp op) {
    auto function = op->getParentOfType<func::FuncOp>();
    return remark::RemarkOpts::name("Product")
        .category(getArgument())
        .function(function ? function.getName() : "");
  }
  std::string describe(const Product &product);
};
} // namespace

/// What computes it and, if a library was asked for in vain, why.
std::string ProductsToRuntime::describe(const Product &product) {
  if (device)
    return "cuBLAS";
  std::string own = "the runtime's kernel";
  if (!library)
    return own;
  const char *name = quant_ste_matmul_library();
  if (!name)
    return own + ": no library was found when this was built";
  Type type = getElementTypeOrSelf(product.op->getOperand(2).getType());
  for (Value v : product.op->getOperands())
    if (getElementTypeOrSelf(v.getType()) != type)
      return own + ": " + name + " does not widen factors";
  if (type.isF64() && StringRef(name) == "oneDNN")
    return own + ": oneDNN has no product of f64";
  return name;
}
