"""What gpu.py compares with: the same functions in torch, compiled by torch, and in Triton.

Each kernel has a `forward(x, *parameters)` and a `backward(x, *parameters, dy)`, which
gives the gradients of x and of the first parameter; computed in f32, given in the type of
x, as the library's are.
"""


def formulas(torch):
    """kernel -> (forward, backward): what the papers and Brevitas say."""
    def wide(*tensors):
        return (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors)

    def pact(x, a):
        v, = wide(x)
        scale = a / 15
        return (torch.round(torch.where(v < 0, 0, torch.minimum(v, a)) / scale) * scale).to(x.dtype)

    def pact_backward(x, a, dy):
        v, g = wide(x, dy)
        clipped = v >= a
        return (torch.where((v >= 0) & ~clipped, g, 0).to(x.dtype),
                torch.where(clipped, g, 0).sum())

    def lsq(x, s):
        v, = wide(x)
        return (torch.round(torch.clamp(v / s, -8, 7)) * s).to(x.dtype)

    def lsq_backward(x, s, dy):
        v, g = wide(x, dy)
        q = v / s
        inside = (q > -8) & (q < 7)
        return (torch.where(inside, g, 0).to(x.dtype),
                0.01 * (g * torch.where(inside, torch.round(q) - q, torch.clamp(q, -8, 7))).sum())

    def along(x, s, axis):
        return s.reshape([-1 if d == axis else 1 for d in range(x.dim())]) if s.dim() else s

    def int_quant_along(axis):
        def forward(x, s, z, b):
            v, = wide(x)
            t, last = along(x, s, axis), 2 ** (b - 1)
            return ((torch.clamp(torch.round(v / t + z), -last, last - 1) - z) * t).to(x.dtype)

        def backward(x, s, z, b, dy):
            v, g = wide(x, dy)
            t, last = along(x, s, axis), 2 ** (b - 1)
            q = v / t
            rounded = torch.round(q + z)
            inside = (rounded >= -last) & (rounded <= last - 1)
            ds = g * (torch.clamp(rounded, -last, last - 1) - z - torch.where(inside, q, 0))
            over = [d for d in range(x.dim()) if d != axis or not s.dim()]
            return torch.where(inside, g, 0).to(x.dtype), ds.sum(over)
        return forward, backward
    return {"pact": (pact, pact_backward), "lsq": (lsq, lsq_backward),
            "int_quant": int_quant_along(None), "int_quant_channel": int_quant_along(0),
            "int_quant_image": int_quant_along(1), "int_quant_last": int_quant_along(1)}


