// Groups of four weights along a row share a power of two (OCP MX 1.0); each
// weight is an e2m1 number (0, 0.5, 1, 1.5, 2, 3, 4, 6) times that.
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x8xf32>
  %g = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 4]
    : tensor<?x8xf32> into tensor<?x2x4xf32>
  %magnitude = math.absf %g : tensor<?x2x4xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%n) : tensor<?x2xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x2xf32>)
    -> tensor<?x2xf32>
  %max = linalg.reduce { arith.maximumf } ins(%magnitude : tensor<?x2x4xf32>)
    outs(%start : tensor<?x2xf32>) dimensions = [2]
  %scale = quant_ste.mx_scale %max element(e2m1) grad(ste) : tensor<?x2xf32>
  %q = quant_ste.float_quant %g, %scale axes([0, 1]) format(e2m1) signed
    saturating grad(clipped) : tensor<?x2x4xf32>, tensor<?x2xf32>
  %y = tensor.collapse_shape %q [[0], [1, 2]]
    : tensor<?x2x4xf32> into tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// The scale's gradient goes to the largest weight of its group.
func.func @gradient(%x: tensor<?x8xf32>, %dy: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %y, %dx = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?x8xf32>), (tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %y, %dx : tensor<?x8xf32>, tensor<?x8xf32>
}
