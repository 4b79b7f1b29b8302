"""The upscalers in ncnn: its two files, the layers as text and the weights one after the other, written from the weights by name.

Layers and their numbered parameters: ncnn's docs/developer-guide/operators.md; files: docs/developer-guide/param-and-model-file-structure.md.
"""

import os

import numpy as np
import torch

PADDED_3X3 = {1: 3, 4: 1}
LEAKY_RELU = {9: 2, -23310: "1,0.2"}


class Layers:
    """Collects layers; each method that adds one returns the name of its output."""

    def __init__(self, weights):
        self.weights = {name: tensor.float().numpy() for name, tensor in weights.items()}
        self.layers = []
        self.bytes = []

    def add(self, kind, inputs, parameters=()):
        name = f"layer{len(self.layers)}"
        self.layers.append((kind, name, list(inputs), dict(parameters)))
        return name

    def conv(self, name, x, activation=()):
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        # a zero before the weights means float32
        self.bytes += [np.zeros(1, "<u4").tobytes(), weight.tobytes(), bias.tobytes()]
        return self.add("Convolution", [x], {0: weight.shape[0], **PADDED_3X3, 5: 1, 6: weight.size, **dict(activation)})

    def prelu(self, name, x):
        slopes = self.weights[f"{name}.weight"]
        self.bytes.append(slopes.tobytes())
        return self.add("PReLU", [x], {0: slopes.size})

    def nearest(self, x, times):
        return self.add("Interp", [x], {0: 1, 1: times, 2: times})

    def weighted_sum(self, x, weight, y):
        return self.add("Eltwise", [x, y], {0: 1, -23301: f"2,{weight},1.0"})

    def text(self):
        """An output with several readers goes through a Split with one output for each."""
        readers = {}
        for _, name, inputs, _ in self.layers:
            for x in inputs:
                readers.setdefault(x, []).append(name)
        lines, blobs, taken = [], 0, {}
        for kind, name, inputs, parameters in self.layers:
            names = []
            for x in inputs:
                split = len(readers[x]) > 1
                names.append(f"{x}_{taken.setdefault(x, 0)}" if split else x)
                taken[x] = taken.get(x, 0) + 1
            values = " ".join(f"{key}={value}" for key, value in parameters.items())
            lines.append(f"{kind} {name} {len(names)} 1 {' '.join([*names, name])} {values}")
            blobs += 1
            count = len(readers.get(name, []))
            if count > 1:
                lines.append(f"Split {name}_split 1 {count} {name} {' '.join(f'{name}_{k}' for k in range(count))}")
                blobs += count
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])


def compact(net, x):
    indices = sorted({int(name.split(".")[1]) for name in net.weights})
    h = x
    for index in indices:
        is_conv = net.weights[f"body.{index}.weight"].ndim == 4
        h = net.conv(f"body.{index}", h) if is_conv else net.prelu(f"body.{index}", h)
    return net.add("BinaryOp", [net.add("PixelShuffle", [h], {0: 4}), net.nearest(x, 4)])


def dense(net, name, x):
    features = [x]
    for k in range(1, 5):
        joined = x if k == 1 else net.add("Concat", features)
        features.append(net.conv(f"{name}.conv{k}", joined, LEAKY_RELU))
    return net.weighted_sum(net.conv(f"{name}.conv5", net.add("Concat", features)), 0.2, x)


def residual_in_residual(net, x):
    blocks = 1 + max(int(name.split(".")[1]) for name in net.weights if name.startswith("body."))
    first = net.conv("conv_first", x)
    body = first
    for block in range(blocks):
        out = body
        for k in (1, 2, 3):
            out = dense(net, f"body.{block}.rdb{k}", out)
        body = net.weighted_sum(out, 0.2, body)
    h = net.weighted_sum(net.conv("conv_body", body), 1.0, first)
    for name in ("conv_up1", "conv_up2"):
        h = net.conv(name, net.nearest(h, 2), LEAKY_RELU)
    return net.conv("conv_last", net.conv("conv_hr", h, LEAKY_RELU))


class NcnnUpscaler:
    """[1, 3, height, width] in 0 to 1 -> four times the size, in float32."""

    def __init__(self, weights, folder, threads):
        import ncnn

        layers = Layers(weights)
        image = layers.add("Input", [])
        self.input = image
        self.output = (residual_in_residual if "conv_first.weight" in weights else compact)(layers, image)
        text, numbers = os.path.join(folder, "upscaler.param"), os.path.join(folder, "upscaler.bin")
        with open(text, "w") as file:
            file.write(layers.text())
        with open(numbers, "wb") as file:
            file.write(b"".join(layers.bytes))
        self.mat = ncnn.Mat
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        if self.net.load_param(text) != 0 or self.net.load_model(numbers) != 0:
            raise RuntimeError("ncnn refused the upscaler")

    def __call__(self, x):
        extractor = self.net.create_extractor()
        # a Mat does not keep a reference to its array
        pixels = x[0].contiguous().numpy()
        extractor.input(self.input, self.mat(pixels))
        _, y = extractor.extract(self.output)
        return torch.from_numpy(np.array(y)).unsqueeze(0)
