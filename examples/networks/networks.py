#!/usr/bin/env python3
"""Quantized networks, as MLIR. Needs nothing but Python.

    networks.py lenet|mlp|resnet18|transformer [--float] [--element f64]
        [--batch N] [--width N] [--image N]

writes a module with

    @forward(inputs, parameters) -> logits
    @loss(inputs, labels, parameters) -> the mean cross-entropy
    @gradients(inputs, labels, parameters) -> (loss, a gradient per parameter)
    @train(data, labels, order, rate, parameters)
        -> (losses, the trained parameters)

Weights are 4-bit integers times a learned scale per output channel, activations
4-bit PACT (lenet, mlp, resnet18) or 8-bit LSQ (transformer). Nothing here says
how a gradient is computed: quant-ste-differentiate derives it.
"""
import argparse
import sys

from emitter import Emitter, Value, tensor


def lenet(k, batch=40, **_):
    """A LeNet for digits of 8 x 8 pixels. The second convolution has its batch
    norm folded into the quantized weights."""
    x = k.input("x", (batch, 8, 8, 1))
    frozen = k.input("frozen", (), "i1")
    running_mean = k.input("running_mean", (16,))
    running_var = k.input("running_var", (16,))
    h = k.conv("conv1", x, 8)
    h = k.max_pool(k.pact("act1", k.bias("conv1_bias", h)), 2, 2)
    h = k.folded_conv("conv2", h, 16, frozen, running_mean, running_var)
    h = k.average_pool(k.pact("act2", h), 2)
    h = k.reshape(h, (batch, 64))
    h = k.pact("act3", k.linear("fc1", h, 32))
    return k.linear("fc2", h, 10)


def mlp(k, batch=40, **_):
    """Eight layers on 64 pixels."""
    h = k.input("x", (batch, 64))
    for layer in range(7):
        h = k.pact(f"act{layer}", k.linear(f"fc{layer}", h, 64))
    return k.linear("fc7", h, 10)


def resnet18(k, batch=2, width=8, image=32, **_):
    """The shape of ResNet-18 (width=64, image=224 are the published sizes), with
    batch norm in its training form."""
    def norm(name, x):
        return k.normalize(name, x, (0, 1, 2))

    h = k.input("x", (batch, image, image, 3))
    h = k.conv("stem", h, width, size=7, stride=2, padding=3)
    h = k.pact("stem_act", norm("stem_norm", h))
    h = k.max_pool(h, 3, 2, padding=1)
    for stage in range(4):
        for block in range(2):
            name = f"s{stage}b{block}"
            channels = width << stage
            stride = 2 if stage > 0 and block == 0 else 1
            y = norm(f"{name}_n1", k.conv(f"{name}_c1", h, channels, stride=stride))
            y = k.pact(f"{name}_a1", y)
            y = norm(f"{name}_n2", k.conv(f"{name}_c2", y, channels))
            if stride != 1:
                h = k.conv(f"{name}_down", h, channels, size=1, stride=2, padding=0)
                h = norm(f"{name}_n3", h)
            h = k.pact(f"{name}_a2", k.add(y, h))
    return k.linear("fc", k.mean(h, (1, 2)), 10)


def transformer(k, batch=16, width=32, heads=4, places=12, vocabulary=16, **_):
    """One encoder block (attention and a perceptron, each after a layer norm and
    beside a shortcut) between an embedding and logits for each place."""
    rows, head = batch * places, width // heads
    tokens = k.input("x", (rows,), "i64")
    h = k.embedding("embedding", tokens, vocabulary, width)
    h = k.add_rows("places", k.reshape(h, (batch, places, width)))
    h = k.reshape(h, (rows, width))

    def norm(name, x):
        return k.lsq(name, k.normalize(name, x, (1,)))

    def split(name, x):
        y = k.lsq(name, k.linear(name, x, width))
        y = k.reshape(y, (batch, places, heads, head))
        y = k.transpose(y, (0, 2, 1, 3))
        return k.reshape(y, (batch * heads, places, head))

    x = norm("norm1", h)
    q, key, v = (split(name, x) for name in ("query", "key", "value"))
    scores = k.scale(k.batch_matmul(q, key, transposed=True), head ** -0.5)
    weights = k.lsq("attention", k.softmax(scores), step=1 / 127)
    y = k.reshape(k.batch_matmul(weights, v), (batch, heads, places, head))
    y = k.reshape(k.transpose(y, (0, 2, 1, 3)), (rows, width))
    h = k.add(h, k.linear("out", k.lsq("mixed", y), width))
    y = k.pact("hidden", k.linear("up", norm("norm2", h), 4 * width), alpha=4.0)
    h = k.add(h, k.linear("down", y, width))
    return k.linear("logits", norm("norm3", h), vocabulary)


