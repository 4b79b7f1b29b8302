"""A server with the original's protocol: FastAPI and uvicorn, one WebSocket, jobs in a dict, one task that runs them one after the other.

It supports the same messages as ours, so the same clients measure both. Its model takes no time and generates nothing, so only the server is measured.
POST /api/queue {"action": "pause" | "resume" | "clear"} exists for the measurement, as in our server.

Arguments: PORT, and `memory` (jobs in a dict, as the original) or `sqlite` (each new job committed with synchronous FULL before it is acknowledged).
"""

import asyncio
import hashlib
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

DEFAULTS = {"width": 1024, "height": 1024, "steps": 9, "guidance_scale": 0.0, "seed": 42, "model_type": "uint4"}

port, storage = int(sys.argv[1]), sys.argv[2]
jobs: dict[str, dict] = {}
subscribers: dict[str, dict[str, str | None]] = {}
connections: dict[str, set[WebSocket]] = {}
waiting: asyncio.Queue[str] = asyncio.Queue()
running = asyncio.Event()
running.set()

database = None
if storage == "sqlite":
    folder = tempfile.TemporaryDirectory()
    database = sqlite3.connect(f"{folder.name}/jobs.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE jobs (job_id TEXT PRIMARY KEY, params TEXT, status TEXT, created_at REAL)")


def job_id_of(task_type: str, params: dict) -> str:
    return hashlib.sha256(json.dumps({"task_type": task_type, "params": params}, sort_keys=True).encode()).hexdigest()


async def tell(job_id: str, message: dict, with_request_id: bool = True) -> None:
    for client_id, request_id in list(subscribers.get(job_id, {}).items()):
        text = json.dumps({**message, "request_id": request_id} if with_request_id else message)
        for socket in list(connections.get(client_id, ())):
            await socket.send_text(text)


async def tell_status(job_id: str, status: str, **more: object) -> None:
    jobs[job_id]["status"] = status
    await tell(job_id, {"type": "job_status", "job_id": job_id, "status": status, **more})


async def create_job(client_id: str, socket: WebSocket, message: dict) -> None:
    params = {**DEFAULTS, **message["params"]}
    job_id = job_id_of(message["task_type"], params)
    subscribers.setdefault(job_id, {})[client_id] = message.get("request_id")
    if job_id in jobs:
        answer = {"type": "job_status", "job_id": job_id, "status": jobs[job_id]["status"], "request_id": message.get("request_id")}
        await socket.send_text(json.dumps(answer))
        return
    jobs[job_id] = {"params": params, "status": "pending", "created_at": time.time()}
    if database is not None:
        database.execute("INSERT INTO jobs VALUES (?, ?, 'pending', ?)", (job_id, json.dumps(params), jobs[job_id]["created_at"]))
    await tell_status(job_id, "pending")
    waiting.put_nowait(job_id)


async def work() -> None:
    while True:
        job_id = await waiting.get()
        await running.wait()
        if job_id not in jobs:
            continue
        await tell_status(job_id, "processing")
        steps = jobs[job_id]["params"]["steps"]
        for step in range(1, steps + 1):
            await asyncio.sleep(0)
            progress = {
                "stage": "generating",
                "percentage": 100 * step // steps,
                "current_step": step,
                "total_steps": steps,
                "elapsed": "00:00",
                "remaining": "00:00",
                "speed": "99.99it/s",
                "type": "progress",
            }
            await tell(job_id, {"type": "job_progress", "job_id": job_id, "progress": progress}, with_request_id=False)
        result = {"filename": f"{job_id[:8]}.png", "local_path": f"outputs/{job_id[:8]}.png"}
        await tell_status(job_id, "generated", result=result)
        result = {"filename": f"{job_id[:8]}.png", "path": f"outputs/{job_id[:8]}.png", "upscaled_filename": f"{job_id[:8]}-upscaled.png"}
        await tell_status(job_id, "completed", result=result)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.worker = asyncio.create_task(work())
    yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/api/ws")
async def serve(socket: WebSocket, client_id: str = "") -> None:
    await socket.accept()
    connections.setdefault(client_id, set()).add(socket)
    try:
        while True:
            message = json.loads(await socket.receive_text())
            if message["type"] == "create_job":
                await create_job(client_id, socket, message)
    except WebSocketDisconnect:
        connections[client_id].discard(socket)


@app.post("/api/queue")
async def queue(request: Request) -> dict:
    action = (await request.json())["action"]
    if action == "pause":
        running.clear()
    elif action == "resume":
        running.set()
    else:
        while not waiting.empty():
            waiting.get_nowait()
        jobs.clear()
        subscribers.clear()
        if database is not None:
            database.execute("DELETE FROM jobs")
    return {"status": "ok"}


@app.get("/api/health")
async def health() -> dict:
    return {"status": "ok"}


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
