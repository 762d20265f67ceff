//===- CInterface.cpp - functions of a module as functions of C -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/CInterface.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// What neither C nor C++ takes for a name.
static constexpr StringLiteral kKeywords[] = {
    "alignas",  "alignof",       "and",       "asm",       "auto",
    "bool",     "break",         "case",      "catch",     "char",
    "class",    "compl",         "const",     "constexpr", "continue",
    "decltype", "default",       "delete",    "do",        "double",
    "else",     "enum",          "explicit",  "export",    "extern",
    "false",    "float",         "for",       "friend",    "goto",
    "if",       "inline",        "int",       "int16_t",   "int32_t",
    "int64_t",  "int8_t",        "long",      "mutable",   "namespace",
    "new",      "noexcept",      "not",       "nullptr",   "operator",
    "or",       "private",       "protected", "public",    "register",
    "restrict", "return",        "short",     "signed",    "sizeof",
    "static",   "static_assert", "struct",    "switch",    "template",
    "this",     "thread_local",  "throw",     "true",      "try",
    "typedef",  "typeid",        "typename",  "typeof",    "uint16_t",
    "uint32_t", "uint64_t",      "uint8_t",   "union",     "unsigned",
    "using",    "virtual",       "void",      "volatile",  "while",
    "xor"};

static bool isCName(StringRef name) {
  return !name.empty() && !llvm::isDigit(name.front()) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; }) &&
         !name.starts_with("_") && !llvm::is_contained(kKeywords, name);
}

/// "x" for a value that the text calls `%x`; empty for others, and for `%3`.
static StringRef getTextName(const AsmParserState::SMDefinition &definition) {
  if (!definition.loc.isValid())
    return {};
  const char *begin = definition.loc.Start.getPointer();
  StringRef name(begin, definition.loc.End.getPointer() - begin);
  name.consume_front("%");
  return name;
}

static StringRef getTextName(Value value, const AsmParserState *names) {
  if (!names)
    return {};
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    const auto *block = names->getBlockDef(argument.getOwner());
    if (!block || argument.getArgNumber() >= block->arguments.size())
      return {};
    return getTextName(block->arguments[argument.getArgNumber()]);
  }
  auto result = cast<OpResult>(value);
  const auto *op = names->getOpDef(result.getOwner());
  if (!op)
    return {};
  for (const auto &group : op->resultGroups)
    if (group.startIndex == result.getResultNumber())
      return getTextName(group.definition);
  return {};
}

namespace {
/// Names that a C function has used.
class Names {
public:
  /// The first that can be a name in C, made unique.
  std::string take(ArrayRef<StringRef> wanted) {
    const StringRef *good = llvm::find_if(wanted, isCName);
    std::string name = good->str();
    while (!taken.insert(name).second)
      name += "_";
    return name;
  }

private:
  llvm::StringSet<> taken;
};
} // namespace

