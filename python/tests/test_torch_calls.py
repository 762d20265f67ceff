"""The short way from Python to an op: what takes it, and what is left to torch's."""
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import quant_ste.torch as qt  # noqa: E402
from quant_ste.torch import _register  # noqa: E402

pytestmark = pytest.mark.skipif(not _register.REGISTRATION.startswith("C++"),
                                reason=f"the ops are registered from {_register.REGISTRATION}")
OPS = torch.ops.quant_ste
FAKE_QUANTIZE = ["fake_quantize_per_tensor_affine",
                 "fake_quantize_per_tensor_affine.tensor_qparams"]


def bind(*names):
    """The function of an op that says "torch" for what it leaves to torch."""
    from quant_ste.torch import _ops
    return _ops.bind_op(list(names), lambda *args, **kwargs: ("torch", args, kwargs))


X = torch.tensor([-3.0, -0.26, 0.25, 0.74, 9.0])
SCALE, ZERO, BITS = torch.tensor(0.5), torch.tensor(0.0), torch.tensor(3.0)


@pytest.mark.parametrize("args, keywords", [
    ((X, SCALE, ZERO, BITS), {}),
    ((X, SCALE), {"zero_point": ZERO, "bit_width": BITS}),
    ((X, torch.nn.Parameter(SCALE), ZERO, BITS), {"rounding": "floor", "signed": False}),
    ((), {"bit_width": BITS, "x": X, "zero_point": ZERO, "scale": SCALE, "stepwise": True}),
], ids=["positional", "mixed", "words", "keywords"])
def test_schema_types(args, keywords):
    got = bind("int_quant")(*args, **keywords)
    want = OPS.int_quant(*args, **keywords)
    assert torch.equal(got, want) and got.requires_grad == want.requires_grad


def test_numbers_and_overloads():
    fake_quantize = bind(*FAKE_QUANTIZE)
    want = torch.fake_quantize_per_tensor_affine(X, 1.0, 1, -4, 3)
    assert torch.equal(fake_quantize(X, 1, 1, -4, 3), want)  # an int for a float
    zero_point = torch.tensor(1, dtype=torch.int32)
    assert torch.equal(fake_quantize(X, torch.tensor(1.0), zero_point, -4, quant_max=3), want)


class Subclass(torch.Tensor):
    pass


@pytest.mark.parametrize("args, keywords", [
    ((X, 0.5, 0, -4, True), {}),             # a bool is no int
    ((X, torch.tensor(0.5), 0, -4, 3), {}),  # no overload
    ((X, 0.5, 0, -4), {}),
    ((X, 0.5, 0, -4, 3, 3), {}),
    ((X, 0.5, 0, -4, 3), {"unknown": 1}),
    ((X, 0.5, 0, -4, 3), {"input": X}),      # twice
    ((X, 0.5, 0, -4, 2**80), {}),
    ((None, 0.5, 0, -4, 3), {}),
    ((X.as_subclass(Subclass), 0.5, 0, -4, 3), {}),
])
def test_left_to_torch(args, keywords):
    said, given, given_keywords = bind(*FAKE_QUANTIZE)(*args, **keywords)
    assert said == "torch" and len(given) == len(args) and given_keywords.keys() == keywords.keys()
    assert all(a is b for a, b in zip(given, args))


def test_op_raises():
    """Its own error: it is not called again."""
    with pytest.raises(TypeError, match="expected x of float16, .* got Int"):
        bind(*FAKE_QUANTIZE)(X.int(), 0.5, 0, -4, 3)


def test_keyword_only():
    assert bind("mx_scale")(X.abs(), "e2m1")[0] == "torch"
    assert bind("mx_scale")(X.abs(), element="e2m1").shape == X.shape


def test_modes_are_heard():
    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))

    round_ste = bind("round_ste")
    with Mode():
        assert round_ste(X)[0] == "torch"
    for context in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu")):
        with context:
            assert torch.equal(round_ste(X), X.round())


def test_errors_are_those_of_torch():
    for function in (OPS.round_ste, qt.round_ste):
        with pytest.raises(TypeError, match="expected x of float16, bfloat16, float32 or "
                                            "float64, got Int"):
            function(X.int())
    for function in (OPS.round_ste, qt.round_ste):
        with pytest.raises((TypeError, RuntimeError), match="missing value for argument 'x'"):
            function()


@pytest.mark.slow
def test_jit_trace_sees_the_op():
    traced = torch.jit.trace(lambda x: qt.round_ste(x), X)
    assert "quant_ste::round_ste" in str(traced.graph)


def test_words_are_told_apart():
    expected = {"round": torch.round, "round_to_zero": torch.trunc, "floor": torch.floor,
                "ceil": torch.ceil}
    for rounding, function in list(expected.items()) * 2:
        got = qt.int_quant(X, torch.tensor(1.0), ZERO, torch.tensor(8.0), rounding=rounding)
        assert torch.equal(got, function(X)), rounding


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16,
                                   torch.int32, torch.int64])
def test_parameters_of_other_types(dtype):
    """One element is read where it lies, and rounds as a conversion does."""
    zero_point = torch.tensor(3, dtype=dtype)
    scale = torch.tensor(0.3, dtype=dtype if dtype.is_floating_point else torch.float32)
    want = qt.int_quant(X, scale.float(), zero_point.float(), BITS)
    got = qt.int_quant(X, scale, zero_point, BITS)
    assert got.dtype == torch.float32 and torch.equal(got, want)


@pytest.mark.parametrize("x_format", ["contiguous", "channels_last", "sliced"])
@pytest.mark.parametrize("p_format", ["contiguous", "channels_last", "sliced", "three", "channel"])
def test_gradients_have_the_strides_that_are_promised(x_format, p_format):
    def make(form):
        t = torch.randn(2, 4, 3, 5)
        return {"contiguous": lambda: t, "sliced": lambda: torch.randn(2, 4, 3, 10)[..., ::2],
                "channels_last": lambda: t.to(memory_format=torch.channels_last),
                "three": lambda: t[0].clone(), "channel": lambda: t[0, :, :1, :1].clone()}[form]()

    x, low, dy = make(x_format), make(p_format), torch.randn(2, 4, 3, 5)
    arguments = dy, x, low, torch.tensor(5.0), [0, 1]
    real = OPS.tensor_clamp_backward(*arguments)
    promised = OPS.tensor_clamp_backward(*(
        a.to("meta") if isinstance(a, torch.Tensor) else a for a in arguments))
    for got, meta in zip(real, promised):
        assert got.shape == meta.shape and got.dtype == meta.dtype
        assert all(a == b for a, b, n in zip(got.stride(), meta.stride(), got.shape) if n > 1)
