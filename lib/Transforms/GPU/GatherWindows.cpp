//===- GatherWindows.cpp - convolutions as matrix products ------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A convolution, its gradient by the filter and its gradient by the image are
//
//   y(n, f, h)        += x(n, c, h + k) * w(f, c, k)
//   dw(f, c, k)       += dy(n, f, h)    * x(n, c, h + k)
//   dx(n, c, h + k)   += dy(n, f, h)    * w(f, c, k)
//
// With m(c, k, n, h) = x(n, c, h + k), or m(c, k, n, h) for the products that
// go to dx, each is a product of matrices. Which loops of m come last is chosen
// so that x is read, or dx written, along memory; the others are ordered as in
// the operand that stays where it is.
//
//===----------------------------------------------------------------------===//

#include "../Products.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using mlir::quant_ste::Product;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEGATHERWINDOWSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

//===----------------------------------------------------------------------===//
// What is gathered
//===----------------------------------------------------------------------===//

static SmallVector<unsigned> getLoops(ArrayRef<int64_t> dim) {
  SmallVector<unsigned> loops;
  for (auto [loop, step] : llvm::enumerate(dim))
    if (step != 0)
      loops.push_back(loop);
  return loops;
}

/// Is a dimension of the operand indexed by more than one loop's number?
static bool isWindowed(ArrayRef<SmallVector<int64_t>> operand) {
  return llvm::any_of(operand, [](ArrayRef<int64_t> dim) {
    return llvm::any_of(dim, [](int64_t step) { return step > 1; }) ||
           llvm::count_if(dim, [](int64_t step) { return step != 0; }) > 1;
  });
}

static bool hasDiagonal(ArrayRef<SmallVector<int64_t>> operand) {
  SmallVector<unsigned> all;
  for (ArrayRef<int64_t> dim : operand)
    llvm::append_range(all, getLoops(dim));
  llvm::sort(all);
  return std::adjacent_find(all.begin(), all.end()) != all.end();
}

/// What is not a product for cuBLAS as it is: windows, or two types.
static FailureOr<Product> matchProduct(linalg::LinalgOp op, std::string &why) {
  FailureOr<Product> product = Product::match(op, why);
  if (failed(product))
    return failure();
  bool isPlain = llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
    return map.isProjectedPermutation();
  });
  if (isPlain && product->hasTypesOfBlas())
    return failure();
  auto refuse = [&](const Twine &reason) -> LogicalResult {
    why = reason.str();
    return failure();
  };
  for (const auto &operand : product->steps)
    for (ArrayRef<int64_t> dim : operand)
      if (llvm::any_of(dim, [](int64_t step) { return step < 0; }))
        return refuse("a window runs backwards");
  if (hasDiagonal(product->steps[2]))
    return refuse("its result is a diagonal");
  return product;
}

bool quant_ste::canGatherWindows(linalg::LinalgOp op, std::string &why) {
  return succeeded(matchProduct(op, why));
}

//===----------------------------------------------------------------------===//
// Which operands, and how they are laid out
//===----------------------------------------------------------------------===//

namespace {
enum Kind { Batch, Rows, Columns, Terms };

class Gatherer {
public:
  Gatherer(OpBuilder &builder, Product product, int64_t mostBytes)
      : b(product.op.getLoc(), builder), product(std::move(product)),
        op(this->product.op), mostBytes(mostBytes) {}
  void run();

private:
  SmallVector<unsigned> &getKind(Kind kind) {
    switch (kind) {
    case Batch:
      return product.batch;
    case Rows:
      return product.rows;
    case Columns:
      return product.columns;
    case Terms:
      return product.terms;
    }
    llvm_unreachable("all kinds are listed");
  }
  bool sees(unsigned operand, unsigned loop) const {
    return llvm::any_of(product.steps[operand],
                        [&](ArrayRef<int64_t> dim) { return dim[loop] != 0; });
  }
  Value index(int64_t i) { return arith::ConstantIndexOp::create(b, i); }
  Type getSumType() {
    return getElementTypeOrSelf(op->getOperand(2).getType());
  }
  /// Factors of types that cuBLAS does not multiply are widened to the sum's.
  Type getType(unsigned operand) {
    return product.hasTypesOfBlas()
               ? getElementTypeOrSelf(op->getOperand(operand).getType())
               : getSumType();
  }
  bool isWidened(unsigned operand) {
    return getType(operand) !=
           getElementTypeOrSelf(op->getOperand(operand).getType());
  }

