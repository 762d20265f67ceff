//===- Progress.h - what is taking so long ----------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TOOLS_QOPT_RUN_PROGRESS_H
#define QUANT_STE_TOOLS_QOPT_RUN_PROGRESS_H

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace mlir::quant_ste::qopt_run {

/// Measures what runs between start and stop. When standard error is a
/// terminal and it takes more than two seconds, a line there says what runs
/// and for how long, once a second, and goes away at the end.
class Progress {
public:
  ~Progress() { stop(); }
  void start(std::string what);
  /// Milliseconds since start; 0 when nothing was started.
  double stop();
  /// Before something else is printed: takes the line away until its next turn.
  void erase();

private:
  using Clock = std::chrono::steady_clock;
  void watch(const std::string &what);

  Clock::time_point begin;
  bool isRunning = false;
  bool isShown = false;
  std::mutex mutex;
  std::condition_variable stopped;
  std::thread watcher;
};

} // namespace mlir::quant_ste::qopt_run

#endif // QUANT_STE_TOOLS_QOPT_RUN_PROGRESS_H
