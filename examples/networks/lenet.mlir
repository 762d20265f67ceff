func.func private @net(%x: tensor<40x8x8x1xf32>,
    %frozen: i1,
    %running_mean: tensor<16xf32>,
    %running_var: tensor<16xf32>,
    %conv1: tensor<3x3x1x8xf32>,
    %conv1_scale: tensor<8xf32>,
    %conv1_bias: tensor<8xf32>,
    %act1_alpha: tensor<f32>,
    %conv2: tensor<3x3x8x16xf32>,
    %conv2_gamma: tensor<16xf32>,
    %conv2_scale: tensor<16xf32>,
    %conv2_beta: tensor<16xf32>,
    %act2_alpha: tensor<f32>,
    %fc1: tensor<64x32xf32>,
    %fc1_scale: tensor<32xf32>,
    %fc1_bias: tensor<32xf32>,
    %act3_alpha: tensor<f32>,
    %fc2: tensor<32x10xf32>,
    %fc2_scale: tensor<10xf32>,
    %fc2_bias: tensor<10xf32>)
    -> (tensor<40x10xf32>) {
  %v0 = arith.constant dense<0.00000000000000000e+00> : tensor<f32>
  %v1 = arith.constant dense<4.00000000000000000e+00> : tensor<f32>
  %v2 = quant_ste.int_quant %conv1, %conv1_scale axes([3]), %v0, %v1
      signed narrow_range rounding(round) grad(clipped)
      : tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>
  %v3 = arith.constant 0.00000000000000000e+00 : f32
  %v4 = tensor.pad %x low[0, 1, 1, 0] high[0, 1, 1, 0] {
    ^bb0(%i: index, %j: index, %k: index, %l: index):
      tensor.yield %v3 : f32
    } : tensor<40x8x8x1xf32> to tensor<40x10x10x1xf32>
  %v5 = arith.constant 0.00000000000000000e+00 : f32
  %v6 = tensor.empty() : tensor<40x8x8x8xf32>
  %v7 = linalg.fill ins(%v5 : f32) outs(%v6 : tensor<40x8x8x8xf32>) -> tensor<40x8x8x8xf32>
  %v8 = linalg.conv_2d_nhwc_hwcf {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%v4, %v2 : tensor<40x10x10x1xf32>, tensor<3x3x1x8xf32>) outs(%v7 : tensor<40x8x8x8xf32>) -> tensor<40x8x8x8xf32>
  %v9 = tensor.empty() : tensor<40x8x8x8xf32>
  %v10 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v8, %conv1_bias : tensor<40x8x8x8xf32>, tensor<8xf32>) outs(%v9 : tensor<40x8x8x8xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.addf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x8x8x8xf32>
  %v11 = quant_ste.pact %v10, %act1_alpha bits(4) grad(pact) : tensor<40x8x8x8xf32>, tensor<f32>
  %v12 = tensor.empty() : tensor<2x2xf32>
  %v13 = arith.constant 0xFF800000 : f32
  %v14 = tensor.empty() : tensor<40x4x4x8xf32>
  %v15 = linalg.fill ins(%v13 : f32) outs(%v14 : tensor<40x4x4x8xf32>) -> tensor<40x4x4x8xf32>
  %v16 = linalg.pooling_nhwc_max {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%v11, %v12 : tensor<40x8x8x8xf32>, tensor<2x2xf32>) outs(%v15 : tensor<40x4x4x8xf32>) -> tensor<40x4x4x8xf32>
  %v38:2 = scf.if %frozen -> (tensor<16xf32>, tensor<16xf32>) {
      scf.yield %running_mean, %running_var : tensor<16xf32>, tensor<16xf32>
    } else {
    %v17 = arith.constant 0.00000000000000000e+00 : f32
    %v18 = tensor.pad %v16 low[0, 1, 1, 0] high[0, 1, 1, 0] {
    ^bb0(%i: index, %j: index, %k: index, %l: index):
      tensor.yield %v17 : f32
    } : tensor<40x4x4x8xf32> to tensor<40x6x6x8xf32>
    %v19 = arith.constant 0.00000000000000000e+00 : f32
    %v20 = tensor.empty() : tensor<40x4x4x16xf32>
    %v21 = linalg.fill ins(%v19 : f32) outs(%v20 : tensor<40x4x4x16xf32>) -> tensor<40x4x4x16xf32>
    %v22 = linalg.conv_2d_nhwc_hwcf {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%v18, %conv2 : tensor<40x6x6x8xf32>, tensor<3x3x8x16xf32>) outs(%v21 : tensor<40x4x4x16xf32>) -> tensor<40x4x4x16xf32>
    %v23 = arith.constant 0.00000000000000000e+00 : f32
    %v24 = tensor.empty() : tensor<16xf32>
    %v25 = linalg.fill ins(%v23 : f32) outs(%v24 : tensor<16xf32>) -> tensor<16xf32>
    %v26 = linalg.reduce { arith.addf } ins(%v22 : tensor<40x4x4x16xf32>) outs(%v25 : tensor<16xf32>) dimensions = [0, 1, 2]
    %v27 = arith.constant dense<1.56250000000000009e-03> : tensor<16xf32>
    %v28 = arith.mulf %v26, %v27 : tensor<16xf32>
    %v29 = tensor.empty() : tensor<40x4x4x16xf32>
    %v30 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v22, %v28 : tensor<40x4x4x16xf32>, tensor<16xf32>) outs(%v29 : tensor<40x4x4x16xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.subf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x4x4x16xf32>
    %v31 = arith.mulf %v30, %v30 : tensor<40x4x4x16xf32>
    %v32 = arith.constant 0.00000000000000000e+00 : f32
    %v33 = tensor.empty() : tensor<16xf32>
    %v34 = linalg.fill ins(%v32 : f32) outs(%v33 : tensor<16xf32>) -> tensor<16xf32>
    %v35 = linalg.reduce { arith.addf } ins(%v31 : tensor<40x4x4x16xf32>) outs(%v34 : tensor<16xf32>) dimensions = [0, 1, 2]
    %v36 = arith.constant dense<1.56250000000000009e-03> : tensor<16xf32>
    %v37 = arith.mulf %v35, %v36 : tensor<16xf32>
      scf.yield %v28, %v37 : tensor<16xf32>, tensor<16xf32>
    }
  %v39 = arith.constant dense<1.00000000000000008e-05> : tensor<16xf32>
  %v40 = arith.addf %v38#1, %v39 : tensor<16xf32>
  %v41 = math.rsqrt %v40 : tensor<16xf32>
  %v42 = arith.mulf %conv2_gamma, %v41 : tensor<16xf32>
  %v43 = tensor.empty() : tensor<3x3x8x16xf32>
  %v44 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%conv2, %v42 : tensor<3x3x8x16xf32>, tensor<16xf32>) outs(%v43 : tensor<3x3x8x16xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.mulf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<3x3x8x16xf32>
  %v45 = arith.constant dense<0.00000000000000000e+00> : tensor<f32>
  %v46 = arith.constant dense<4.00000000000000000e+00> : tensor<f32>
  %v47 = quant_ste.int_quant %v44, %conv2_scale axes([3]), %v45, %v46
      signed narrow_range rounding(round) grad(clipped)
      : tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<f32>, tensor<f32>
  %v48 = arith.constant 0.00000000000000000e+00 : f32
  %v49 = tensor.pad %v16 low[0, 1, 1, 0] high[0, 1, 1, 0] {
    ^bb0(%i: index, %j: index, %k: index, %l: index):
      tensor.yield %v48 : f32
    } : tensor<40x4x4x8xf32> to tensor<40x6x6x8xf32>
  %v50 = arith.constant 0.00000000000000000e+00 : f32
  %v51 = tensor.empty() : tensor<40x4x4x16xf32>
  %v52 = linalg.fill ins(%v50 : f32) outs(%v51 : tensor<40x4x4x16xf32>) -> tensor<40x4x4x16xf32>
  %v53 = linalg.conv_2d_nhwc_hwcf {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%v49, %v47 : tensor<40x6x6x8xf32>, tensor<3x3x8x16xf32>) outs(%v52 : tensor<40x4x4x16xf32>) -> tensor<40x4x4x16xf32>
  %v54 = arith.mulf %v38#0, %v42 : tensor<16xf32>
  %v55 = tensor.empty() : tensor<40x4x4x16xf32>
  %v56 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v53, %v54 : tensor<40x4x4x16xf32>, tensor<16xf32>) outs(%v55 : tensor<40x4x4x16xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.subf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x4x4x16xf32>
  %v57 = tensor.empty() : tensor<40x4x4x16xf32>
  %v58 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v56, %conv2_beta : tensor<40x4x4x16xf32>, tensor<16xf32>) outs(%v57 : tensor<40x4x4x16xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.addf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x4x4x16xf32>
  %v59 = quant_ste.pact %v58, %act2_alpha bits(4) grad(pact) : tensor<40x4x4x16xf32>, tensor<f32>
  %v60 = tensor.empty() : tensor<2x2xf32>
  %v61 = arith.constant 0.00000000000000000e+00 : f32
  %v62 = tensor.empty() : tensor<40x2x2x16xf32>
  %v63 = linalg.fill ins(%v61 : f32) outs(%v62 : tensor<40x2x2x16xf32>) -> tensor<40x2x2x16xf32>
  %v64 = linalg.pooling_nhwc_sum {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%v59, %v60 : tensor<40x4x4x16xf32>, tensor<2x2xf32>) outs(%v63 : tensor<40x2x2x16xf32>) -> tensor<40x2x2x16xf32>
  %v65 = arith.constant dense<2.50000000000000000e-01> : tensor<40x2x2x16xf32>
  %v66 = arith.mulf %v64, %v65 : tensor<40x2x2x16xf32>
  %v67 = tensor.collapse_shape %v66 [[0, 1, 2, 3]] : tensor<40x2x2x16xf32> into tensor<2560xf32>
  %v68 = tensor.expand_shape %v67 [[0, 1]] output_shape [40, 64] : tensor<2560xf32> into tensor<40x64xf32>
  %v69 = arith.constant dense<0.00000000000000000e+00> : tensor<f32>
  %v70 = arith.constant dense<4.00000000000000000e+00> : tensor<f32>
  %v71 = quant_ste.int_quant %fc1, %fc1_scale axes([1]), %v69, %v70
      signed narrow_range rounding(round) grad(clipped)
      : tensor<64x32xf32>, tensor<32xf32>, tensor<f32>, tensor<f32>
  %v72 = arith.constant 0.00000000000000000e+00 : f32
  %v73 = tensor.empty() : tensor<40x32xf32>
  %v74 = linalg.fill ins(%v72 : f32) outs(%v73 : tensor<40x32xf32>) -> tensor<40x32xf32>
  %v75 = linalg.matmul ins(%v68, %v71 : tensor<40x64xf32>, tensor<64x32xf32>) outs(%v74 : tensor<40x32xf32>) -> tensor<40x32xf32>
  %v76 = tensor.empty() : tensor<40x32xf32>
  %v77 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%v75, %fc1_bias : tensor<40x32xf32>, tensor<32xf32>) outs(%v76 : tensor<40x32xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.addf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x32xf32>
  %v78 = quant_ste.pact %v77, %act3_alpha bits(4) grad(pact) : tensor<40x32xf32>, tensor<f32>
  %v79 = arith.constant dense<0.00000000000000000e+00> : tensor<f32>
  %v80 = arith.constant dense<4.00000000000000000e+00> : tensor<f32>
  %v81 = quant_ste.int_quant %fc2, %fc2_scale axes([1]), %v79, %v80
      signed narrow_range rounding(round) grad(clipped)
      : tensor<32x10xf32>, tensor<10xf32>, tensor<f32>, tensor<f32>
  %v82 = arith.constant 0.00000000000000000e+00 : f32
  %v83 = tensor.empty() : tensor<40x10xf32>
  %v84 = linalg.fill ins(%v82 : f32) outs(%v83 : tensor<40x10xf32>) -> tensor<40x10xf32>
  %v85 = linalg.matmul ins(%v78, %v81 : tensor<40x32xf32>, tensor<32x10xf32>) outs(%v84 : tensor<40x10xf32>) -> tensor<40x10xf32>
  %v86 = tensor.empty() : tensor<40x10xf32>
  %v87 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%v85, %fc2_bias : tensor<40x10xf32>, tensor<10xf32>) outs(%v86 : tensor<40x10xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.addf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x10xf32>
  return %v87 : tensor<40x10xf32>
}

