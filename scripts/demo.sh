#!/usr/bin/env bash
# Sets up this machine, builds, and trains the classifier of handwritten digits,
# in float and with 4 bits, from three seeds each. See examples/digits/train.mlir.

. "$(dirname "$0")/setup.sh"

install_packages
configure release
build release qopt-opt qopt-run

digits=examples/digits
out=build/digits
epochs=30
mkdir -p "$out"

# train <file.mlir> <seed> <trained parameters>
train() {
  build/release/bin/qopt-run "$1" --function=main \
    --input=@$digits/data/X.npy --input=@$digits/data/y.npy \
    --input=@$digits/data/split.npy --input=$epochs --input="$2" \
    --output-params="@$3"
}

for seed in 0 1 2; do
  say
  say "== float, seed $seed"
  train $digits/train_float.mlir $seed "$out/float-$seed.safetensors"
  say
  say "== 4-bit, seed $seed"
  train $digits/train.mlir $seed "$out/4-bit-$seed.safetensors"
done

say
python3 $digits/summary.py float "$out"/float-{0,1,2}.safetensors \
  4-bit "$out"/4-bit-{0,1,2}.safetensors
