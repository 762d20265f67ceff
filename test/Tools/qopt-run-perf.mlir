// What perf is told of compiled code: address, size, name.

// RUN: bash -c 'qopt-run %s -g --perf-map --input=3xf32=0.4,1.6,2.5 & wait; cat /tmp/perf-$!.map; rm /tmp/perf-$!.map' | FileCheck %s
// CHECK: result[0]: 3xf32=0 2 2
// CHECK-DAG: {{^[0-9a-f]+ [0-9a-f]+ quant_ste_call_f$}}
// CHECK-DAG: {{^[0-9a-f]+ [0-9a-f]+ f_task$}}
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}
