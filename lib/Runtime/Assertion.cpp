//===- Assertion.cpp - assertions of compiled code -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/Assertion.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

namespace {
/// A call to leave. Compiled code has no destructors that a jump would skip.
struct GuardedCall {
  std::jmp_buf start;
  const char *message = nullptr;
};
} // namespace

static thread_local GuardedCall *innermost = nullptr;

void quant_ste_assertion_failed(const char *message) {
  if (!innermost) {
    std::fprintf(stderr, "%s\n", message);
    std::abort();
  }
  innermost->message = message;
  std::longjmp(innermost->start, 1);
}

/// Compiled code does not carry the signature that -fsanitize=function looks
/// for in front of every function.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
const char *quant_ste_call_guarded(void (*entry)(void **), void **slots) {
  GuardedCall call;
  // Unchanged between setjmp and longjmp, so that both paths may read it.
  GuardedCall *const outer = innermost;
  if (setjmp(call.start) == 0) {
    innermost = &call;
    entry(slots);
  }
  innermost = outer;
  return call.message;
}
