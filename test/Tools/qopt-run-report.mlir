// A training loop reports its progress; the lines come in order with the
// results.
// RUN: qopt-run %s --input=3 | FileCheck %s --strict-whitespace
// CHECK:      epoch  0  loss 1.0000  test accuracy 0.2500
// CHECK-NEXT: epoch  1  loss 0.5000  test accuracy 0.2500
// CHECK-NEXT: epoch  2  loss 0.2500  test accuracy 0.2500
// CHECK-NEXT: result[0]: f32=0.125
// CHECK-NOT: {{.}}
func.func private @quant_ste_report_epoch(index, f32, f32)
  attributes {llvm.emit_c_interface}

func.func @train(%epochs: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %half = arith.constant 0.5 : f32
  %accuracy = arith.constant 0.25 : f32
  %end = scf.for %i = %c0 to %epochs step %c1 iter_args(%loss = %one) -> f32 {
    func.call @quant_ste_report_epoch(%i, %loss, %accuracy)
      : (index, f32, f32) -> ()
    %next = arith.mulf %loss, %half : f32
    scf.yield %next : f32
  }
  return %end : f32
}
