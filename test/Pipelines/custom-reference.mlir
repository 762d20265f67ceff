// Every op that a rule may evaluate on constants gives the bits of compiled code:
// signed zeros, ties, denormals, infinities, NaN (whose sign means nothing).
//
// RUN: qopt-run %s --function=all \
// RUN:   --input=24xf32=0,-0,0.5,-0.5,1.5,-1.5,2.5,-2.5,0.1,-0.1,3.3,-3.3,1e-40,-1e-40,3e38,-3e38,inf,-inf,nan,7,-7,8388609,16777217,0.49999997 \
// RUN:   --input=24xf32=-0,0,3,0.1,-0,1.5,-2.5,1e-40,7,0.3,-3.3,0.7,2,3,10,1,inf,1,1,nan,0.1,0.5,3,1 \
// RUN:   | sed s/-nan/nan/g > %t.compiled
// RUN: qopt-run %s --function=all --reference \
// RUN:   --input=24xf32=0,-0,0.5,-0.5,1.5,-1.5,2.5,-2.5,0.1,-0.1,3.3,-3.3,1e-40,-1e-40,3e38,-3e38,inf,-inf,nan,7,-7,8388609,16777217,0.49999997 \
// RUN:   --input=24xf32=-0,0,3,0.1,-0,1.5,-2.5,1e-40,7,0.3,-3.3,0.7,2,3,10,1,inf,1,1,nan,0.1,0.5,3,1 \
// RUN:   | sed s/-nan/nan/g > %t.reference
// RUN: diff %t.compiled %t.reference
// RUN: FileCheck %s < %t.reference
//
// CHECK: result[0]: 24xf32=0 0 3.5 -0.4 1.5 0 0 -2.5
// CHECK: result[4]: 24xf32=0 -0 1 -1 2 -2 3 -3 0 -0 3 -3 0
func.func @all(%x: tensor<24xf32>, %s: tensor<24xf32>)
    -> (tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
        tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
        tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
        tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
        tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
        tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
        tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>) {
  %0 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = arith.addf %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %1 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = arith.subf %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %2 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = arith.mulf %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %3 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = arith.divf %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %4 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.round %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %5 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.roundeven %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %6 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.floor %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %7 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.ceil %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %8 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.trunc %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %9 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.absf %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %10 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = arith.negf %a : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %11 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %r = math.copysign %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %12 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %size = math.absf %a : f32
    %r = math.sqrt %size : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %13 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf olt, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %14 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf ole, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %15 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf oeq, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %16 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf one, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %17 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf ord, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %18 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf ult, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %19 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf ugt, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %20 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf uge, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %21 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf ueq, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %22 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf une, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %23 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %c = arith.cmpf uno, %a, %b : f32
    %r = arith.select %c, %a, %b : f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %24 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %wide = arith.extf %a : f32 to f64
    %wideB = arith.extf %b : f32 to f64
    %p = arith.mulf %wide, %wideB : f64
    %r = arith.truncf %p : f64 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %25 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %bits = arith.bitcast %a : f32 to i32
    %one = arith.constant 3 : i32
    %m = arith.muli %bits, %one : i32
    %sh = arith.constant 7 : i32
    %u = arith.shrui %m, %sh : i32
    %t = arith.shrsi %m, %sh : i32
    %v = arith.xori %u, %t : i32
    %w = arith.addi %v, %m : i32
    %r = arith.sitofp %w : i32 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %26 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %bits = arith.bitcast %a : f32 to i32
    %half = arith.trunci %bits : i32 to i16
    %u = arith.extui %half : i16 to i32
    %v = arith.extsi %half : i16 to i32
    %w = arith.subi %u, %v : i32
    %m = arith.minsi %w, %v : i32
    %r = arith.uitofp %m : i32 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  %27 = quant_ste.custom %x, %s axes([0]) : tensor<24xf32>, tensor<24xf32>
  forward(%a: f32, %b: f32) {
    %lim = arith.constant 1000.0 : f32
    %size = math.absf %a : f32
    %ok = arith.cmpf olt, %size, %lim : f32
    %t = arith.select %ok, %a, %lim : f32
    %i = arith.fptosi %t : f32 to i32
    %r = arith.sitofp %i : i32 to f32
    quant_ste.yield %r : f32
  } partials(%a: f32, %b: f32, %r: f32) {
    quant_ste.yield %a, %b : f32, f32
  }
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27
    : tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
      tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
      tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
      tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
      tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
      tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>,
      tensor<24xf32>, tensor<24xf32>, tensor<24xf32>, tensor<24xf32>
}
