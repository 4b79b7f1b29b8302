"""A server with the original's protocol that generates images: FastAPI and uvicorn, one WebSocket, diffusers with sdnq behind it, jobs one after the other.

It supports the original's messages as far as a first image needs them. Arguments: PORT, checkpoint folder, dtype, `quantized` or `plain`, threads, and the
folder for images. It loads its pipeline at once, in parallel with the first request, and prints `ready http://HOST:PORT` when it listens.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

port, checkpoint, dtype, products, threads, outputs = sys.argv[1:7]
model_thread = ThreadPoolExecutor(1)
pipelines: list = []


def load() -> None:
    import sdnq  # noqa: F401  registers the quantizer
    import torch
    from diffusers import ZImagePipeline

    torch.set_num_threads(int(threads))
    pipeline = ZImagePipeline.from_pretrained(checkpoint, torch_dtype=getattr(torch, dtype))
    if products == "quantized":
        from sdnq.loader import apply_sdnq_options_to_model

        pipeline.transformer = apply_sdnq_options_to_model(pipeline.transformer, use_quantized_matmul=True)
        pipeline.text_encoder = apply_sdnq_options_to_model(pipeline.text_encoder, use_quantized_matmul=True)
    pipeline.set_progress_bar_config(disable=True)
    pipelines.append(pipeline)


def draw(params: dict, path: Path) -> None:
    import torch

    image = pipelines[0](
        params["prompt"],
        width=params["width"],
        height=params["height"],
        # the last of the original's steps changes nothing
        num_inference_steps=max(1, params["steps"] - 1),
        guidance_scale=params["guidance_scale"],
        generator=torch.Generator("cpu").manual_seed(params["seed"]),
    ).images[0]
    image.save(path)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    model_thread.submit(load)
    yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/api/ws")
async def serve(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            message = json.loads(await socket.receive_text())
            params = message["params"]
            job_id = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
            name = f"{job_id[:8]}.png"
            status = {"type": "job_status", "job_id": job_id}
            for state in ("pending", "processing"):
                await socket.send_text(json.dumps({**status, "status": state}))
            await asyncio.get_running_loop().run_in_executor(model_thread, draw, params, Path(outputs) / name)
            result = {"filename": name, "local_path": f"outputs/{name}"}
            await socket.send_text(json.dumps({**status, "status": "generated", "result": result}))
    except WebSocketDisconnect:
        pass


@app.get("/api/health")
async def health() -> dict:
    return {"status": "ok"}


class Server(uvicorn.Server):
    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        listening = self.servers[0].sockets[0].getsockname()[1]
        print(f"ready http://127.0.0.1:{listening}", flush=True)


Server(uvicorn.Config(app, host="127.0.0.1", port=int(port), log_level="warning")).run()
