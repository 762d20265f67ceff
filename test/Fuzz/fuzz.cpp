//===- fuzz.cpp - wrong modules are refused, not crashed on -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mutates modules in generic form, and takes each through the parser, the
// verifier, differentiation and the pipelines, in a process of its own with a
// limit of time and memory. A rejection must come with an error; a crash, a
// hang or a silent rejection is a failure, whose module is kept.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/ShapedOpInterfaces.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "quant_ste/InitAll.h"
#include "quant_ste/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/ToolOutputFile.h"

#include <csignal>
#include <map>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
namespace cl = llvm::cl;

static cl::list<std::string> roots(cl::Positional, cl::OneOrMore,
                                   cl::desc("<folder of .mlir files>..."));
static cl::opt<uint64_t> seed("seed", cl::init(1),
                              cl::desc("Of the mutations"));
static cl::opt<unsigned> count("count", cl::init(5000),
                               cl::desc("Number of mutated modules"));
static cl::opt<unsigned> only("only", cl::init(0),
                              cl::desc("Print module N (from 1) and stop"));
static cl::opt<unsigned> seconds("seconds", cl::init(10),
                                 cl::desc("Limit for each module"));
static cl::opt<std::string> keep("keep", cl::init("."),
                                 cl::desc("Folder for the modules that fail"));
static cl::list<std::string>
    pipelines("pipeline",
              cl::desc("Pass pipelines to take each module through"));

//===----------------------------------------------------------------------===//
// Modules to start from
//===----------------------------------------------------------------------===//

/// Files are split at `// -----` and `//---`; what does not parse is left out.
static std::vector<std::string> readCorpus(MLIRContext &context) {
  std::vector<std::string> paths, modules;
  for (const std::string &root : roots) {
    std::error_code error;
    for (llvm::sys::fs::recursive_directory_iterator it(root, error), end;
         it != end && !error; it.increment(error))
      if (llvm::sys::path::extension(it->path()) == ".mlir")
        paths.push_back(it->path());
  }
  llvm::sort(paths); // the file system's order is nobody's
  ScopedDiagnosticHandler quiet(&context,
                                [](Diagnostic &) { return success(); });
  for (const std::string &path : paths) {
    auto file = llvm::MemoryBuffer::getFile(path);
    if (!file)
      continue;
    SmallVector<StringRef> chunks;
    (*file)->getBuffer().split(chunks, "\n//");
    std::string text;
    auto flush = [&] {
      if (auto module = parseSourceString<ModuleOp>(text, &context)) {
        std::string generic;
        llvm::raw_string_ostream os(generic);
        module->print(os, OpPrintingFlags().printGenericOpForm());
        // MLIR's verifiers crash on a script of the transform dialect with a
        // handle less, and on a launch whose numbers of operands are wrong.
        auto has = [&](StringRef op) {
          return StringRef(generic).contains(op);
        };
        if (generic.size() < 20000 && !has("\"transform.") &&
            !has("\"gpu.launch_func\""))
          modules.push_back(std::move(generic));
      }
      text.clear();
    };
    for (StringRef chunk : chunks) {
      if (chunk.starts_with(" -----") || chunk.starts_with("---"))
        flush();
      text += ("\n//" + chunk).str();
    }
    flush();
  }
  return modules;
}

//===----------------------------------------------------------------------===//
// Mutations
//===----------------------------------------------------------------------===//

namespace {
class Mutator {
public:
  Mutator(const std::vector<std::string> &corpus, uint64_t seed)
      : corpus(corpus), random(seed) {}

  std::string next() {
    std::string text = corpus[pick(corpus.size())];
    for (unsigned n = 1 + pick(3); n; --n)
      mutate(text);
    return text;
  }

private:
  size_t pick(size_t n) { return n ? random() % n : 0; }
  template <class List> StringRef oneOf(const List &list) {
    return list[pick(std::size(list))];
  }

