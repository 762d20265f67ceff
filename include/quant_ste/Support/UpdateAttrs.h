//===- UpdateAttrs.h - attributes of all arguments at once ------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each change of one argument's attributes makes the list of all anew, and the
// context keeps every list: setArgAttr in a loop takes time and memory with the
// square of the number of arguments.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_SUPPORT_UPDATEATTRS_H
#define QUANT_STE_SUPPORT_UPDATEATTRS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::quant_ste {

using UpdateAttrsFn = llvm::function_ref<void(unsigned i, NamedAttrList &own)>;

inline void updateArgAttrs(FunctionOpInterface f, UpdateAttrsFn update) {
  SmallVector<DictionaryAttr> all;
  for (unsigned i = 0, e = f.getNumArguments(); i < e; ++i) {
    NamedAttrList own(f.getArgAttrDict(i));
    update(i, own);
    all.push_back(own.getDictionary(f.getContext()));
  }
  f.setAllArgAttrs(all);
}

inline void updateResultAttrs(FunctionOpInterface f, UpdateAttrsFn update) {
  SmallVector<DictionaryAttr> all;
  for (unsigned i = 0, e = f.getNumResults(); i < e; ++i) {
    NamedAttrList own(f.getResultAttrDict(i));
    update(i, own);
    all.push_back(own.getDictionary(f.getContext()));
  }
  f.setAllResultAttrs(all);
}

} // namespace mlir::quant_ste

#endif // QUANT_STE_SUPPORT_UPDATEATTRS_H