NETWORKS = {f.__name__: f for f in (lenet, mlp, resnet18, transformer)}


def labels_of(k, logits):
    return k.input("labels", logits.shape[:1], "i64")


def arguments_of(values, k):
    return ", ".join(f"{v.name}: {k.type(v)}" for v in values)


def gradients(k, results):
    """@gradients: the loss, and its gradient by each parameter."""
    params = [v for _, v, _ in k.params]
    every = k.inputs + params
    outs = [k.type(results), *(k.type(v) for v in params)]
    first = len(k.inputs)
    names = ", ".join(v.name for v in every)
    count = len(outs)
    named = ",\n    ".join(
        f"{v.name}: {k.type(v)}" +
        (f' {{quant_ste.name = "{v.name[1:]}"}}' if v in params else "")
        for v in every)
    out_types = ", ".join([outs[0]] + [
        f'{t} {{quant_ste.name = "{v.name[1:]}"}}' for t, v in zip(outs[1:], params)])
    return (f"func.func @gradients({named})\n    -> ({out_types}) {{\n"
            f"  %r:{count} = quant_ste.value_and_grad @loss({names})\n"
            f"    wrt {list(range(first, first + len(params)))}\n"
            f"    : ({', '.join(k.type(v) for v in every)})\n"
            f"    -> ({', '.join(outs)})\n"
            f"  return {', '.join(f'%r#{i}' for i in range(count))}\n"
            f"    : {', '.join(outs)}\n}}\n")


