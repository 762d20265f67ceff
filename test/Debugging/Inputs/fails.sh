#!/bin/sh
# 1: the module is interesting, because its derivative is still refused.
! qopt-opt "$1" --quant-ste-differentiate -o /dev/null 2>&1 |
  grep -q "cannot differentiate 'math.floor'"