//===----------------------------------------------------------------------===//
// Input
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> quant_ste::parseWithNames(llvm::SourceMgr &sources,
                                                MLIRContext &context,
                                                AsmParserState &names) {
  const llvm::MemoryBuffer *buffer =
      sources.getMemoryBuffer(sources.getMainFileID());
  ParserConfig config(&context);
  if (isBytecode(*buffer))
    return parseSourceFile<ModuleOp>(sources, config);
  // As parseSourceFile does: ops of the file, or the one module that it is.
  Block block;
  if (failed(parseAsmSourceFile(sources, &block, config, &names)))
    return nullptr;
  auto loc = FileLineColLoc::get(&context, buffer->getBufferIdentifier(),
                                 /*line=*/0, /*column=*/0);
  return mlir::detail::constructContainerOpForParserIfNecessary<ModuleOp>(
      &block, &context, loc);
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static LogicalResult checkHasCForm(func::FuncOp f, const Signature &signature,
                                   StringRef name) {
  auto fail = [&] {
    return f.emitError("@") << f.getName() << " has no form in C: ";
  };
  if (!signature.unsupported.empty())
    return fail() << signature.unsupported;
  if (!isCName(name))
    return fail() << "expected a name of letters, digits and underscores, not "
                     "a word of C or C++, got '"
                  << name << "'";
  for (auto [k, dims] : llvm::enumerate(signature.resultDims))
    for (auto [d, dim] : llvm::enumerate(dims))
      if (!dim.isKnownBeforeCall())
        return fail() << "result #" << k << " : " << signature.results[k].str()
                      << ": the caller has to give a buffer for it, and the "
                         "size of dimension "
                      << d
                      << " is neither that of an argument nor the bytes of its "
                         "bits";
  return success();
}

static CFunction describe(func::FuncOp f, Signature signature,
                          const AsmParserState *names,
                          const CInterfaceOptions &options) {
  CFunction c;
  c.name = options.prefix + signature.function;
  Names taken;
  auto add = [&](const ValueType &type, StringRef textName, StringRef word,
                 unsigned i) -> CValue & {
    std::string plain = (word + Twine(i)).str();
    CValue value;
    value.type = type;
    value.name = taken.take({type.name, textName, plain});
    value.hasStrides = options.strides && !type.shape.empty();
    return c.values.emplace_back(std::move(value));
  };
  StringRef writable = bufferization::BufferizationDialect::kWritableAttrName;
  for (auto [i, type] : llvm::enumerate(signature.arguments)) {
    CValue &value =
        add(type, getTextName(f.getArgument(i), names), "argument", i);
    auto attr = f.getArgAttrOfType<BoolAttr>(i, writable);
    value.isWritable = attr && attr.getValue();
  }
  bool isOneBlock = f.getBody().hasOneBlock();
  for (auto [k, type] : llvm::enumerate(signature.results)) {
    StringRef name;
    if (isOneBlock)
      name = getTextName(f.getBody().front().getTerminator()->getOperand(k),
                         names);
    add(type, name, "result", k).isResult = true;
  }
  for (auto [i, value] : llvm::enumerate(c.values)) {
    unsigned n = i;
    bool isByValue = value.type.isScalar && !value.isResult;
    c.parameters.push_back(
        {isByValue ? CParameter::Scalar : CParameter::Data, n, 0, value.name});
    auto addEach = [&](CParameter::Kind kind, StringRef word, bool all) {
      for (auto [d, size] : llvm::enumerate(value.type.shape))
        if (all || size == ValueType::kDynamic) {
          std::string name = (value.name + "_" + word + Twine(d)).str();
          c.parameters.push_back({kind, n, unsigned(d), taken.take({name})});
        }
    };
    if (!value.isResult)
      addEach(CParameter::Size, "size", /*all=*/false);
    if (value.hasStrides)
      addEach(CParameter::Stride, "stride", /*all=*/true);
  }
  auto addLast = [&](CParameter::Kind kind, StringRef name) {
    c.parameters.push_back({kind, 0, 0, taken.take({name})});
  };
  if (options.workspace) {
    addLast(CParameter::Workspace, "workspace");
    addLast(CParameter::WorkspaceBytes, "workspace_bytes");
  }
  if (options.forGpu)
    addLast(CParameter::Stream, "stream");
  c.signature = std::move(signature);
  return c;
}

FailureOr<std::vector<CFunction>>
quant_ste::describeCFunctions(ModuleOp module, const AsmParserState *names,
                              const CInterfaceOptions &options) {
  std::vector<CFunction> functions;
  for (Signature &signature : getSignatures(module)) {
    if (!options.function.empty() && signature.function != options.function)
      continue;
    auto f = module.lookupSymbol<func::FuncOp>(signature.function);
    if (failed(
            checkHasCForm(f, signature, options.prefix + signature.function)))
      return failure();
    functions.push_back(describe(f, std::move(signature), names, options));
  }
  for (const CFunction &f : functions) {
    auto taken = llvm::find_if(functions, [&](const CFunction &other) {
      return f.hasWorkspace() && other.name == f.getQueryName();
    });
    if (taken != functions.end())
      return module.lookupSymbol(taken->signature.function)->emitError("@")
             << taken->signature.function << " has no form in C: '"
             << taken->name << "' is the function that says how much workspace @"
             << f.signature.function << " needs";
  }
  if (functions.empty() && !options.function.empty())
    return emitError(module.getLoc(), "no public function @")
           << options.function << " with a body";
  if (functions.empty())
    return emitError(module.getLoc(),
                     "expected a public function with a body, got none");
  return functions;
}

std::string quant_ste::getErrorFunctionName(StringRef library) {
  return (library + "_error").str();
}

//===----------------------------------------------------------------------===//
// The header
//===----------------------------------------------------------------------===//

static StringRef getCType(ElementType type) {
  switch (type) {
  case ElementType::f16:
  case ElementType::bf16:
  case ElementType::ui16:
    return "uint16_t";
  case ElementType::f32:
    return "float";
  case ElementType::f64:
    return "double";
  case ElementType::i1:
  case ElementType::ui8:
    return "uint8_t";
  case ElementType::i8:
    return "int8_t";
  case ElementType::i16:
    return "int16_t";
  case ElementType::i32:
    return "int32_t";
  case ElementType::i64:
  case ElementType::index:
    return "int64_t";
  case ElementType::ui32:
    return "uint32_t";
  case ElementType::ui64:
    return "uint64_t";
  }
  llvm_unreachable("unknown element type");
}

static const CParameter *findParameter(const CFunction &f,
                                       CParameter::Kind kind, unsigned value,
                                       unsigned dim) {
  auto found = llvm::find_if(f.parameters, [&](const CParameter &p) {
    return p.kind == kind && p.value == value && p.dim == dim;
  });
  return found == f.parameters.end() ? nullptr : &*found;
}

/// "(x_size0 * 49 + 7) / 8": the bytes of a packed row.
static std::string spellPackedSize(StringRef size, int64_t bits) {
  std::string factor = bits == 1 ? "" : " * " + std::to_string(bits);
  return ("(" + size + factor + " + 7) / 8").str();
}

/// "x_size0" or "4": how the header writes the size of a dimension.
static std::string spellSize(const CFunction &f, unsigned value, unsigned d) {
  unsigned numArguments = f.signature.arguments.size();
  if (value >= numArguments) {
    const ResultDim &dim = f.signature.resultDims[value - numArguments][d];
    if (!dim.like)
      return std::to_string(dim.size);
    std::string size = spellSize(f, dim.like->argument, dim.like->dim);
    return dim.bits ? spellPackedSize(size, dim.bits) : size;
  }
  const CParameter *size = findParameter(f, CParameter::Size, value, d);
  return size ? size->name : std::to_string(f.values[value].type.shape[d]);
}

static std::string spellType(const CFunction &f, unsigned value) {
  const ValueType &type = f.values[value].type;
  std::string out = getName(type.element).str();
  for (unsigned d = 0, e = type.shape.size(); d < e; ++d)
    out += (Twine("[") + spellSize(f, value, d) + "]").str();
  return out;
}

static void writeParameter(raw_ostream &os, const CFunction &f,
                           const CParameter &p) {
  if (p.kind == CParameter::Stream || p.kind == CParameter::Workspace) {
    os << "void *" << p.name;
    return;
  }
  if (p.kind == CParameter::WorkspaceBytes) {
    os << "int64_t " << p.name;
    return;
  }
  const CValue &value = f.values[p.value];
  StringRef type = getCType(value.type.element);
  switch (p.kind) {
  case CParameter::Data:
    os << (value.isResult || value.isWritable ? "" : "const ") << type << " *";
    break;
  case CParameter::Scalar:
    os << type << ' ';
    break;
  case CParameter::Size:
  case CParameter::Stride:
    os << "int64_t ";
    break;
  case CParameter::Workspace:
  case CParameter::WorkspaceBytes:
  case CParameter::Stream:
    break; // above
  }
  os << p.name;
}

/// Breaks lines at 80 columns.
static void writeDeclaration(raw_ostream &os, StringRef name,
                             ArrayRef<std::string> parameters) {
  std::string line = ("int " + name + "(").str();
  std::string indent(line.size(), ' ');
  for (auto [i, parameter] : llvm::enumerate(parameters)) {
    std::string text = parameter;
    text += i + 1 == parameters.size() ? ");" : ",";
    if (line.size() + text.size() + 1 > 80 && line.size() > indent.size()) {
      os << line << '\n';
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + text;
  }
  os << (parameters.empty() ? line + "void);" : line) << "\n";
}

static void writeFunction(raw_ostream &os, const CFunction &f) {
  os << "/* @" << f.signature.function << " : " << f.signature.str()
     << "\n *\n";
  for (auto [i, value] : llvm::enumerate(f.values)) {
    os << " *   " << value.name << " : " << spellType(f, i)
       << (value.isResult ? ", written"
                          : (value.isWritable ? ", read and written" : ""));
    if (value.hasStrides)
      os << ", with strides";
    os << '\n';
  }
  auto list = [&](const EqualDims &equal) {
    llvm::interleave(
        equal.dims,
        [&](ArgumentDim d) { os << spellSize(f, d.argument, d.dim); },
        [&] { os << " == "; });
  };
  for (const EqualDims &equal : f.signature.equalDims) {
    os << " * Needs ";
    list(equal);
    if (equal.size != ValueType::kDynamic)
      os << " == " << equal.size;
    os << ".\n";
  }
  for (auto [bytes, like, bits] : f.signature.packedDims)
    os << " * Needs " << spellSize(f, bytes.argument, bytes.dim) << " == "
       << spellPackedSize(spellSize(f, like.argument, like.dim), bits)
       << ".\n";
  if (f.hasWorkspace())
    os << " * " << f.getQueryName()
       << " sets the bytes of workspace that it needs.\n";
  os << " */\n";
  std::vector<std::string> parameters, ofQuery;
  for (const CParameter &p : f.parameters) {
    llvm::raw_string_ostream text(parameters.emplace_back());
    writeParameter(text, f, p);
    if (p.kind == CParameter::Size || p.kind == CParameter::Scalar)
      ofQuery.push_back(parameters.back());
  }
  writeDeclaration(os, f.name, parameters);
  ofQuery.push_back("int64_t *bytes");
  if (f.hasWorkspace())
    writeDeclaration(os, f.getQueryName(), ofQuery);
  os << '\n';
}

void quant_ste::writeCHeader(raw_ostream &os, StringRef library,
                             StringRef source, StringRef target,
                             ArrayRef<CFunction> functions) {
  std::string error = getErrorFunctionName(library);
  std::string guard = StringRef(library).upper() + "_H";
  bool isForGpu =
      llvm::any_of(functions, [](const CFunction &f) { return f.isForGpu(); });
  bool hasWorkspace = llvm::any_of(
      functions, [](const CFunction &f) { return f.hasWorkspace(); });
  os << "/* Written by qopt-compile from " << source << ", for " << target
     << ".\n *\n";
  if (isForGpu)
    os << R"( * Pointers are addresses in the memory of the GPU, except those that scalar
 * results go to. `stream` is a CUstream (or cudaStream_t), NULL for the default
 * one; the work is put on it, in the thread's current context, and nothing
 * waits for it. )"
       << (hasWorkspace ? R"(Temporary buffers are in the workspace, an address in the
 * memory of the GPU that is a multiple of 256; or, if that is NULL, come from
 * the stream's memory pool. Work that is on one stream may share a workspace.
 * How many bytes it needs depends on sizes and scalars, not on the GPU; where a
 * condition or a count is read from a tensor, it is said for zeros there.
 *
)"
                        : R"(Temporary buffers come from the stream's
 * memory pool.
 *
)");
  os << R"( * Pointers lead to row-major arrays without gaps, aligned to their elements;
 * sizes count elements, as do strides where there are any. A pointer to an
 * array without elements may be NULL. f16 and bf16 are given as their 16 bits,
 * i1 as a byte that is 0 or 1. What is written overlaps nothing else that is
 * given. No pointer is kept. Functions may be called from several threads at
 * once.
 *
 * A function returns 0, or a code that )"
     << error << R"( explains; then it has written
 * nothing. Checked are NULL, negative sizes and sizes that do not fit,
 * alignment, overlap, and )"
     << (isForGpu ? R"(what the CUDA driver says; of that, the error is
 * the thread's last, and results may have been written.
 */)"
                  : R"(whether this processor runs the code.
 */)")
     << R"(