func.func @forward(%x: tensor<40x8x8x1xf32>,
    %frozen: i1,
    %running_mean: tensor<16xf32>,
    %running_var: tensor<16xf32>,
    %conv1: tensor<3x3x1x8xf32> {quant_ste.name = "conv1"},
    %conv1_scale: tensor<8xf32> {quant_ste.name = "conv1_scale"},
    %conv1_bias: tensor<8xf32> {quant_ste.name = "conv1_bias"},
    %act1_alpha: tensor<f32> {quant_ste.name = "act1_alpha"},
    %conv2: tensor<3x3x8x16xf32> {quant_ste.name = "conv2"},
    %conv2_gamma: tensor<16xf32> {quant_ste.name = "conv2_gamma"},
    %conv2_scale: tensor<16xf32> {quant_ste.name = "conv2_scale"},
    %conv2_beta: tensor<16xf32> {quant_ste.name = "conv2_beta"},
    %act2_alpha: tensor<f32> {quant_ste.name = "act2_alpha"},
    %fc1: tensor<64x32xf32> {quant_ste.name = "fc1"},
    %fc1_scale: tensor<32xf32> {quant_ste.name = "fc1_scale"},
    %fc1_bias: tensor<32xf32> {quant_ste.name = "fc1_bias"},
    %act3_alpha: tensor<f32> {quant_ste.name = "act3_alpha"},
    %fc2: tensor<32x10xf32> {quant_ste.name = "fc2"},
    %fc2_scale: tensor<10xf32> {quant_ste.name = "fc2_scale"},
    %fc2_bias: tensor<10xf32> {quant_ste.name = "fc2_bias"})
    -> (tensor<40x10xf32>) {
  %v87 = func.call @net(%x, %frozen, %running_mean, %running_var, %conv1, %conv1_scale, %conv1_bias, %act1_alpha, %conv2, %conv2_gamma, %conv2_scale, %conv2_beta, %act2_alpha, %fc1, %fc1_scale, %fc1_bias, %act3_alpha, %fc2, %fc2_scale, %fc2_bias) : (tensor<40x8x8x1xf32>, i1, tensor<16xf32>, tensor<16xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>) -> tensor<40x10xf32>
  return %v87 : tensor<40x10xf32>
}