  /// Replaces a group of a random match of `pattern`.
  bool replace(std::string &text, StringRef pattern, unsigned group,
               function_ref<std::string(StringRef)> by) {
    llvm::Regex regex(pattern);
    SmallVector<std::pair<size_t, size_t>> matches;
    SmallVector<StringRef> groups;
    StringRef rest = text;
    while (regex.match(rest, &groups)) {
      StringRef match = groups[group];
      matches.emplace_back(match.data() - text.data(), match.size());
      rest =
          rest.drop_front(groups[0].data() +
                          std::max<size_t>(groups[0].size(), 1) - rest.data());
    }
    if (matches.empty())
      return false;
    auto [at, size] = matches[pick(matches.size())];
    std::string to = by(StringRef(text).substr(at, size));
    text.replace(at, size, to);
    return true;
  }

  void mutate(std::string &text) {
    static constexpr StringRef kIntegers[] = {"0",
                                              "1",
                                              "-1",
                                              "2",
                                              "7",
                                              "31",
                                              "32",
                                              "33",
                                              "64",
                                              "1000000",
                                              "2147483648",
                                              "-9223372036854775808",
                                              "9223372036854775807"};
    static constexpr StringRef kFloats[] = {"0.0",
                                            "-0.0",
                                            "1.0",
                                            "-1.0",
                                            "1.0e-45",
                                            "3.0e38",
                                            "1.0e300",
                                            "0x7FF0000000000000",
                                            "0x7FF8000000000000"};
    static constexpr StringRef kElements[] = {"f16", "bf16", "f32", "f64",
                                              "i1",  "i8",   "i32", "index"};
    static constexpr StringRef kTypes[] = {"tensor<f32>",
                                           "tensor<?xf32>",
                                           "tensor<4xf32>",
                                           "tensor<0xf32>",
                                           "tensor<*xf32>",
                                           "f32",
                                           "memref<?xf32>",
                                           "vector<4xf32>",
                                           "tensor<?x?xf16>",
                                           "tensor<4x4xf64>",
                                           "tensor<?xi32>",
                                           "none",
                                           "tensor<1x2x3x4x5x6xbf16>",
                                           "complex<f32>"};
    static constexpr StringRef kWords[] = {"#quant_ste<ste>",
                                           "#quant_ste<exact>",
                                           "#quant_ste<clipped>",
                                           "#quant_ste<pact>",
                                           "#quant_ste<unfused>",
                                           "#quant_ste<swish(5.0)>",
                                           "#quant_ste<window(1.0, -1.0)>",
                                           "#quant_ste<ewgs(1.0e300)>",
                                           "#quant_ste<lsq>",
                                           "unit",
                                           "\"ste\"",
                                           "1 : i64"};
    auto constant = [&](const auto &list) {
      return [&](StringRef) { return oneOf(list).str(); };
    };
    switch (pick(20)) {
    case 0:
      replace(text, "[^%#@a-zA-Z_0-9.x<](-?[0-9]+)( :|,|\\]|>|\\))", 1,
              [&](StringRef) { return oneOf(kIntegers).str(); });
      break;
    case 1:
      replace(text, "[ (<]-?[0-9]+\\.[0-9]+e[+-][0-9]+", 0, [&](StringRef old) {
        return old.take_front().str() + oneOf(kFloats).str();
      });
      break;
    case 2:
      replace(text, "[x< ]((f|bf|i)(16|32|64|8|1))[>,) ]", 1,
              constant(kElements));
      break;
    case 3:
      replace(text, "tensor<[^<>]*>", 0, constant(kTypes));
      break;
    case 4: // another size
      replace(text, "[<x]([0-9]+|\\?)x", 1, [&](StringRef) {
        static constexpr StringRef kSizes[] = {"?", "0", "1",
                                               "2", "5", "9223372036854775807"};
        return oneOf(kSizes).str();
      });
      break;
    case 5: // another value
      replace(text, "%[a-zA-Z0-9_#]+", 0, [&](StringRef old) {
        std::string found = old.str();
        replace(scratch = text, "%[a-zA-Z0-9_]+", 0, [&](StringRef other) {
          found = other.str();
          return other.str();
        });
        return found;
      });
      break;
    case 6: // a line less
    case 7: // a line twice
      mutateLine(text);
      break;
    case 8:
      replace(text, "#quant_ste[.<][a-z_]*(<[^<>]*>|\\([^()]*\\)>|>)?", 0,
              constant(kWords));
      break;
    case 9: // another op of the dialect
      replace(text, "\"quant_ste\\.[a-z_]+\"", 0, [&](StringRef old) {
        std::string found = old.str();
        replace(scratch = corpus[pick(corpus.size())],
                "\"quant_ste\\.[a-z_]+\"", 0, [&](StringRef other) {
                  found = other.str();
                  return other.str();
                });
        return found;
      });
      break;
    case 10: // an attribute less
      replace(text, "[{,] ?[a-zA-Z_]+ = [^,<>{}]+", 0,
              [&](StringRef old) { return old.take_front().str(); });
      break;
    case 11: // an attribute of another name
      replace(text, "[<{ ]([a-z_]+) = ", 1,
              [&](StringRef) { return "unknown = "; });
      break;
    case 12: // a dense constant
      replace(text, "dense<[^<>]*>", 0,
              [&](StringRef) { return "dense<" + oneOf(kFloats).str() + ">"; });
      break;
    case 14: // one type for another, everywhere
    case 15:
    case 16: {
      std::string from, to = oneOf(kTypes).str();
      replace(scratch = text, "tensor<[^<>]*>", 0, [&](StringRef old) {
        from = old.str();
        return from;
      });
      replaceAll(text, from, to);
      break;
    }
    case 17: // one element type for another, everywhere
      replaceAll(text, "f32>", (oneOf(kElements) + ">").str());
      break;
    case 18: // one size for another, everywhere
      replaceAll(text, pick(2) ? "<?x" : "<4x",
                 pick(2)   ? "<3x"
                 : pick(2) ? "<?x"
                           : "<0x");
      break;
    case 19: // one word for another, everywhere
      replaceAll(text, "#quant_ste.ste", oneOf(kWords).str());
      break;
    case 13: // any character
      if (!text.empty())
        text[pick(text.size())] = " ()<>{}[]:,=%#@!x0?\"-"[pick(21)];
      break;
    }
    // MLIR's parser crashes on this one.
    replaceAll(text, "array<index", "array<i64");
  }