  void plan();
  std::pair<Kind, Kind> getKinds(unsigned operand) const;
  bool reserveContiguous(unsigned operand);
  void orderAsIn(unsigned operand);
  bool isOneRun(unsigned operand, ArrayRef<unsigned> loops) const;
  void layOut(unsigned operand);
  std::optional<unsigned> findImages() const;

  Value getBytes();
  void emitPieces(unsigned images);
  void emit(ArrayRef<Value> operands, ArrayRef<OpFoldResult> sizes);
  Value allocate(unsigned operand, ArrayRef<OpFoldResult> sizes);
  AffineMap getMap(unsigned operand);
  void gather(unsigned operand, Value from, Value to);
  void scatter(Value from, Value to, ArrayRef<OpFoldResult> sizes);

  ImplicitLocOpBuilder b;
  Product product;
  linalg::LinalgOp op;
  int64_t mostBytes;
  /// Of each kind, the loop that an operand which stays runs along.
  std::array<std::optional<unsigned>, 4> last;
  /// The kinds of which the loops have an order.
  std::array<bool, 4> isOrdered = {};
  /// The loops of an operand's copy, one a dimension, if it has one.
  std::array<std::optional<SmallVector<unsigned>>, 3> layouts;
};
} // namespace

/// The two kinds, but for batches, of which a matrix has loops.
std::pair<Kind, Kind> Gatherer::getKinds(unsigned operand) const {
  if (operand == 0)
    return {Rows, Terms};
  return operand == 1 ? std::pair(Columns, Terms) : std::pair(Rows, Columns);
}

/// Can it stay where it is? Then the kind of the loop that runs along it has
/// this loop last.
bool Gatherer::reserveContiguous(unsigned operand) {
  std::optional<unsigned> loop = product.findContiguousLoop(operand);
  if (!loop)
    return false;
  auto [first, second] = getKinds(operand);
  for (Kind kind : {first, second})
    if (llvm::is_contained(getKind(kind), *loop)) {
      if (last[kind] && *last[kind] != *loop)
        return false;
      last[kind] = loop;
      return true;
    }
  return false;
}

/// Loops of a kind that follow one another in memory should do so in a copy.
void Gatherer::orderAsIn(unsigned operand) {
  SmallVector<unsigned> order;
  for (ArrayRef<int64_t> dim : product.steps[operand])
    llvm::append_range(order, getLoops(dim));
  auto place = [&](unsigned loop) { return llvm::find(order, loop); };
  auto [first, second] = getKinds(operand);
  for (Kind kind : {first, second}) {
    if (isOrdered[kind])
      continue;
    isOrdered[kind] = true;
    llvm::sort(getKind(kind),
               [&](unsigned x, unsigned y) { return place(x) < place(y); });
  }
}

/// Does each of these loops continue the one after it, in this operand?
bool Gatherer::isOneRun(unsigned operand, ArrayRef<unsigned> loops) const {
  SmallVector<unsigned> dims;
  for (auto [d, dim] : llvm::enumerate(product.steps[operand]))
    if (llvm::any_of(loops, [&](unsigned loop) { return dim[loop] != 0; }))
      dims.push_back(d);
  bool isNext = dims.empty() || dims.back() - dims.front() + 1 == dims.size();
  return isNext && cast<MemRefType>(op->getOperand(operand).getType())
                       .getLayout()
                       .isIdentity();
}