def train(k):
    """@train: stochastic gradient descent with momentum 0.9, one batch for each
    row of %order; scales, bounds and steps learn at a fiftieth of the rate. All
    inputs but the first are passed through."""
    T = k.element
    x, others, labels = k.inputs[0], k.inputs[1:-1], k.inputs[-1]
    params = [v for _, v, _ in k.params]
    batch = labels.shape[0]
    data = Value("%data", ("?", *x.shape[1:]), x.element)
    answers = Value("%answers", ("?",), "i64")
    order = f"tensor<?x{batch}xi64>"
    d = len(x.shape)
    loops = ", ".join(f"d{i}" for i in range(d))
    identity = f"affine_map<({loops}) -> ({loops})>"
    row = f"affine_map<({loops}) -> (d0)>"
    at = "".join(f", %i{i}" for i in range(1, d))
    lines = []
    emit = lines.append
    carried = [(v.name + "_1", v) for v in params] + [
        (v.name + "_v1", v) for v in params]
    zeros = []
    for v in params:
        emit(f"{v.name}_v0 = arith.constant dense<0.0> : {k.type(v)}")
        zeros.append(f"{v.name}_v0")
    starts = [v.name for v in params] + zeros
    iters = ", ".join(f"{n} = {s}" for (n, _), s in zip(carried, starts))
    types = ", ".join(k.type(v) for _, v in carried)
    body = []
    put = body.append
    put(f"%rows = tensor.extract_slice %order[%step, 0] [1, {batch}] [1, 1] : {order} to tensor<{batch}xi64>")
    indices = "\n".join(f"        %i{i} = linalg.index {i} : index" for i in range(1, d))
    put(f"%e0 = tensor.empty() : {k.type(x)}")
    put(f"""{x.name} = linalg.generic {{indexing_maps = [{row}, {identity}],
        iterator_types = [{', '.join(['"parallel"'] * d)}]}}
        ins(%rows : tensor<{batch}xi64>) outs(%e0 : {k.type(x)}) {{
      ^bb0(%n: i64, %o: {x.element}):
        %i0 = arith.index_cast %n : i64 to index
{indices}
        %p = tensor.extract %data[%i0{at}] : {k.type(data)}
        linalg.yield %p : {x.element}
      }} -> {k.type(x)}""")
    put(f"%e1 = tensor.empty() : {k.type(labels)}")
    put(f"""{labels.name} = linalg.generic {{indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
        iterator_types = ["parallel"]}}
        ins(%rows : tensor<{batch}xi64>) outs(%e1 : {k.type(labels)}) {{
      ^bb0(%n: i64, %o: i64):
        %i = arith.index_cast %n : i64 to index
        %p = tensor.extract %answers[%i] : tensor<?xi64>
        linalg.yield %p : i64
      }} -> {k.type(labels)}""")
    inputs = k.inputs
    outs = [tensor((), T), *(k.type(v) for v in params)]
    names = ", ".join([v.name for v in inputs] + [v.name + "_1" for v in params])
    put(f"%g:{len(outs)} = quant_ste.value_and_grad @loss({names})\n"
        f"      wrt {list(range(len(inputs), len(inputs) + len(params)))}\n"
        f"      : ({', '.join(k.type(v) for v in inputs + params)})\n"
        f"      -> ({', '.join(outs)})")
    news = []
    for i, v in enumerate(params):
        n, t = v.name, k.type(v)
        slow = n.endswith(("_scale", "_alpha", "_step"))
        put(f"{n}_m = arith.constant dense<0.9> : {t}")
        put(f"{n}_k = arith.mulf {n}_v1, {n}_m : {t}")
        put(f"{n}_v2 = arith.addf {n}_k, %g#{i + 1} : {t}")
        put(f"{n}_r = tensor.splat %rate{'_q' if slow else ''} : {t}")
        put(f"{n}_d = arith.mulf {n}_v2, {n}_r : {t}")
        put(f"{n}_2 = arith.subf {n}_1, {n}_d : {t}")
        news.append(f"{n}_2")
    news += [v.name + "_v2" for v in params]
    put("%l = tensor.extract %g#0[] : " + tensor((), T))
    put(f"%losses_2 = tensor.insert %l into %losses_1[%step] : tensor<?x{T}>")
    put(f"scf.yield %losses_2, {', '.join(news)} : tensor<?x{T}>, {types}")
    text = "\n      ".join(body)
    given = [data, *others, answers]
    named = ",\n    ".join(
        [f"{v.name}: {k.type(v)}" for v in given] +
        [f"%order: {order}", f"%rate: {T}"] +
        [f'{v.name}: {k.type(v)} {{quant_ste.name = "{v.name[1:]}"}}'
         for v in params])
    results = ", ".join([f'tensor<?x{T}> {{quant_ste.name = "losses"}}'] + [
        f'{k.type(v)} {{quant_ste.name = "{v.name[1:]}"}}' for v in params])
    head = "\n  ".join(lines)
    total = 1 + len(carried)
    returned = ", ".join(f"%t#{i}" for i in range(1 + len(params)))
    return (f"func.func @train({named})\n    -> ({results}) {{\n"
            f"  %c0 = arith.constant 0 : index\n  %c1 = arith.constant 1 : index\n"
            f"  %share = arith.constant 0.02 : {T}\n"
            f"  %rate_q = arith.mulf %rate, %share : {T}\n"
            f"  %steps = tensor.dim %order, %c0 : {order}\n"
            f"  %losses = tensor.empty(%steps) : tensor<?x{T}>\n  {head}\n"
            f"  %t:{total} = scf.for %step = %c0 to %steps step %c1 iter_args(\n"
            f"      %losses_1 = %losses, {iters})\n"
            f"      -> (tensor<?x{T}>, {types}) {{\n      {text}\n  }}\n"
            f"  return {returned} : tensor<?x{T}>, "
            f"{', '.join(k.type(v) for v in params)}\n}}\n")


def build(name, element="f32", quantized=True, **sizes):
    """The module, and the emitter, which knows inputs and parameters."""
    k = Emitter(element, quantized)
    logits = NETWORKS[name](k, **sizes)
    net = k.function("net", list(k.inputs), [logits])
    loss_lines = len(k.lines)
    labels = labels_of(k, logits)
    loss = k.cross_entropy(logits, labels)
    inputs = k.inputs[:-1]
    given = inputs + [v for _, v, _ in k.params]
    types = f"({', '.join(k.type(v) for v in given)}) -> {k.type(logits)}"
    call = (f"{logits.name} = func.call @net("
            f"{', '.join(v.name for v in given)}) : {types}")
    # @forward and @loss call the one network.
    k.lines = [call] + k.lines[loss_lines:]
    loss_text = k.function("loss", k.inputs, [loss], private=False)
    k.lines = [call]
    forward = k.function("forward", inputs, [logits], private=False)
    return "\n".join([net, forward, loss_text, gradients(k, loss), train(k)]), k


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--float", action="store_true")
    parser.add_argument("--element", default="f32", choices=("f32", "f64"))
    for size in ("batch", "width", "image"):
        parser.add_argument(f"--{size}", type=int)
    given = parser.parse_args()
    sizes = {n: v for n in ("batch", "width", "image")
             if (v := getattr(given, n)) is not None}
    text, _ = build(given.network, given.element, not given.float, **sizes)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
