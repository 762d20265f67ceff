#!/bin/sh
# run.sh <demo-opt> <qopt-run>: lowers demo.mlir and compares what it computes.
set -eu
demo_opt=$1
qopt_run=$2
here=$(dirname "$0")
lowered=$(mktemp)
trap 'rm -f "$lowered"' EXIT

expect() {  # expect <what came out> <what should have>
  [ "$1" = "$2" ] || { printf 'expected\n%s\ngot\n%s\n' "$2" "$1" >&2; exit 1; }
}

# The pipelines know neither op.
"$demo_opt" "$here/demo.mlir" --quant-ste-cpu-pipeline >/dev/null
"$demo_opt" "$here/demo.mlir" --quant-ste-gpu-pipeline | grep -q 'ld\.global'

"$demo_opt" "$here/demo.mlir" --quant-ste-cpu-pipeline=stop-after=fuse >"$lowered"
expect "$("$qopt_run" "$lowered" --function=f_gradient --input=2x2xf32=0.25,2.75,-3.5,nan \
  --input=2xf32=2 --input=0.5 --input=2x2xf32=1)" \
"result[0]: 2x2xf32=[0 1][1 0]
result[1]: 2xf32=-0.375 -0.25"
expect "$("$qopt_run" "$lowered" --function=clip_gradient --input=1 --input=-1 \
  --input=1 --input=3)" "result[0]: f32=3"
