// RUN: qopt-opt %s --quant-ste-differentiate="function=moves" | FileCheck %s --check-prefix=MOVES
// RUN: qopt-opt %s --quant-ste-differentiate="function=slices" | FileCheck %s --check-prefix=SLICES
// RUN: qopt-opt %s --quant-ste-differentiate="function=elements" | FileCheck %s --check-prefix=ELEMENTS

// The cotangent moves back the way the elements came.

// MOVES-LABEL: func @moves_vjp(
// MOVES-SAME: %[[X:.*]]: tensor<?x3xf32>, %[[T:.*]]: tensor<6xf32>
// MOVES: %[[A:.*]] = tensor.cast %[[T]] : tensor<6xf32> to tensor<?xf32>
// MOVES: %[[B:.*]] = tensor.expand_shape %[[A]] {{\[\[}}0, 1]] output_shape [%{{.*}}, 3]
// MOVES: %[[C:.*]] = tensor.collapse_shape %[[B]] {{\[\[}}0], [1]]
// MOVES-NOT: %[[X]]
// MOVES: return %{{.*}}, %[[C]]
func.func @moves(%x: tensor<?x3xf32>) -> tensor<6xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x3xf32>
  %e = tensor.expand_shape %x [[0], [1]] output_shape [%n, 3] : tensor<?x3xf32> into tensor<?x3xf32>
  %f = tensor.collapse_shape %e [[0, 1]] : tensor<?x3xf32> into tensor<?xf32>
  %r = tensor.cast %f : tensor<?xf32> to tensor<6xf32>
  return %r : tensor<6xf32>
}

// SLICES-LABEL: func @slices_vjp(
// SLICES-SAME: %[[X:.*]]: tensor<4x4xf32>, %[[Y:.*]]: tensor<?x4xf32>, %[[T:.*]]: tensor<?x6xf32>
// SLICES: %[[A:.*]] = tensor.extract_slice %[[T]][0, 1] [%{{.*}}, 4] [1, 1]
// SLICES: %[[DS:.*]] = tensor.extract_slice %[[A]][1, 0] [1, 4] [1, 1] : tensor<?x4xf32> to tensor<4xf32>
// SLICES: %[[Z:.*]] = linalg.fill ins(%{{.*}}) outs(%{{.*}} : tensor<1x4xf32>)
// SLICES: %[[DY:.*]] = tensor.insert_slice %[[Z]] into %[[A]][1, 0] [1, 4] [1, 1]
// SLICES: %[[ZX:.*]] = linalg.fill
// SLICES: %[[DX:.*]] = tensor.insert_slice %[[DS]] into %[[ZX]][2, 0] [1, 4] [1, 1]
// SLICES: return %{{.*}}, %[[DX]], %[[DY]]
func.func @slices(%x: tensor<4x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x6xf32> {
  %zero = arith.constant 0.0 : f32
  %row = tensor.extract_slice %x[2, 0] [1, 4] [1, 1] : tensor<4x4xf32> to tensor<4xf32>
  %i = tensor.insert_slice %row into %y[1, 0] [1, 4] [1, 1] : tensor<4xf32> into tensor<?x4xf32>
  %p = tensor.pad %i low[0, 1] high[0, 1] {
  ^bb0(%a: index, %b: index):
    tensor.yield %zero : f32
  } : tensor<?x4xf32> to tensor<?x6xf32>
  return %p : tensor<?x6xf32>
}

// ELEMENTS-LABEL: func @elements_vjp(
// ELEMENTS-SAME: %[[X:.*]]: tensor<3xf32>, %[[T:.*]]: tensor<2xf32>
// ELEMENTS: %[[DS:.*]] = tensor.extract %[[T]][%{{.*}}]
// ELEMENTS: %[[D:.*]] = tensor.insert %[[DS]] into %{{.*}}[%{{.*}}] : tensor<3xf32>
// ELEMENTS: return %{{.*}}, %[[D]]
func.func @elements(%x: tensor<3xf32>) -> tensor<2xf32> {
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %s = tensor.extract %x[%c1] : tensor<3xf32>
  %r = tensor.from_elements %one, %s : tensor<2xf32>
  return %r : tensor<2xf32>
}