#ifndef )"
     << guard << "\n#define " << guard << R"(

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The low 4 bits of an error code. */
#ifndef QUANT_STE_ERROR_CLASSES
#define QUANT_STE_ERROR_CLASSES
enum quant_ste_error_class {
  QUANT_STE_ERROR_NULL = 1,
  QUANT_STE_ERROR_SIZE = 2,
  QUANT_STE_ERROR_ALIGNMENT = 3,
  QUANT_STE_ERROR_OVERLAP = 4,
  QUANT_STE_ERROR_MEMORY = 5,
  QUANT_STE_ERROR_PROCESSOR = 6,
  QUANT_STE_ERROR_DEVICE = 7
};
#endif

/* "f: y_size0: expected x_size0". Never NULL, never to be freed. */
const char *)"
     << error << "(int code);\n\n";
  for (const CFunction &f : functions)
    writeFunction(os, f);
  os << "#ifdef __cplusplus\n}\n#endif\n\n#endif /* " << guard << " */\n";
}

//===----------------------------------------------------------------------===//
// The description
//===----------------------------------------------------------------------===//

static llvm::json::Value describeSize(int64_t size) {
  if (size == ValueType::kDynamic)
    return nullptr;
  return size;
}

/// Where the size of a dimension of a result comes from: a number, or an
/// argument, its dimension, and the bits for each element if they are packed.
static llvm::json::Value describeSize(const ResultDim &dim) {
  if (dim.like)
    return llvm::json::Array{dim.like->argument, dim.like->dim, dim.bits};
  return dim.size;
}

