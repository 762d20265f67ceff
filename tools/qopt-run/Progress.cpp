//===- Progress.cpp - what is taking so long --------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Progress.h"

#include "llvm/Support/Process.h"
#include <cstdio>

using namespace mlir::quant_ste::qopt_run;

void Progress::start(std::string what) {
  stop();
  begin = Clock::now();
  isRunning = true;
  if (llvm::sys::Process::StandardErrIsDisplayed())
    watcher = std::thread([this, what = std::move(what)] { watch(what); });
}

double Progress::stop() {
  if (!isRunning)
    return 0;
  double elapsed =
      std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  {
    std::lock_guard<std::mutex> lock(mutex);
    isRunning = false;
  }
  stopped.notify_all();
  if (watcher.joinable())
    watcher.join();
  return elapsed;
}

static void eraseLine() { std::fprintf(stderr, "\r\033[K"); }

void Progress::erase() {
  std::lock_guard<std::mutex> lock(mutex);
  if (isShown)
    eraseLine();
  isShown = false;
}

void Progress::watch(const std::string &what) {
  std::unique_lock<std::mutex> lock(mutex);
  int seconds = 2;
  auto isDone = [&] { return !isRunning; };
  while (!stopped.wait_until(lock, begin + std::chrono::seconds(seconds),
                             isDone)) {
    std::fprintf(stderr, "\r%s: %d s", what.c_str(), seconds);
    std::fflush(stderr);
    isShown = true;
    ++seconds;
  }
  if (isShown)
    eraseLine();
  isShown = false;
}