/// Batches first; last the kind in which the operand itself is read, or
/// written, along memory.
void Gatherer::layOut(unsigned operand) {
  auto [first, second] = getKinds(operand);
  std::optional<unsigned> along;
  if (!product.steps[operand].empty()) {
    SmallVector<int64_t> sizes = op.getStaticLoopRanges();
    for (unsigned loop : getLoops(product.steps[operand].back()))
      if (!along || sizes[loop] > sizes[*along] ||
          ShapedType::isDynamic(sizes[loop]))
        along = loop;
  }
  if (along && llvm::is_contained(getKind(first), *along))
    std::swap(first, second);
  SmallVector<unsigned> layout;
  for (Kind kind : {Batch, first, second})
    for (unsigned loop : getKind(kind))
      if (sees(operand, loop))
        layout.push_back(loop);
  layouts[operand] = std::move(layout);
}

void Gatherer::plan() {
  SmallVector<unsigned> copied;
  // The result first: what is made apart has to be added to it.
  for (unsigned operand : {2, 0, 1}) {
    if (isWindowed(product.steps[operand]) || isWidened(operand) ||
        !reserveContiguous(operand))
      copied.push_back(operand);
    else
      orderAsIn(operand);
  }
  for (auto [kind, loop] : llvm::enumerate(last)) {
    if (!loop)
      continue;
    auto &loops = getKind(static_cast<Kind>(kind));
    llvm::erase(loops, *loop);
    loops.push_back(*loop);
  }
  // Terms that lie apart take a call for each part.
  for (unsigned factor : {0, 1})
    if (!llvm::is_contained(copied, factor) && !isOneRun(factor, product.terms))
      copied.push_back(factor);
  for (unsigned operand : copied)
    layOut(operand);
}

