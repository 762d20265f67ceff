"""lit configuration of quant_ste."""

import os
import platform

import lit.formats

config.name = "quant_ste"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt", "lit.cfg.py", "Unit"]
config.test_source_root = os.path.join(config.quant_ste_source_dir, "test")
config.test_exec_root = os.path.join(config.quant_ste_binary_dir, "test")

for tool in ("qopt-opt", "qopt-run", "qopt-compile", "qopt-reduce", "qopt-lsp-server"):
    path = os.path.join(config.quant_ste_tools_dir, tool)
    config.substitutions.append((r"(?<![/\w-])%s(?![\w-])" % tool, path))
config.substitutions.append((r"(?<![/\w-])FileCheck(?![\w-])",
                             config.filecheck + " -enable-var-scope"))
config.substitutions.append((r"(?<![/\w-])not(?![\w-])",
                             os.path.join(config.llvm_tools_dir, "not")))
config.substitutions.append(("%examples",
                             os.path.join(config.quant_ste_source_dir, "examples")))

# The distribution's own mlir-opt, and the plugin for it; a tool that is not
# sanitized cannot load a library that is.
config.substitutions.append((r"(?<![/\w-])mlir-opt(?![\w-])",
                             os.path.join(config.llvm_tools_dir, "mlir-opt")))
config.substitutions.append(("%plugin", os.path.join(
    config.quant_ste_lib_dir, "libQuantSTEPlugin.so")))
# MLIR tells traits apart by their names as the compiler spells them, where the
# linker has not made one symbol of two: g++'s are not those of a libMLIR that
# clang has built, as Debian's.
if config.quant_ste_compiler == "Clang":
    config.available_features.add("mlir-c")
    if not config.quant_ste_sanitizers:
        config.available_features.add("plugin")

if platform.machine() in ("x86_64", "AMD64"):
    config.available_features.add("x86_64-host")
# What a program needs that links a library of ours with our runtime inside.
config.substitutions.append(("%sanitize", "-fsanitize=" + config.quant_ste_sanitizers
                             if config.quant_ste_sanitizers else ""))
config.substitutions.append(("%cc", config.c_compiler))

config.environment["PATH"] = os.pathsep.join(
    [config.quant_ste_tools_dir, config.llvm_tools_dir,
     config.environment.get("PATH", "")])

# LLVM's allocators poison what they have not given out yet, and a libMLIR that is
# not sanitized does not lift that.
config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"