  static void replaceAll(std::string &text, StringRef from, StringRef to) {
    if (from.empty())
      return;
    std::string out;
    StringRef rest = text;
    while (true) {
      auto [head, tail] = rest.split(from);
      out += head;
      if (head.size() == rest.size())
        break;
      out += to;
      rest = tail;
    }
    text = std::move(out);
  }

  void mutateLine(std::string &text) {
    SmallVector<StringRef> lines;
    StringRef(text).split(lines, '\n');
    size_t at = pick(lines.size());
    if (pick(2))
      lines.erase(lines.begin() + at);
    else
      lines.insert(lines.begin() + at, lines[at]);
    text = llvm::join(lines, "\n");
  }

  const std::vector<std::string> &corpus;
  std::mt19937_64 random;
  std::string scratch;
};
} // namespace

//===----------------------------------------------------------------------===//
// One module, in a process of its own
//===----------------------------------------------------------------------===//

enum Outcome : int { kAccepted = 0, kUnparsed = 1, kRefused = 2, kSilent = 3 };

/// MLIR's own patterns of memref.dim, the gpu dialect's one among them, crash
/// on a dimension that the tensor does not have, of which the behaviour is
/// undefined.
static bool asksForMissingDim(ModuleOp module) {
  auto isMissing = [](ShapedDimOpInterface op) {
    auto type = dyn_cast<RankedTensorType>(op.getShapedValue().getType());
    std::optional<int64_t> dim = getConstantIntValue(op.getDimension());
    bool isKnown = type && dim;
    return isKnown && (*dim < 0 || *dim >= type.getRank())
               ? WalkResult::interrupt()
               : WalkResult::advance();
  };
  return module.walk(isMissing).wasInterrupted();
}