func.func @loss(%x: tensor<40x8x8x1xf32>,
    %frozen: i1,
    %running_mean: tensor<16xf32>,
    %running_var: tensor<16xf32>,
    %labels: tensor<40xi64>,
    %conv1: tensor<3x3x1x8xf32> {quant_ste.name = "conv1"},
    %conv1_scale: tensor<8xf32> {quant_ste.name = "conv1_scale"},
    %conv1_bias: tensor<8xf32> {quant_ste.name = "conv1_bias"},
    %act1_alpha: tensor<f32> {quant_ste.name = "act1_alpha"},
    %conv2: tensor<3x3x8x16xf32> {quant_ste.name = "conv2"},
    %conv2_gamma: tensor<16xf32> {quant_ste.name = "conv2_gamma"},
    %conv2_scale: tensor<16xf32> {quant_ste.name = "conv2_scale"},
    %conv2_beta: tensor<16xf32> {quant_ste.name = "conv2_beta"},
    %act2_alpha: tensor<f32> {quant_ste.name = "act2_alpha"},
    %fc1: tensor<64x32xf32> {quant_ste.name = "fc1"},
    %fc1_scale: tensor<32xf32> {quant_ste.name = "fc1_scale"},
    %fc1_bias: tensor<32xf32> {quant_ste.name = "fc1_bias"},
    %act3_alpha: tensor<f32> {quant_ste.name = "act3_alpha"},
    %fc2: tensor<32x10xf32> {quant_ste.name = "fc2"},
    %fc2_scale: tensor<10xf32> {quant_ste.name = "fc2_scale"},
    %fc2_bias: tensor<10xf32> {quant_ste.name = "fc2_bias"})
    -> (tensor<f32>) {
  %v87 = func.call @net(%x, %frozen, %running_mean, %running_var, %conv1, %conv1_scale, %conv1_bias, %act1_alpha, %conv2, %conv2_gamma, %conv2_scale, %conv2_beta, %act2_alpha, %fc1, %fc1_scale, %fc1_bias, %act3_alpha, %fc2, %fc2_scale, %fc2_bias) : (tensor<40x8x8x1xf32>, i1, tensor<16xf32>, tensor<16xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>) -> tensor<40x10xf32>
  %v88 = arith.constant 0xFF800000 : f32
  %v89 = tensor.empty() : tensor<40xf32>
  %v90 = linalg.fill ins(%v88 : f32) outs(%v89 : tensor<40xf32>) -> tensor<40xf32>
  %v91 = linalg.reduce { arith.maximumf } ins(%v87 : tensor<40x10xf32>) outs(%v90 : tensor<40xf32>) dimensions = [1]
  %v92 = quant_ste.detach %v91 : tensor<40xf32>
  %v93 = tensor.empty() : tensor<40x10xf32>
  %v94 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%v87, %v92 : tensor<40x10xf32>, tensor<40xf32>) outs(%v93 : tensor<40x10xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.subf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x10xf32>
  %v95 = math.exp %v94 : tensor<40x10xf32>
  %v96 = arith.constant 0.00000000000000000e+00 : f32
  %v97 = tensor.empty() : tensor<40xf32>
  %v98 = linalg.fill ins(%v96 : f32) outs(%v97 : tensor<40xf32>) -> tensor<40xf32>
  %v99 = linalg.reduce { arith.addf } ins(%v95 : tensor<40x10xf32>) outs(%v98 : tensor<40xf32>) dimensions = [1]
  %v100 = math.log %v99 : tensor<40xf32>
  %v101 = tensor.empty() : tensor<40x10xf32>
  %v102 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%v94, %v100 : tensor<40x10xf32>, tensor<40xf32>) outs(%v101 : tensor<40x10xf32>) {
    ^bb0(%a0: f32, %a1: f32, %o: f32):
      %r = arith.subf %a0, %a1 : f32
      linalg.yield %r : f32
    } -> tensor<40x10xf32>
  %v103 = arith.constant 0.00000000000000000e+00 : f32
  %v104 = tensor.empty() : tensor<f32>
  %v105 = linalg.fill ins(%v103 : f32) outs(%v104 : tensor<f32>) -> tensor<f32>
  %v106 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> ()>],
      iterator_types = ["reduction", "reduction"]}
      ins(%v102, %labels : tensor<40x10xf32>, tensor<40xi64>) outs(%v105 : tensor<f32>) {
    ^bb0(%a0: f32, %a1: i64, %o: f32):
      %k = linalg.index 1 : index
      %l = arith.index_cast %a1 : i64 to index
      %hit = arith.cmpi eq, %k, %l : index
      %w = arith.constant -2.50000000000000014e-02 : f32
      %zero = arith.constant 0.0 : f32
      %p = arith.mulf %a0, %w : f32
      %t = arith.select %hit, %p, %zero : f32
      %r = arith.addf %o, %t : f32
      linalg.yield %r : f32
    } -> tensor<f32>
  return %v106 : tensor<f32>
}