def triton_kernels(torch):
    """kernel -> (forward, backward), one pass each as one would write them by hand; called
    with the results' tensors behind the arguments."""
    import triton
    import triton.language as tl

    # Sums with 1.5 * 2^23 round to the nearest whole number, ties to even.

    @triton.jit
    def pact_forward(x, a, y, n, BLOCK: tl.constexpr):
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        v = tl.load(x + at, mask=at < n, other=0.0).to(tl.float32)
        alpha = tl.load(a)
        scale = alpha / 15
        q = tl.minimum(tl.maximum(v, 0.0), alpha) / scale + 12582912.0 - 12582912.0
        tl.store(y + at, q * scale, mask=at < n)

    @triton.jit
    def pact_backward(x, a, dy, dx, da, n, BLOCK: tl.constexpr):
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        v = tl.load(x + at, mask=at < n, other=0.0).to(tl.float32)
        g = tl.load(dy + at, mask=at < n, other=0.0).to(tl.float32)
        alpha = tl.load(a)
        tl.store(dx + at, tl.where((v >= 0) & (v < alpha), g, 0.0), mask=at < n)
        tl.atomic_add(da, tl.sum(tl.where(v >= alpha, g, 0.0)))

    @triton.jit
    def quant_forward(x, s, y, inner, blocks, channels, LOW: tl.constexpr, HIGH: tl.constexpr,
                      BLOCK: tl.constexpr):
        # A row of `inner` elements of one channel takes so many blocks.
        row = tl.program_id(0).to(tl.int64) // blocks
        at = tl.program_id(0).to(tl.int64) % blocks * BLOCK + tl.arange(0, BLOCK)
        inside = at < inner
        v = tl.load(x + row * inner + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.load(s + row % channels)
        q = tl.minimum(tl.maximum(v / scale + 12582912.0 - 12582912.0, LOW), HIGH)
        tl.store(y + row * inner + at, q * scale, mask=inside)

    @triton.jit
    def quant_backward(x, s, dy, dx, ds, inner, blocks, channels, factor, LOW: tl.constexpr,
                       HIGH: tl.constexpr, IS_LSQ: tl.constexpr, BLOCK: tl.constexpr):
        row = tl.program_id(0).to(tl.int64) // blocks
        at = tl.program_id(0).to(tl.int64) % blocks * BLOCK + tl.arange(0, BLOCK)
        inside = at < inner
        v = tl.load(x + row * inner + at, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(dy + row * inner + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.load(s + row % channels)
        q = v / scale
        rounded = q + 12582912.0 - 12582912.0
        if IS_LSQ:
            kept = (q > LOW) & (q < HIGH)
        else:
            kept = (rounded >= LOW) & (rounded <= HIGH)
        tl.store(dx + row * inner + at, tl.where(kept, g, 0.0), mask=inside)
        bounded = tl.minimum(tl.maximum(rounded, LOW), HIGH)
        tl.atomic_add(ds + row % channels,
                      factor * tl.sum(g * (bounded - tl.where(kept, q, 0.0))))

    @triton.jit
    def last_forward(x, s, y, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
        down = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
        across = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
        inside = (down < rows)[:, None] & (across < columns)[None, :]
        at = down[:, None] * columns + across[None, :]
        v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.load(s + across, mask=across < columns, other=1.0)[None, :]
        q = tl.minimum(tl.maximum(v / scale + 12582912.0 - 12582912.0, -8.0), 7.0)
        tl.store(y + at, q * scale, mask=inside)

    @triton.jit
    def last_backward(x, s, dy, dx, ds, rows, columns, ROWS: tl.constexpr,
                      COLUMNS: tl.constexpr):
        down = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
        across = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
        inside = (down < rows)[:, None] & (across < columns)[None, :]
        at = down[:, None] * columns + across[None, :]
        v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(dy + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.load(s + across, mask=across < columns, other=1.0)[None, :]
        q = v / scale
        rounded = q + 12582912.0 - 12582912.0
        kept = (rounded >= -8.0) & (rounded <= 7.0)
        tl.store(dx + at, tl.where(kept, g, 0.0), mask=inside)
        bounded = tl.minimum(tl.maximum(rounded, -8.0), 7.0)
        tl.atomic_add(ds + across, tl.sum(g * (bounded - tl.where(kept, q, 0.0)), axis=0),
                      mask=across < columns)

    def last(kernel, tile_rows):
        def call(x, s, *rest):
            rows, columns = x.shape
            tile = min(64, triton.next_power_of_2(columns))
            results = rest[-1:] if kernel is last_forward else rest[-3:]
            if kernel is last_backward:
                results[-1].zero_()
            grid = triton.cdiv(rows, tile_rows), triton.cdiv(columns, tile)
            kernel[grid](x, s, *results, rows, columns, ROWS=tile_rows, COLUMNS=tile)
        return call

    def quantizer(axis, factor, is_lsq=False):
        def grid(x, s):
            channels = s.numel() if axis is not None else 1
            inner = x.numel() // (x.shape[0] if axis == 0 else x.shape[0] * x.shape[1]
                                  if axis == 1 else 1)
            block = min(4096, triton.next_power_of_2(max(inner, 16)))
            blocks = triton.cdiv(inner, block)
            return (blocks * (x.numel() // inner),), inner, blocks, channels, block

        def forward(x, s, *rest):
            y = rest[-1]
            launch, inner, blocks, channels, block = grid(x, s)
            quant_forward[launch](x, s, y, inner, blocks, channels, LOW=-8, HIGH=7, BLOCK=block)

        def backward(x, s, *rest):
            dy, dx, ds = rest[-3:]
            ds.zero_()
            launch, inner, blocks, channels, block = grid(x, s)
            quant_backward[launch](x, s, dy, dx, ds, inner, blocks, channels, factor, LOW=-8,
                                   HIGH=7, IS_LSQ=is_lsq, BLOCK=block)
        return forward, backward

    def forward(x, a, y):
        pact_forward[(triton.cdiv(x.numel(), 4096),)](x, a, y, x.numel(), BLOCK=4096)

    def backward(x, a, dy, dx, da):
        da.zero_()
        pact_backward[(triton.cdiv(x.numel(), 4096),)](x, a, dy, dx, da, x.numel(), BLOCK=4096)
    return {"pact": (forward, backward), "lsq": quantizer(None, 0.01, True),
            "int_quant": quantizer(None, 1.0), "int_quant_channel": quantizer(0, 1.0),
            "int_quant_image": quantizer(1, 1.0),
            "int_quant_last": (last(last_forward, 64), last(last_backward, 128))}


def multi_tensor(torch):
    """Functions of lists of weights and numbers, their scales."""
    def foreach(weights, scales):
        y = torch._foreach_div(weights, scales)
        torch._foreach_round_(y)
        torch._foreach_clamp_min_(y, -8.0)
        torch._foreach_clamp_max_(y, 7.0)
        torch._foreach_mul_(y, scales)
        return y

    def one_by_one(weights, scales):
        return [torch.clamp(torch.round(w / s), -8, 7) * s for w, s in zip(weights, scales)]
    return {"foreach": foreach, "torch": one_by_one}


def convolution_step(torch):
    """y and all gradients of a convolution of quantized weights with PACT behind it."""
    def step(x, w, s, a, dy):
        scale = s.reshape(-1, 1, 1, 1)
        v = w / scale
        rounded = torch.round(v)
        bounded = torch.clamp(rounded, -8, 7)
        q = bounded * scale
        c = torch.nn.functional.conv2d(x, q)
        unit = a / 15
        y = torch.round(torch.where(c < 0, 0, torch.minimum(c, a)) / unit) * unit
        clipped = c >= a
        dc = torch.where((c >= 0) & ~clipped, dy, 0)
        dx, dq, _ = torch.ops.aten.convolution_backward(
            dc, x, q, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False])
        inside = rounded == bounded
        ds = (dq * (bounded - torch.where(inside, v, 0))).sum((1, 2, 3))
        return (y, dx, torch.where(inside, dq, 0), ds, torch.where(clipped, dy, 0).sum())
    return step
