#!/bin/sh
# 1: the module is interesting, because it still holds a quant_ste.pact.
! grep -q "quant_ste.pact" "$1"