/// A loop through whole images: it alone is the first dimension of a copied
/// operand, and a dimension of whatever else sees it.
std::optional<unsigned> Gatherer::findImages() const {
  for (unsigned operand : {0, 1, 2}) {
    if (!layouts[operand] || !isWindowed(product.steps[operand]))
      continue;
    SmallVector<unsigned> first = getLoops(product.steps[operand].front());
    if (first.size() != 1)
      continue;
    unsigned loop = first.front();
    bool isAlone = llvm::all_of(product.steps, [&](const auto &other) {
      return llvm::all_of(other, [&](ArrayRef<int64_t> dim) {
        return dim[loop] == 0 || (dim[loop] == 1 && getLoops(dim).size() == 1);
      });
    });
    if (isAlone)
      return loop;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

Value Gatherer::allocate(unsigned operand, ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> shape = llvm::map_to_vector(
      *layouts[operand], [&](unsigned loop) { return sizes[loop]; });
  auto [constants, values] = decomposeMixedValues(shape);
  auto type = MemRefType::get(constants, getType(operand));
  return memref::AllocOp::create(b, type, values, b.getI64IntegerAttr(64));
}

/// How the op's loops index the operand, or its copy.
AffineMap Gatherer::getMap(unsigned operand) {
  unsigned numLoops = op.getNumLoops();
  MLIRContext *context = op.getContext();
  SmallVector<AffineExpr> results;
  if (layouts[operand]) {
    for (unsigned loop : *layouts[operand])
      results.push_back(getAffineDimExpr(loop, context));
    return AffineMap::get(numLoops, 0, results, context);
  }
  for (ArrayRef<int64_t> dim : product.steps[operand]) {
    AffineExpr at = getAffineConstantExpr(0, context);
    for (unsigned loop : getLoops(dim))
      at = at + getAffineDimExpr(loop, context) * dim[loop];
    results.push_back(at);
  }
  return AffineMap::get(numLoops, 0, results, context);
}

/// to(loops) = from(windows of the loops)
void Gatherer::gather(unsigned operand, Value from, Value to) {
  ArrayRef<unsigned> layout = *layouts[operand];
  SmallVector<AffineExpr> results;
  for (ArrayRef<int64_t> dim : product.steps[operand]) {
    AffineExpr at = b.getAffineConstantExpr(0);
    for (auto [d, loop] : llvm::enumerate(layout))
      at = at + b.getAffineDimExpr(d) * dim[loop];
    results.push_back(at);
  }
  AffineMap map = AffineMap::get(layout.size(), 0, results, b.getContext());
  SmallVector<utils::IteratorType> parallel(layout.size(),
                                            utils::IteratorType::parallel);
  linalg::GenericOp::create(
      b, ValueRange{from}, ValueRange{to},
      ArrayRef{map, b.getMultiDimIdentityMap(layout.size())}, parallel,
      [](OpBuilder &nested, Location loc, ValueRange args) {
        Value v = args.front();
        Type type = args.back().getType();
        if (v.getType() != type)
          v = arith::ExtFOp::create(nested, loc, type, v);
        linalg::YieldOp::create(nested, loc, v);
      });
}

/// to(p) += from(all loops whose window begins where p is in it). For a
/// dimension p = s * i + t * k + ..., i is the longest loop, the taps k are
/// loops here, and i follows from them, if there is such an i.
void Gatherer::scatter(Value from, Value to, ArrayRef<OpFoldResult> sizes) {
  ArrayRef<unsigned> layout = *layouts[2];
  SmallVector<int64_t> staticSizes = op.getStaticLoopRanges();
  auto dims = ArrayRef(product.steps[2]);
  unsigned rank = dims.size();
  SmallVector<std::optional<unsigned>> images(rank);
  SmallVector<unsigned> taps;
  for (auto [dim, image] : llvm::zip_equal(dims, images)) {
    SmallVector<unsigned> loops = getLoops(dim);
    for (unsigned loop : loops)
      if (!image || ShapedType::isDynamic(staticSizes[loop]) ||
          (ShapedType::isStatic(staticSizes[*image]) &&
           staticSizes[loop] > staticSizes[*image]))
        image = loop;
    for (unsigned loop : loops)
      if (loop != *image)
        taps.push_back(loop);
  }

  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  if (!taps.empty()) {
    // Not read: its shape says how many taps there are.
    SmallVector<OpFoldResult> shape =
        llvm::map_to_vector(layout, [&](unsigned loop) -> OpFoldResult {
          return llvm::is_contained(taps, loop) ? sizes[loop]
                                                : b.getIndexAttr(1);
        });
    SmallVector<OpFoldResult> zeros(layout.size(), b.getIndexAttr(0)),
        ones(layout.size(), b.getIndexAttr(1));
    inputs.push_back(memref::SubViewOp::create(b, from, zeros, shape, ones));
    SmallVector<AffineExpr> at;
    for (unsigned loop : layout) {
      const unsigned *tap = llvm::find(taps, loop);
      at.push_back(tap == taps.end()
                       ? b.getAffineConstantExpr(0)
                       : b.getAffineDimExpr(rank + (tap - taps.begin())));
    }
    maps.push_back(AffineMap::get(rank + taps.size(), 0, at, b.getContext()));
  }
  maps.push_back(
      AffineMap::getMultiDimIdentityMap(rank + taps.size(), b.getContext())
          .getMajorSubMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.append(taps.size(), utils::IteratorType::reduction);
  SmallVector<Value> sizeValues =
      getValueOrCreateConstantIndexOp(b, b.getLoc(), sizes);
  linalg::GenericOp::create(
      b, inputs, ValueRange{to}, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder n(loc, nested);
        auto constant = [&](int64_t i) {
          return arith::ConstantIndexOp::create(n, i);
        };
        auto compare = [&](arith::CmpIPredicate is, Value x, Value y) {
          return arith::CmpIOp::create(n, is, x, y);
        };
        Value zero = constant(0), isThere;
        auto require = [&](Value condition) {
          isThere = isThere ? arith::AndIOp::create(n, isThere, condition)
                            : condition;
        };
        SmallVector<Value> numbers(op.getNumLoops(), zero);
        for (auto [i, tap] : llvm::enumerate(taps))
          numbers[tap] = linalg::IndexOp::create(n, rank + i);
        for (auto [d, image] : llvm::enumerate(images)) {
          if (!image)
            continue;
          Value rest = linalg::IndexOp::create(n, d);
          ArrayRef<int64_t> steps = dims[d];
          for (unsigned loop : getLoops(steps)) {
            if (loop == *image)
              continue;
            Value offset = n.createOrFold<arith::MulIOp>(numbers[loop],
                                                         constant(steps[loop]));
            rest = arith::SubIOp::create(n, rest, offset);
          }
          bool isWhole = steps[*image] == 1 && getLoops(steps).size() == 1;
          if (isWhole) {
            numbers[*image] = rest;
            continue;
          }
          Value step = constant(steps[*image]);
          Value number = rest;
          require(compare(arith::CmpIPredicate::sge, rest, zero));
          if (steps[*image] != 1) {
            number = arith::DivSIOp::create(n, rest, step);
            Value back = arith::MulIOp::create(n, number, step);
            require(compare(arith::CmpIPredicate::eq, back, rest));
          }
          require(
              compare(arith::CmpIPredicate::slt, number, sizeValues[*image]));
          numbers[*image] = number;
        }
        SmallVector<Value> at = llvm::map_to_vector(
            layout, [&](unsigned loop) { return numbers[loop]; });
        auto add = [&](OpBuilder &inside) {
          Value term = memref::LoadOp::create(inside, loc, from, at);
          return arith::AddFOp::create(inside, loc, args.back(), term)
              .getResult();
        };
        if (!isThere) {
          linalg::YieldOp::create(n, add(n));
          return;
        }
        auto choice = scf::IfOp::create(
            n, isThere,
            [&](OpBuilder &inside, Location) {
              scf::YieldOp::create(inside, loc, add(inside));
            },
            [&](OpBuilder &inside, Location) {
              scf::YieldOp::create(inside, loc, args.back());
            });
        linalg::YieldOp::create(n, choice.getResult(0));
      });
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

void Gatherer::emit(ArrayRef<Value> operands, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> used(operands), copies;
  for (unsigned operand : {0, 1, 2}) {
    if (!layouts[operand])
      continue;
    Value copy = allocate(operand, sizes);
    copies.push_back(copy);
    used[operand] = copy;
    if (operand < 2) {
      gather(operand, operands[operand], copy);
      continue;
    }
    Value zero = arith::ConstantOp::create(
        b, b.getZeroAttr(getElementTypeOrSelf(copy.getType())));
    linalg::FillOp::create(b, zero, copy);
  }
  SmallVector<utils::IteratorType> iterators(op.getNumLoops(),
                                             utils::IteratorType::parallel);
  for (unsigned loop : product.terms)
    iterators[loop] = utils::IteratorType::reduction;
  linalg::GenericOp::create(
      b, ArrayRef(used).drop_back(), ArrayRef(used).take_back(),
      ArrayRef{getMap(0), getMap(1), getMap(2)}, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        auto widen = [&](Value v) -> Value {
          if (v.getType() == getSumType())
            return v;
          return arith::ExtFOp::create(nested, loc, getSumType(), v);
        };
        Value left = widen(args[0]), right = widen(args[1]);
        Value term = arith::MulFOp::create(nested, loc, left, right);
        Value sum = arith::AddFOp::create(nested, loc, args[2], term);
        linalg::YieldOp::create(nested, loc, sum);
      });
  if (layouts[2])
    scatter(used[2], operands[2], sizes);
  for (Value copy : copies)
    memref::DeallocOp::create(b, copy);
}

/// Of the copies for one image.
Value Gatherer::getBytes() {
  SmallVector<Range> ranges = op.createLoopRanges(b, b.getLoc());
  std::optional<unsigned> images = findImages();
  Value bytes = index(0);
  for (unsigned operand : {0, 1, 2}) {
    if (!layouts[operand])
      continue;
    int64_t bits = getType(operand).getIntOrFloatBitWidth();
    Value own = index(bits / 8);
    for (unsigned loop : *layouts[operand])
      if (loop != images)
        own = b.createOrFold<arith::MulIOp>(
            own,
            getValueOrCreateConstantIndexOp(b, b.getLoc(), ranges[loop].size));
    bytes = b.createOrFold<arith::AddIOp>(bytes, own);
  }
  return bytes;
}

/// As many images at a time as there is room for.
void Gatherer::emitPieces(unsigned images) {
  SmallVector<OpFoldResult> sizes =
      llvm::map_to_vector(op.createLoopRanges(b, b.getLoc()),
                          [](Range range) { return range.size; });
  SmallVector<Value> operands = op->getOperands();
  Value one = index(1);
  Value bytes = b.createOrFold<arith::MaxUIOp>(getBytes(), one);
  Value piece = b.createOrFold<arith::MaxUIOp>(
      b.createOrFold<arith::DivUIOp>(index(mostBytes), bytes), one);
  std::optional<int64_t> count = getConstantIntValue(sizes[images]);
  if (std::optional<int64_t> most = getConstantIntValue(piece);
      count && most && *count <= *most)
    return emit(operands, sizes);

  Value end = getValueOrCreateConstantIndexOp(b, b.getLoc(), sizes[images]);
  auto loop = scf::ForOp::create(b, index(0), end, piece);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(loop.getBody()->getTerminator());
  Value first = loop.getInductionVar();
  Value left = arith::SubIOp::create(b, end, first);
  OpFoldResult size = Value(arith::MinUIOp::create(b, left, piece));
  for (unsigned operand : {0, 1, 2}) {
    if (!sees(operand, images))
      continue;
    SmallVector<OpFoldResult> shape =
        memref::getMixedSizes(b, b.getLoc(), operands[operand]);
    SmallVector<OpFoldResult> offsets(shape.size(), b.getIndexAttr(0)),
        ones(shape.size(), b.getIndexAttr(1));
    for (auto [d, dim] : llvm::enumerate(product.steps[operand]))
      if (dim[images] != 0) {
        offsets[d] = first;
        shape[d] = size;
      }
    operands[operand] =
        memref::SubViewOp::create(b, operands[operand], offsets, shape, ones);
  }
  sizes[images] = size;
  emit(operands, sizes);
}

void Gatherer::run() {
  plan();
  b.setInsertionPoint(op);
  if (std::optional<unsigned> images = findImages()) {
    emitPieces(*images);
  } else {
    SmallVector<OpFoldResult> sizes =
        llvm::map_to_vector(op.createLoopRanges(b, b.getLoc()),
                            [](Range range) { return range.size; });
    emit(llvm::to_vector(op->getOperands()), sizes);
  }
  op.erase();
}

/// The same without loops of one iteration: a filter of one tap reads no
/// windows.
static linalg::LinalgOp dropUnitLoops(RewriterBase &rewriter,
                                      linalg::LinalgOp op) {
  rewriter.setInsertionPoint(op);
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  if (!generic) {
    FailureOr<linalg::GenericOp> made = linalg::generalizeNamedOp(rewriter, op);
    if (failed(made))
      return op;
    generic = *made;
  }
  rewriter.setInsertionPoint(generic);
  FailureOr<linalg::DropUnitDimsResult> dropped =
      linalg::dropUnitDims(rewriter, generic, linalg::ControlDropUnitDims());
  if (failed(dropped))
    return generic;
  rewriter.eraseOp(generic);
  return cast<linalg::LinalgOp>(dropped->resultOp.getOperation());
}

namespace {
struct GatherWindows
    : quant_ste::impl::QuantSTEGatherWindowsPassBase<GatherWindows> {
  using QuantSTEGatherWindowsPassBase::QuantSTEGatherWindowsPassBase;

  void runOnOperation() override {
    if (mostBytes < 1) {
      getOperation().emitError("expected most-bytes of at least 1, got ")
          << mostBytes.getValue();
      return signalPassFailure();
    }
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (op.hasPureBufferSemantics())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops) {
      std::string why;
      if (failed(matchProduct(op, why)))
        continue;
      linalg::LinalgOp used = dropUnitLoops(rewriter, op);
      FailureOr<Product> product = Product::match(used, why);
      if (failed(product))
        continue;
      OpBuilder b(used);
      Gatherer(b, std::move(*product), mostBytes).run();
      ++numGathered;
    }
  }
};
} // namespace
