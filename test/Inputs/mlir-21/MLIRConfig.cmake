# What an installed MLIR 21 answers to find_package.