func.func @gradients(%x: tensor<40x8x8x1xf32>,
    %frozen: i1,
    %running_mean: tensor<16xf32>,
    %running_var: tensor<16xf32>,
    %labels: tensor<40xi64>,
    %conv1: tensor<3x3x1x8xf32> {quant_ste.name = "conv1"},
    %conv1_scale: tensor<8xf32> {quant_ste.name = "conv1_scale"},
    %conv1_bias: tensor<8xf32> {quant_ste.name = "conv1_bias"},
    %act1_alpha: tensor<f32> {quant_ste.name = "act1_alpha"},
    %conv2: tensor<3x3x8x16xf32> {quant_ste.name = "conv2"},
    %conv2_gamma: tensor<16xf32> {quant_ste.name = "conv2_gamma"},
    %conv2_scale: tensor<16xf32> {quant_ste.name = "conv2_scale"},
    %conv2_beta: tensor<16xf32> {quant_ste.name = "conv2_beta"},
    %act2_alpha: tensor<f32> {quant_ste.name = "act2_alpha"},
    %fc1: tensor<64x32xf32> {quant_ste.name = "fc1"},
    %fc1_scale: tensor<32xf32> {quant_ste.name = "fc1_scale"},
    %fc1_bias: tensor<32xf32> {quant_ste.name = "fc1_bias"},
    %act3_alpha: tensor<f32> {quant_ste.name = "act3_alpha"},
    %fc2: tensor<32x10xf32> {quant_ste.name = "fc2"},
    %fc2_scale: tensor<10xf32> {quant_ste.name = "fc2_scale"},
    %fc2_bias: tensor<10xf32> {quant_ste.name = "fc2_bias"})
    -> (tensor<f32>, tensor<3x3x1x8xf32> {quant_ste.name = "conv1"}, tensor<8xf32> {quant_ste.name = "conv1_scale"}, tensor<8xf32> {quant_ste.name = "conv1_bias"}, tensor<f32> {quant_ste.name = "act1_alpha"}, tensor<3x3x8x16xf32> {quant_ste.name = "conv2"}, tensor<16xf32> {quant_ste.name = "conv2_gamma"}, tensor<16xf32> {quant_ste.name = "conv2_scale"}, tensor<16xf32> {quant_ste.name = "conv2_beta"}, tensor<f32> {quant_ste.name = "act2_alpha"}, tensor<64x32xf32> {quant_ste.name = "fc1"}, tensor<32xf32> {quant_ste.name = "fc1_scale"}, tensor<32xf32> {quant_ste.name = "fc1_bias"}, tensor<f32> {quant_ste.name = "act3_alpha"}, tensor<32x10xf32> {quant_ste.name = "fc2"}, tensor<10xf32> {quant_ste.name = "fc2_scale"}, tensor<10xf32> {quant_ste.name = "fc2_bias"}) {
  %r:17 = quant_ste.value_and_grad @loss(%x, %frozen, %running_mean, %running_var, %labels, %conv1, %conv1_scale, %conv1_bias, %act1_alpha, %conv2, %conv2_gamma, %conv2_scale, %conv2_beta, %act2_alpha, %fc1, %fc1_scale, %fc1_bias, %act3_alpha, %fc2, %fc2_scale, %fc2_bias)
    wrt [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
    : (tensor<40x8x8x1xf32>, i1, tensor<16xf32>, tensor<16xf32>, tensor<40xi64>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>)
    -> (tensor<f32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>)
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5, %r#6, %r#7, %r#8, %r#9, %r#10, %r#11, %r#12, %r#13, %r#14, %r#15, %r#16
    : tensor<f32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>
}

func.func @train(%data: tensor<?x8x8x1xf32>,
    %frozen: i1,
    %running_mean: tensor<16xf32>,
    %running_var: tensor<16xf32>,
    %answers: tensor<?xi64>,
    %order: tensor<?x40xi64>,
    %rate: f32,
    %conv1: tensor<3x3x1x8xf32> {quant_ste.name = "conv1"},
    %conv1_scale: tensor<8xf32> {quant_ste.name = "conv1_scale"},
    %conv1_bias: tensor<8xf32> {quant_ste.name = "conv1_bias"},
    %act1_alpha: tensor<f32> {quant_ste.name = "act1_alpha"},
    %conv2: tensor<3x3x8x16xf32> {quant_ste.name = "conv2"},
    %conv2_gamma: tensor<16xf32> {quant_ste.name = "conv2_gamma"},
    %conv2_scale: tensor<16xf32> {quant_ste.name = "conv2_scale"},
    %conv2_beta: tensor<16xf32> {quant_ste.name = "conv2_beta"},
    %act2_alpha: tensor<f32> {quant_ste.name = "act2_alpha"},
    %fc1: tensor<64x32xf32> {quant_ste.name = "fc1"},
    %fc1_scale: tensor<32xf32> {quant_ste.name = "fc1_scale"},
    %fc1_bias: tensor<32xf32> {quant_ste.name = "fc1_bias"},
    %act3_alpha: tensor<f32> {quant_ste.name = "act3_alpha"},
    %fc2: tensor<32x10xf32> {quant_ste.name = "fc2"},
    %fc2_scale: tensor<10xf32> {quant_ste.name = "fc2_scale"},
    %fc2_bias: tensor<10xf32> {quant_ste.name = "fc2_bias"})
    -> (tensor<?xf32> {quant_ste.name = "losses"}, tensor<3x3x1x8xf32> {quant_ste.name = "conv1"}, tensor<8xf32> {quant_ste.name = "conv1_scale"}, tensor<8xf32> {quant_ste.name = "conv1_bias"}, tensor<f32> {quant_ste.name = "act1_alpha"}, tensor<3x3x8x16xf32> {quant_ste.name = "conv2"}, tensor<16xf32> {quant_ste.name = "conv2_gamma"}, tensor<16xf32> {quant_ste.name = "conv2_scale"}, tensor<16xf32> {quant_ste.name = "conv2_beta"}, tensor<f32> {quant_ste.name = "act2_alpha"}, tensor<64x32xf32> {quant_ste.name = "fc1"}, tensor<32xf32> {quant_ste.name = "fc1_scale"}, tensor<32xf32> {quant_ste.name = "fc1_bias"}, tensor<f32> {quant_ste.name = "act3_alpha"}, tensor<32x10xf32> {quant_ste.name = "fc2"}, tensor<10xf32> {quant_ste.name = "fc2_scale"}, tensor<10xf32> {quant_ste.name = "fc2_bias"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %share = arith.constant 0.02 : f32
  %rate_q = arith.mulf %rate, %share : f32
  %steps = tensor.dim %order, %c0 : tensor<?x40xi64>
  %losses = tensor.empty(%steps) : tensor<?xf32>
  %conv1_v0 = arith.constant dense<0.0> : tensor<3x3x1x8xf32>
  %conv1_scale_v0 = arith.constant dense<0.0> : tensor<8xf32>
  %conv1_bias_v0 = arith.constant dense<0.0> : tensor<8xf32>
  %act1_alpha_v0 = arith.constant dense<0.0> : tensor<f32>
  %conv2_v0 = arith.constant dense<0.0> : tensor<3x3x8x16xf32>
  %conv2_gamma_v0 = arith.constant dense<0.0> : tensor<16xf32>
  %conv2_scale_v0 = arith.constant dense<0.0> : tensor<16xf32>
  %conv2_beta_v0 = arith.constant dense<0.0> : tensor<16xf32>
  %act2_alpha_v0 = arith.constant dense<0.0> : tensor<f32>
  %fc1_v0 = arith.constant dense<0.0> : tensor<64x32xf32>
  %fc1_scale_v0 = arith.constant dense<0.0> : tensor<32xf32>
  %fc1_bias_v0 = arith.constant dense<0.0> : tensor<32xf32>
  %act3_alpha_v0 = arith.constant dense<0.0> : tensor<f32>
  %fc2_v0 = arith.constant dense<0.0> : tensor<32x10xf32>
  %fc2_scale_v0 = arith.constant dense<0.0> : tensor<10xf32>
  %fc2_bias_v0 = arith.constant dense<0.0> : tensor<10xf32>
  %t:33 = scf.for %step = %c0 to %steps step %c1 iter_args(
      %losses_1 = %losses, %conv1_1 = %conv1, %conv1_scale_1 = %conv1_scale, %conv1_bias_1 = %conv1_bias, %act1_alpha_1 = %act1_alpha, %conv2_1 = %conv2, %conv2_gamma_1 = %conv2_gamma, %conv2_scale_1 = %conv2_scale, %conv2_beta_1 = %conv2_beta, %act2_alpha_1 = %act2_alpha, %fc1_1 = %fc1, %fc1_scale_1 = %fc1_scale, %fc1_bias_1 = %fc1_bias, %act3_alpha_1 = %act3_alpha, %fc2_1 = %fc2, %fc2_scale_1 = %fc2_scale, %fc2_bias_1 = %fc2_bias, %conv1_v1 = %conv1_v0, %conv1_scale_v1 = %conv1_scale_v0, %conv1_bias_v1 = %conv1_bias_v0, %act1_alpha_v1 = %act1_alpha_v0, %conv2_v1 = %conv2_v0, %conv2_gamma_v1 = %conv2_gamma_v0, %conv2_scale_v1 = %conv2_scale_v0, %conv2_beta_v1 = %conv2_beta_v0, %act2_alpha_v1 = %act2_alpha_v0, %fc1_v1 = %fc1_v0, %fc1_scale_v1 = %fc1_scale_v0, %fc1_bias_v1 = %fc1_bias_v0, %act3_alpha_v1 = %act3_alpha_v0, %fc2_v1 = %fc2_v0, %fc2_scale_v1 = %fc2_scale_v0, %fc2_bias_v1 = %fc2_bias_v0)
      -> (tensor<?xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>) {
      %rows = tensor.extract_slice %order[%step, 0] [1, 40] [1, 1] : tensor<?x40xi64> to tensor<40xi64>
      %e0 = tensor.empty() : tensor<40x8x8x1xf32>
      %x = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
        ins(%rows : tensor<40xi64>) outs(%e0 : tensor<40x8x8x1xf32>) {
      ^bb0(%n: i64, %o: f32):
        %i0 = arith.index_cast %n : i64 to index
        %i1 = linalg.index 1 : index
        %i2 = linalg.index 2 : index
        %i3 = linalg.index 3 : index
        %p = tensor.extract %data[%i0, %i1, %i2, %i3] : tensor<?x8x8x1xf32>
        linalg.yield %p : f32
      } -> tensor<40x8x8x1xf32>
      %e1 = tensor.empty() : tensor<40xi64>
      %labels = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
        iterator_types = ["parallel"]}
        ins(%rows : tensor<40xi64>) outs(%e1 : tensor<40xi64>) {
      ^bb0(%n: i64, %o: i64):
        %i = arith.index_cast %n : i64 to index
        %p = tensor.extract %answers[%i] : tensor<?xi64>
        linalg.yield %p : i64
      } -> tensor<40xi64>
      %g:17 = quant_ste.value_and_grad @loss(%x, %frozen, %running_mean, %running_var, %labels, %conv1_1, %conv1_scale_1, %conv1_bias_1, %act1_alpha_1, %conv2_1, %conv2_gamma_1, %conv2_scale_1, %conv2_beta_1, %act2_alpha_1, %fc1_1, %fc1_scale_1, %fc1_bias_1, %act3_alpha_1, %fc2_1, %fc2_scale_1, %fc2_bias_1)
      wrt [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
      : (tensor<40x8x8x1xf32>, i1, tensor<16xf32>, tensor<16xf32>, tensor<40xi64>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>)
      -> (tensor<f32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>)
      %conv1_m = arith.constant dense<0.9> : tensor<3x3x1x8xf32>
      %conv1_k = arith.mulf %conv1_v1, %conv1_m : tensor<3x3x1x8xf32>
      %conv1_v2 = arith.addf %conv1_k, %g#1 : tensor<3x3x1x8xf32>
      %conv1_r = tensor.splat %rate : tensor<3x3x1x8xf32>
      %conv1_d = arith.mulf %conv1_v2, %conv1_r : tensor<3x3x1x8xf32>
      %conv1_2 = arith.subf %conv1_1, %conv1_d : tensor<3x3x1x8xf32>
      %conv1_scale_m = arith.constant dense<0.9> : tensor<8xf32>
      %conv1_scale_k = arith.mulf %conv1_scale_v1, %conv1_scale_m : tensor<8xf32>
      %conv1_scale_v2 = arith.addf %conv1_scale_k, %g#2 : tensor<8xf32>
      %conv1_scale_r = tensor.splat %rate_q : tensor<8xf32>
      %conv1_scale_d = arith.mulf %conv1_scale_v2, %conv1_scale_r : tensor<8xf32>
      %conv1_scale_2 = arith.subf %conv1_scale_1, %conv1_scale_d : tensor<8xf32>
      %conv1_bias_m = arith.constant dense<0.9> : tensor<8xf32>
      %conv1_bias_k = arith.mulf %conv1_bias_v1, %conv1_bias_m : tensor<8xf32>
      %conv1_bias_v2 = arith.addf %conv1_bias_k, %g#3 : tensor<8xf32>
      %conv1_bias_r = tensor.splat %rate : tensor<8xf32>
      %conv1_bias_d = arith.mulf %conv1_bias_v2, %conv1_bias_r : tensor<8xf32>
      %conv1_bias_2 = arith.subf %conv1_bias_1, %conv1_bias_d : tensor<8xf32>
      %act1_alpha_m = arith.constant dense<0.9> : tensor<f32>
      %act1_alpha_k = arith.mulf %act1_alpha_v1, %act1_alpha_m : tensor<f32>
      %act1_alpha_v2 = arith.addf %act1_alpha_k, %g#4 : tensor<f32>
      %act1_alpha_r = tensor.splat %rate_q : tensor<f32>
      %act1_alpha_d = arith.mulf %act1_alpha_v2, %act1_alpha_r : tensor<f32>
      %act1_alpha_2 = arith.subf %act1_alpha_1, %act1_alpha_d : tensor<f32>
      %conv2_m = arith.constant dense<0.9> : tensor<3x3x8x16xf32>
      %conv2_k = arith.mulf %conv2_v1, %conv2_m : tensor<3x3x8x16xf32>
      %conv2_v2 = arith.addf %conv2_k, %g#5 : tensor<3x3x8x16xf32>
      %conv2_r = tensor.splat %rate : tensor<3x3x8x16xf32>
      %conv2_d = arith.mulf %conv2_v2, %conv2_r : tensor<3x3x8x16xf32>
      %conv2_2 = arith.subf %conv2_1, %conv2_d : tensor<3x3x8x16xf32>
      %conv2_gamma_m = arith.constant dense<0.9> : tensor<16xf32>
      %conv2_gamma_k = arith.mulf %conv2_gamma_v1, %conv2_gamma_m : tensor<16xf32>
      %conv2_gamma_v2 = arith.addf %conv2_gamma_k, %g#6 : tensor<16xf32>
      %conv2_gamma_r = tensor.splat %rate : tensor<16xf32>
      %conv2_gamma_d = arith.mulf %conv2_gamma_v2, %conv2_gamma_r : tensor<16xf32>
      %conv2_gamma_2 = arith.subf %conv2_gamma_1, %conv2_gamma_d : tensor<16xf32>
      %conv2_scale_m = arith.constant dense<0.9> : tensor<16xf32>
      %conv2_scale_k = arith.mulf %conv2_scale_v1, %conv2_scale_m : tensor<16xf32>
      %conv2_scale_v2 = arith.addf %conv2_scale_k, %g#7 : tensor<16xf32>
      %conv2_scale_r = tensor.splat %rate_q : tensor<16xf32>
      %conv2_scale_d = arith.mulf %conv2_scale_v2, %conv2_scale_r : tensor<16xf32>
      %conv2_scale_2 = arith.subf %conv2_scale_1, %conv2_scale_d : tensor<16xf32>
      %conv2_beta_m = arith.constant dense<0.9> : tensor<16xf32>
      %conv2_beta_k = arith.mulf %conv2_beta_v1, %conv2_beta_m : tensor<16xf32>
      %conv2_beta_v2 = arith.addf %conv2_beta_k, %g#8 : tensor<16xf32>
      %conv2_beta_r = tensor.splat %rate : tensor<16xf32>
      %conv2_beta_d = arith.mulf %conv2_beta_v2, %conv2_beta_r : tensor<16xf32>
      %conv2_beta_2 = arith.subf %conv2_beta_1, %conv2_beta_d : tensor<16xf32>
      %act2_alpha_m = arith.constant dense<0.9> : tensor<f32>
      %act2_alpha_k = arith.mulf %act2_alpha_v1, %act2_alpha_m : tensor<f32>
      %act2_alpha_v2 = arith.addf %act2_alpha_k, %g#9 : tensor<f32>
      %act2_alpha_r = tensor.splat %rate_q : tensor<f32>
      %act2_alpha_d = arith.mulf %act2_alpha_v2, %act2_alpha_r : tensor<f32>
      %act2_alpha_2 = arith.subf %act2_alpha_1, %act2_alpha_d : tensor<f32>
      %fc1_m = arith.constant dense<0.9> : tensor<64x32xf32>
      %fc1_k = arith.mulf %fc1_v1, %fc1_m : tensor<64x32xf32>
      %fc1_v2 = arith.addf %fc1_k, %g#10 : tensor<64x32xf32>
      %fc1_r = tensor.splat %rate : tensor<64x32xf32>
      %fc1_d = arith.mulf %fc1_v2, %fc1_r : tensor<64x32xf32>
      %fc1_2 = arith.subf %fc1_1, %fc1_d : tensor<64x32xf32>
      %fc1_scale_m = arith.constant dense<0.9> : tensor<32xf32>
      %fc1_scale_k = arith.mulf %fc1_scale_v1, %fc1_scale_m : tensor<32xf32>
      %fc1_scale_v2 = arith.addf %fc1_scale_k, %g#11 : tensor<32xf32>
      %fc1_scale_r = tensor.splat %rate_q : tensor<32xf32>
      %fc1_scale_d = arith.mulf %fc1_scale_v2, %fc1_scale_r : tensor<32xf32>
      %fc1_scale_2 = arith.subf %fc1_scale_1, %fc1_scale_d : tensor<32xf32>
      %fc1_bias_m = arith.constant dense<0.9> : tensor<32xf32>
      %fc1_bias_k = arith.mulf %fc1_bias_v1, %fc1_bias_m : tensor<32xf32>
      %fc1_bias_v2 = arith.addf %fc1_bias_k, %g#12 : tensor<32xf32>
      %fc1_bias_r = tensor.splat %rate : tensor<32xf32>
      %fc1_bias_d = arith.mulf %fc1_bias_v2, %fc1_bias_r : tensor<32xf32>
      %fc1_bias_2 = arith.subf %fc1_bias_1, %fc1_bias_d : tensor<32xf32>
      %act3_alpha_m = arith.constant dense<0.9> : tensor<f32>
      %act3_alpha_k = arith.mulf %act3_alpha_v1, %act3_alpha_m : tensor<f32>
      %act3_alpha_v2 = arith.addf %act3_alpha_k, %g#13 : tensor<f32>
      %act3_alpha_r = tensor.splat %rate_q : tensor<f32>
      %act3_alpha_d = arith.mulf %act3_alpha_v2, %act3_alpha_r : tensor<f32>
      %act3_alpha_2 = arith.subf %act3_alpha_1, %act3_alpha_d : tensor<f32>
      %fc2_m = arith.constant dense<0.9> : tensor<32x10xf32>
      %fc2_k = arith.mulf %fc2_v1, %fc2_m : tensor<32x10xf32>
      %fc2_v2 = arith.addf %fc2_k, %g#14 : tensor<32x10xf32>
      %fc2_r = tensor.splat %rate : tensor<32x10xf32>
      %fc2_d = arith.mulf %fc2_v2, %fc2_r : tensor<32x10xf32>
      %fc2_2 = arith.subf %fc2_1, %fc2_d : tensor<32x10xf32>
      %fc2_scale_m = arith.constant dense<0.9> : tensor<10xf32>
      %fc2_scale_k = arith.mulf %fc2_scale_v1, %fc2_scale_m : tensor<10xf32>
      %fc2_scale_v2 = arith.addf %fc2_scale_k, %g#15 : tensor<10xf32>
      %fc2_scale_r = tensor.splat %rate_q : tensor<10xf32>
      %fc2_scale_d = arith.mulf %fc2_scale_v2, %fc2_scale_r : tensor<10xf32>
      %fc2_scale_2 = arith.subf %fc2_scale_1, %fc2_scale_d : tensor<10xf32>
      %fc2_bias_m = arith.constant dense<0.9> : tensor<10xf32>
      %fc2_bias_k = arith.mulf %fc2_bias_v1, %fc2_bias_m : tensor<10xf32>
      %fc2_bias_v2 = arith.addf %fc2_bias_k, %g#16 : tensor<10xf32>
      %fc2_bias_r = tensor.splat %rate : tensor<10xf32>
      %fc2_bias_d = arith.mulf %fc2_bias_v2, %fc2_bias_r : tensor<10xf32>
      %fc2_bias_2 = arith.subf %fc2_bias_1, %fc2_bias_d : tensor<10xf32>
      %l = tensor.extract %g#0[] : tensor<f32>
      %losses_2 = tensor.insert %l into %losses_1[%step] : tensor<?xf32>
      scf.yield %losses_2, %conv1_2, %conv1_scale_2, %conv1_bias_2, %act1_alpha_2, %conv2_2, %conv2_gamma_2, %conv2_scale_2, %conv2_beta_2, %act2_alpha_2, %fc1_2, %fc1_scale_2, %fc1_bias_2, %act3_alpha_2, %fc2_2, %fc2_scale_2, %fc2_bias_2, %conv1_v2, %conv1_scale_v2, %conv1_bias_v2, %act1_alpha_v2, %conv2_v2, %conv2_gamma_v2, %conv2_scale_v2, %conv2_beta_v2, %act2_alpha_v2, %fc1_v2, %fc1_scale_v2, %fc1_bias_v2, %act3_alpha_v2, %fc2_v2, %fc2_scale_v2, %fc2_bias_v2 : tensor<?xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>
  }
  return %t#0, %t#1, %t#2, %t#3, %t#4, %t#5, %t#6, %t#7, %t#8, %t#9, %t#10, %t#11, %t#12, %t#13, %t#14, %t#15, %t#16 : tensor<?xf32>, tensor<3x3x1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<3x3x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>, tensor<32x10xf32>, tensor<10xf32>, tensor<10xf32>
}
