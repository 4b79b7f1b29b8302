"""The peer of `npm run bench`: diffusers, sdnq and PyTorch behind one request per line.

Standard input takes one JSON object per line, standard output answers each with one line: {"ok": true, ...} or {"ok": false, "error": ...}.
Every request names its operation in "op"; times are milliseconds of the work alone, measured here.
Arrays travel as raw little-endian files: float32, or uint8 [height, width, 3] for images.
"""

import json
import os
import resource
import sys
import time

# only answers may go to standard output
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import numpy as np
import torch
import torch.nn.functional as F

state = {}


def timed(work):
    started = time.perf_counter()
    with torch.inference_mode():
        result = work()
    return result, (time.perf_counter() - started) * 1000


def read_floats(path, shape):
    return torch.from_numpy(np.fromfile(path, dtype="<f4").reshape(shape))


def write_floats(path, tensor):
    tensor.detach().float().contiguous().numpy().astype("<f4").tofile(path)


def threads(request):
    torch.set_num_threads(request["threads"])
    return {"torch": torch.__version__, "python": sys.version.split()[0]}


def open_pipeline(request):
    import sdnq  # noqa: F401  registers the quantizer
    from diffusers import ZImagePipeline

    pipeline = ZImagePipeline.from_pretrained(request["dir"], torch_dtype=getattr(torch, request["dtype"]))
    if request.get("quantized_matmul"):
        from sdnq.loader import apply_sdnq_options_to_model

        pipeline.transformer = apply_sdnq_options_to_model(pipeline.transformer, use_quantized_matmul=True)
        pipeline.text_encoder = apply_sdnq_options_to_model(pipeline.text_encoder, use_quantized_matmul=True)
    pipeline.set_progress_bar_config(disable=True)
    state["pipeline"] = pipeline.to(request.get("device", "cpu"))
    return {}


def generate(request):
    """The whole request: prompt to PNG on disk. "stamps" are the milliseconds at the end of each denoising step."""
    pipeline = state["pipeline"]
    stamps = []

    def stamp(_pipeline, _step, _timestep, tensors):
        if pipeline.device.type == "cuda":
            torch.cuda.synchronize(pipeline.device)
        stamps.append(time.perf_counter() * 1000)
        return tensors

    def work():
        image = pipeline(
            request["prompt"],
            width=request["width"],
            height=request["height"],
            num_inference_steps=request["forwards"],
            guidance_scale=0.0,
            generator=torch.Generator("cpu").manual_seed(request["seed"]),
            callback_on_step_end=stamp,
        ).images[0]
        image.save(request["png"])
        return image

    image, ms = timed(work)
    if "out" in request:
        np.asarray(image.convert("RGB")).tofile(request["out"])
    return {"ms": ms, "stamps": stamps}


def open_vae(request):
    from diffusers import AutoencoderKL

    state["vae"] = AutoencoderKL.from_pretrained(request["dir"], torch_dtype=getattr(torch, request["dtype"])).eval()
    return {}


def decode(request):
    """Latents as the decoder takes them, [1, channels, height, width] -> [1, 3, height, width]."""
    vae = state["vae"]
    latents = read_floats(request["latents"], request["shape"]).to(vae.dtype)
    image, ms = timed(lambda: vae.decode(latents, return_dict=False)[0])
    if "out" in request:
        write_floats(request["out"], image)
    return {"ms": ms}


def open_block(request):
    """The first layer of a transformer's folder, alone, with the tables that it needs."""
    import sdnq  # noqa: F401
    from diffusers import ZImageTransformer2DModel

    transformer = ZImageTransformer2DModel.from_pretrained(request["dir"], torch_dtype=getattr(torch, request["dtype"])).eval()
    if request.get("quantized_matmul"):
        from sdnq.loader import apply_sdnq_options_to_model

        transformer = apply_sdnq_options_to_model(transformer, use_quantized_matmul=True)
    state["transformer"] = transformer
    return {}


def run_block(request):
    """The first layer alone: x [tokens, width], condition [1, 256] and the tokens' positions [tokens, 3], without padding and so without a mask."""
    transformer = state["transformer"]
    tokens = request["tokens"]
    dtype = next(p.dtype for p in transformer.parameters() if p.is_floating_point())
    x = read_floats(request["x"], (1, tokens, transformer.config.dim)).to(dtype)
    condition = read_floats(request["condition"], (1, 256)).to(dtype)
    frequencies = transformer.rope_embedder(torch.tensor(request["positions"], dtype=torch.int32)).unsqueeze(0)
    y, ms = timed(lambda: transformer.layers[0](x, None, frequencies, condition)[0])
    if "out" in request:
        write_floats(request["out"], y)
    return {"ms": ms}


def open_text(request):
    import sdnq  # noqa: F401
    from transformers import Qwen3Model

    state["text"] = Qwen3Model.from_pretrained(request["dir"], torch_dtype=getattr(torch, request["dtype"])).eval()
    if request.get("quantized_matmul"):
        from sdnq.loader import apply_sdnq_options_to_model

        state["text"] = apply_sdnq_options_to_model(state["text"], use_quantized_matmul=True)
    return {}