static Outcome process(MLIRContext &context, StringRef text) {
  unsigned errors = 0;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) {
    errors += d.getSeverity() == DiagnosticSeverity::Error;
    return success();
  });
  auto refused = [&](Outcome outcome) { return errors ? outcome : kSilent; };
  // The verifier of tensor.concat crashes on it.
  if (text.contains("tensor.concat") && text.contains("<{dim = -"))
    return kUnparsed;
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return refused(kUnparsed);
  if (asksForMissingDim(*module))
    return kUnparsed;
  Outcome outcome = kAccepted;
  for (const std::string &pipeline : pipelines) {
    errors = 0;
    OwningOpRef<ModuleOp> copy = module->clone();
    PassManager pm(&context);
    if (failed(parsePassPipeline(pipeline, pm)) || failed(pm.run(*copy)))
      outcome = refused(kRefused);
    if (outcome == kSilent)
      return outcome;
  }
  return outcome;
}

/// What waitpid tells of process() on `text`.
static int runApart(MLIRContext &context, StringRef text) {
  pid_t child = fork();
  if (child == 0) {
    rlimit memory{rlim_t(6) << 30, rlim_t(6) << 30};
    setrlimit(RLIMIT_AS, &memory);
    rlimit core{0, 0};
    setrlimit(RLIMIT_CORE, &core);
    alarm(seconds);
    _exit(process(context, text));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

/// Keeps a module for whom looks into it; what stops us is said, and the run
/// goes on.
static void writeFile(StringRef path, StringRef text) {
  auto write = [&](raw_ostream &os) {
    os << text;
    return llvm::Error::success();
  };
  std::error_code error =
      llvm::sys::fs::create_directories(llvm::sys::path::parent_path(path));
  llvm::Error failure =
      error ? llvm::errorCodeToError(error) : llvm::writeToOutput(path, write);
  if (failure)
    llvm::errs() << path << ": " << llvm::toString(std::move(failure)) << '\n';
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv,
                              "Takes mutated modules through the passes\n");
  DialectRegistry registry;
  quant_ste::registerEverything(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.allowUnregisteredDialects(false);
  std::vector<std::string> corpus = readCorpus(context);
  if (corpus.empty()) {
    llvm::errs() << "no module found\n";
    return 1;
  }
  // Dialects are loaded once, here, instead of in each child.
  context.loadAllAvailableDialects();

  Mutator mutator(corpus, seed);
  std::map<std::string, unsigned> outcomes;
  unsigned failures = 0;
  for (unsigned i = 1; i <= count; ++i) {
    std::string text = mutator.next();
    if (only && i == only) {
      llvm::outs() << text;
      return 0;
    }
    if (only)
      continue;
    int status = runApart(context, text);
    std::string name;
    if (WIFSIGNALED(status))
      name = WTERMSIG(status) == SIGALRM
                 ? "hang"
                 : (Twine("signal ") + Twine(WTERMSIG(status))).str();
    else
      switch (WEXITSTATUS(status)) {
      case kAccepted:
        name = "accepted";
        break;
      case kUnparsed:
        name = "refused by the parser or a verifier";
        break;
      case kRefused:
        name = "refused by a pass";
        break;
      case kSilent:
        name = "refused without an error";
        break;
      default:
        name = "exit " + std::to_string(WEXITSTATUS(status));
      }
    ++outcomes[name];
    bool isFailure = WIFSIGNALED(status) || WEXITSTATUS(status) >= kSilent;
    if (!isFailure)
      continue;
    ++failures;
    SmallString<128> path(keep);
    llvm::sys::path::append(path,
                            "fuzz-" + Twine(seed) + "-" + Twine(i) + ".mlir");
    writeFile(path, text);
    llvm::outs() << name << ": " << path << '\n';
    llvm::outs().flush();
  }
  llvm::outs() << "seed " << seed << ", " << corpus.size() << " modules, "
               << count << " mutants:\n";
  for (auto &[name, n] : outcomes)
    llvm::outs() << llvm::format("%6u ", n) << name << '\n';
  return failures != 0;
}