static llvm::json::Object describeValue(const CFunction &f, unsigned i) {
  const CValue &value = f.values[i];
  llvm::json::Object out{{"name", value.type.name},
                         {"c_name", value.name},
                         {"type", getName(value.type.element)},
                         {"is_result", value.isResult},
                         {"is_writable", value.isWritable},
                         {"shape", nullptr}};
  if (value.type.isScalar)
    return out;
  llvm::json::Array shape;
  for (int64_t size : value.type.shape)
    shape.push_back(describeSize(size));
  out["shape"] = std::move(shape);
  if (!value.isResult)
    return out;
  llvm::json::Array like;
  for (const ResultDim &dim :
       f.signature.resultDims[i - f.signature.arguments.size()])
    like.push_back(describeSize(dim));
  out["sizes"] = std::move(like);
  return out;
}

static llvm::json::Array describeParameter(const CParameter &p) {
  switch (p.kind) {
  case CParameter::Data:
    return llvm::json::Array{"data", p.value};
  case CParameter::Scalar:
    return llvm::json::Array{"scalar", p.value};
  case CParameter::Size:
    return llvm::json::Array{"size", p.value, p.dim};
  case CParameter::Stride:
    return llvm::json::Array{"stride", p.value, p.dim};
  case CParameter::Workspace:
    return llvm::json::Array{"workspace"};
  case CParameter::WorkspaceBytes:
    return llvm::json::Array{"workspace_bytes"};
  case CParameter::Stream:
    return llvm::json::Array{"stream"};
  }
  llvm_unreachable("unknown kind of parameter");
}

std::string quant_ste::describeAsJSON(StringRef library,
                                      ArrayRef<CFunction> functions) {
  llvm::json::Array described;
  for (const CFunction &f : functions) {
    llvm::json::Array values, parameters;
    for (unsigned i = 0, e = f.values.size(); i < e; ++i)
      values.push_back(describeValue(f, i));
    for (const CParameter &p : f.parameters)
      parameters.push_back(describeParameter(p));
    described.push_back(
        llvm::json::Object{{"name", f.signature.function},
                           {"c_name", f.name},
                           {"signature", f.signature.str()},
                           {"values", std::move(values)},
                           {"parameters", std::move(parameters)}});
  }
  llvm::json::Object out{{"error", getErrorFunctionName(library)},
                         {"functions", std::move(described)}};
  return llvm::formatv("{0}", llvm::json::Value(std::move(out)));
}