def encode(request):
    """Token ids -> the hidden states that Z-Image takes, [tokens, width]."""
    model = state["text"]
    ids = torch.tensor([request["ids"]])
    mask = torch.ones_like(ids)
    hidden, ms = timed(lambda: model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-2][0])
    if "out" in request:
        write_floats(request["out"], hidden)
    return {"ms": ms}


class Compact(torch.nn.Module):
    """SRVGGNetCompact: convolutions with PReLU, pixel shuffle, plus the nearest-neighbour upscaled input."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights
        self.layers = sorted({int(name.split(".")[1]) for name in weights})

    def forward(self, x):
        h = x
        for index in self.layers:
            weight = self.weights[f"body.{index}.weight"]
            if weight.dim() == 4:
                h = F.conv2d(h, weight, self.weights[f"body.{index}.bias"], padding=1)
            else:
                h = F.prelu(h, weight)
        return F.pixel_shuffle(h, 4) + F.interpolate(x, scale_factor=4, mode="nearest")


class Dense(torch.nn.Module):
    """RRDBNet for 4x: residual in residual dense blocks, then two nearest-neighbour upscalings."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights
        self.blocks = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("body."))

    def conv(self, name, x):
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], padding=1)

    def dense(self, name, x):
        features = [x]
        for k in range(1, 5):
            features.append(F.leaky_relu(self.conv(f"{name}.conv{k}", torch.cat(features, 1)), 0.2))
        return self.conv(f"{name}.conv5", torch.cat(features, 1)) * 0.2 + x

    def forward(self, x):
        first = self.conv("conv_first", x)
        body = first
        for block in range(self.blocks):
            out = body
            for k in (1, 2, 3):
                out = self.dense(f"body.{block}.rdb{k}", out)
            body = out * 0.2 + body
        h = first + self.conv("conv_body", body)
        for name in ("conv_up1", "conv_up2"):
            h = F.leaky_relu(self.conv(name, F.interpolate(h, scale_factor=2, mode="nearest")), 0.2)
        return self.conv("conv_last", F.leaky_relu(self.conv("conv_hr", h), 0.2))


def open_upscaler(request):
    from safetensors.torch import load_file

    dtype = getattr(torch, request["dtype"])
    weights = {name: tensor.to(dtype) for name, tensor in load_file(request["file"]).items()}
    net = Dense(weights) if "conv_first.weight" in weights else Compact(weights)
    if request.get("ncnn"):
        from ncnn_upscaler import NcnnUpscaler

        net = NcnnUpscaler(weights, request["folder"], torch.get_num_threads())
    if request.get("channels_last"):
        net.weights = {n: w.contiguous(memory_format=torch.channels_last) if w.dim() == 4 else w for n, w in weights.items()}
    state["upscaler"] = (net, dtype, bool(request.get("channels_last")))
    return {}


def upscale(request):
    """An image, uint8 [height, width, 3] -> upscaled 4x, whole and without tiles."""
    net, dtype, channels_last = state["upscaler"]
    height, width = request["shape"]
    pixels = torch.from_numpy(np.fromfile(request["image"], dtype=np.uint8).reshape(height, width, 3))

    def work():
        x = (pixels.permute(2, 0, 1).unsqueeze(0).float() / 255).to(dtype)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        y = net(x)[0].float().clamp(0, 1)
        return (y * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()

    result, ms = timed(work)
    if "out" in request:
        result.numpy().tofile(request["out"])
    return {"ms": ms}


def matmul_rate(request):
    """Milliseconds of one float32 product [m, k] x [k, n]."""
    a, b = torch.randn(request["m"], request["k"]), torch.randn(request["k"], request["n"])
    _, ms = timed(lambda: a @ b)
    return {"ms": ms}


def int8_matmul_rate(request):
    """Milliseconds of one int8 product [m, k] x [k, n] into int32."""
    a = torch.randint(-128, 127, (request["m"], request["k"]), dtype=torch.int8)
    b = torch.randint(-128, 127, (request["k"], request["n"]), dtype=torch.int8)
    _, ms = timed(lambda: torch._int_mm(a, b))
    return {"ms": ms}


def product_rate(request):
    """Floating point operations per second of a square product, the median of ten."""
    side, device = request["side"], torch.device(request["device"])
    a, b = (torch.randn(side, side, dtype=getattr(torch, request["dtype"]), device=device) for _ in range(2))

    def once():
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(3):
        once()
    times = sorted(timed(once)[1] for _ in range(10))
    return {"rate": 2 * side**3 / (times[5] / 1000)}


def device_memory(request):
    """Peak bytes of PyTorch on a card."""
    return {"peak": torch.cuda.max_memory_reserved(request["device"])}


def memory(_):
    """Resident bytes now and their peak so far."""
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"resident": resident, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


operations = {
    f.__name__: f
    for f in (
        threads, open_pipeline, generate, open_vae, decode, open_block, run_block, open_text, encode,
        open_upscaler, upscale, matmul_rate, int8_matmul_rate, product_rate, device_memory, memory,
    )
}


def answer(line):
    try:
        request = json.loads(line)
        return {"ok": True, **operations[request["op"]](request)}
    except Exception as error:  # noqa: BLE001  the other side decides what it means
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    answers.write(json.dumps(answer(line)) + "\n")
