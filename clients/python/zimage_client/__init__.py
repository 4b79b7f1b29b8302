"""Client of a Z-Image-Turbo Studio server: `AsyncStudio`, and `Studio` for programs without asyncio."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from typing import Any, AsyncIterator, Dict, Iterator, Optional, Set, Union, cast
from urllib.parse import quote, urlencode

import httpx
import websockets

from .wire import JobPreview, JobProgress, JobStatus, Upload

__all__ = ["AsyncJob", "AsyncStudio", "Job", "Studio", "StudioError"]

#: The file name of an image made here, the id of an upload, or the bytes of an image file.
ImageSource = Union[str, bytes]
JobMessage = Union[JobStatus, JobProgress, JobPreview]
_ENDS = {"completed", "failed", "cancelled"}
_RECONNECT_S = 0.5
_MAX_RECONNECT_S = 5.0


class StudioError(Exception):
    """An error of the server. `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str, field: Optional[str] = None, status: Optional[int] = None) -> None:
        super().__init__(message)
        self.code, self.field, self.status = code, field, status


class AsyncJob:
    """One job. Iterate it for its messages; `result()` waits for the end."""

    def __init__(self, studio: "AsyncStudio", job_id: Optional[str] = None) -> None:
        self._studio = studio
        self._messages: "asyncio.Queue[Union[JobMessage, StudioError, None]]" = asyncio.Queue()
        self._has_id = asyncio.Event()
        self._last: Optional[JobStatus] = None
        #: Known with the first message.
        self.id = job_id

    def _push(self, message: JobMessage) -> None:
        self.id = message["job_id"]
        self._has_id.set()
        self._messages.put_nowait(message)
        if message["type"] == "job_status":
            self._last = cast(JobStatus, message)
            if message["status"] in _ENDS:
                self._end(None)

    def _end(self, error: Optional[StudioError]) -> None:
        self._studio._jobs.discard(self)
        self._has_id.set()
        self._messages.put_nowait(error)

    async def __aiter__(self) -> AsyncIterator[JobMessage]:
        """Every message until the job has ended. Raises `StudioError` if the request was refused. To be iterated once."""
        while (message := await self._messages.get()) is not None:
            if isinstance(message, StudioError):
                raise message
            yield message

    async def result(self) -> JobStatus:
        """The last status, which is `completed`. Raises `StudioError` with the code of a failure, or `cancelled`."""
        if self._last is None or self._last["status"] not in _ENDS:
            async for _ in self:
                pass
        last = cast(JobStatus, self._last)
        if last["status"] == "completed":
            return last
        raise StudioError(last.get("code", last["status"]), last.get("error", f"The job is {last['status']}."))

    async def cancel(self) -> JobStatus:
        """The run stops when no other client wants it."""
        await self._has_id.wait()
        return await self._studio.cancel(cast(str, self.id))


class AsyncStudio:
    """A connection to a server. Use it in one event loop, best as `async with`."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8004",
        key: Optional[str] = None,
        client_id: Optional[str] = None,
        since: Optional[int] = None,
        retries: int = 10,
    ) -> None:
        self.url = url.rstrip("/")
        #: Keeps subscriptions across connections.
        self.client_id = client_id or f"client-{uuid.uuid4()}"
        #: The number of the newest event: `since` of a later client with the same `client_id`.
        self.seq = since
        self._key, self._retries = key, retries
        self._name = uuid.uuid4().hex[:8]
        self._requests = 0
        self._pending: Dict[str, Dict[str, Any]] = {}
        self._waiting: Dict[str, Union[AsyncJob, "asyncio.Future[JobStatus]"]] = {}
        self._jobs: Set[AsyncJob] = set()
        self._previews = False
        self._socket: Any = None
        self._task: Optional["asyncio.Task[None]"] = None
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        # a proxy of the environment is not asked for a server on this machine
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    async def __aenter__(self) -> "AsyncStudio":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def create(self, prompt: str, *, task_type: str = "text_to_image", previews: bool = False, **params: Any) -> AsyncJob:
        """Asks for an image. `params` are those of `create_job`: width, height, steps, seed and more."""
        return await self._create(task_type, {"prompt": prompt, **params}, previews)

    async def edit(self, image: ImageSource, prompt: str, *, mask: Optional[ImageSource] = None, previews: bool = False, **params: Any) -> AsyncJob:
        """Makes an image from another one; with `mask` only parts of it. Images are file names of images made here, ids of uploads, or bytes."""
        params = {"prompt": prompt, "image": await self._reference(image), **params}
        if mask is not None:
            params["mask"] = await self._reference(mask)
        return await self._create("image_to_image" if mask is None else "inpaint", params, previews)

    async def upscale(self, image: ImageSource, **params: Any) -> AsyncJob:
        """Makes an image 2 or 4 times as large (`scale`); `image` as in `edit`."""
        return await self._create("upscale", {"image": await self._reference(image), **params}, False)

    async def upload(self, data: bytes) -> Upload:
        """Uploads the bytes of an image file. Its `id` may start jobs for a day."""
        # whatever it is, the server looks at the bytes
        return cast(Upload, (await self._request("/api/uploads", "PUT", content=data, headers={"content-type": "image/png"})).json())

    async def _reference(self, image: ImageSource) -> str:
        if isinstance(image, str):
            return image
        found = await self.upload(image)
        if found["id"] is None:
            raise StudioError("bad_param", f"The image has {found['width']} x {found['height']} pixels, which is too large.", "image")
        return found["id"]

    async def _create(self, task_type: str, params: Dict[str, Any], previews: bool) -> AsyncJob:
        job = AsyncJob(self)
        self._jobs.add(job)
        if previews and not self._previews:
            self._previews = True
            await self._send({"type": "watch", "previews": True})
        await self._ask({"type": "create_job", "task_type": task_type, "params": params}, job)
        return job

    async def job(self, job_id: str) -> AsyncJob:
        """Follows a job that exists."""
        job = AsyncJob(self, job_id)
        self._jobs.add(job)
        await self._ask({"type": "get_status", "job_id": job_id}, job)
        return job

    async def cancel(self, job_id: str) -> JobStatus:
        answer: "asyncio.Future[JobStatus]" = asyncio.get_running_loop().create_future()
        await self._ask({"type": "cancel_job", "job_id": job_id}, answer)
        return await answer

    async def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Calls an HTTP address of the server and returns its JSON."""
        return (await self._request(path, method, json=body)).json()

    async def image(self, filename: str, width: Optional[int] = None) -> bytes:
        """The bytes of an image, or of its smaller version."""
        query = "" if width is None else f"?w={width}"
        return (await self._request(f"/api/image/{quote(filename, safe='')}{query}")).content

    async def close(self) -> None:
        """Ends the connection. Jobs go on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail(StudioError("closed", "The client was closed."))
        await self._http.aclose()

    async def _request(self, path: str, method: str = "GET", **content: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise StudioError("unreachable", f"No server answers at {self.url}.") from error
        if answer.is_success:
            return answer
        try:
            reason = answer.json()
            error = StudioError(reason["code"], reason["message"], reason.get("field"), answer.status_code)
        except (ValueError, KeyError, TypeError):
            error = StudioError("http_error", f"{self.url}{path} answered {answer.status_code}.", None, answer.status_code)
        raise error

    async def _send(self, message: Dict[str, Any]) -> None:
        if self._socket is None:
            return
        try:
            await self._socket.send(json.dumps(message))
        except websockets.ConnectionClosed:
            pass  # the next connection sends what has no answer

    async def _ask(self, message: Dict[str, Any], waiting: Union[AsyncJob, "asyncio.Future[JobStatus]"]) -> None:
        self._requests += 1
        request_id = f"{self._name}-{self._requests}"
        self._pending[request_id] = {**message, "request_id": request_id}
        self._waiting[request_id] = waiting
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        await self._send(self._pending[request_id])

    async def _run(self) -> None:
        failures = 0
        while failures <= self._retries:
            query = {"client_id": self.client_id, **({} if self.seq is None else {"since": self.seq})}
            headers = {} if self._key is None else {"authorization": f"Bearer {self._key}"}
            try:
                address = f"{self.url.replace('http', 'ws', 1)}/api/ws?{urlencode(query)}"
                async with websockets.connect(address, additional_headers=headers, max_size=None, proxy=None) as socket:
                    self._socket, failures = socket, 0
                    if self._previews:
                        await self._send({"type": "watch", "previews": True})
                    # the server joins a request that it has seen to its job, so asking twice is safe
                    for message in list(self._pending.values()):
                        await self._send(message)
                    async for text in socket:
                        self._receive(json.loads(text))
            except (OSError, websockets.WebSocketException):
                pass  # tried again below
            finally:
                self._socket = None
            if not self._pending and not self._jobs:
                return
            failures += 1
            await asyncio.sleep(min(_MAX_RECONNECT_S, _RECONNECT_S * 2 ** (failures - 1)))
        self._fail(StudioError("unreachable", f"The server at {self.url} does not answer."))

    def _receive(self, message: Dict[str, Any]) -> None:
        if isinstance(message.get("seq"), int):
            self.seq = max(self.seq or 0, message["seq"])
        if message["type"] not in ("job_status", "job_progress", "job_preview", "error"):
            return
        request_id = message.get("request_id")
        waiting = self._waiting.pop(request_id, None) if isinstance(request_id, str) else None
        if waiting is not None:
            self._pending.pop(cast(str, request_id), None)
        if message["type"] == "error":
            error = StudioError(message["code"], message["message"], message.get("field"))
            if isinstance(waiting, AsyncJob):
                waiting._end(error)
            elif waiting is not None and not waiting.done():
                waiting.set_exception(error)
            return
        if isinstance(waiting, AsyncJob):
            waiting.id = message["job_id"]
        elif waiting is not None and not waiting.done():
            waiting.set_result(cast(JobStatus, message))
        for job in [job for job in self._jobs if job.id == message["job_id"]]:
            job._push(cast(JobMessage, message))

    def _fail(self, error: StudioError) -> None:
        for waiting in self._waiting.values():
            if not isinstance(waiting, AsyncJob) and not waiting.done():
                waiting.set_exception(error)
        for job in list(self._jobs):
            job._end(error)
        self._waiting.clear()
        self._pending.clear()


class Job:
    """An `AsyncJob` for programs without asyncio."""

    def __init__(self, studio: "Studio", job: AsyncJob) -> None:
        self._studio, self._job = studio, job

    @property
    def id(self) -> Optional[str]:
        return self._job.id

    def __iter__(self) -> Iterator[JobMessage]:
        messages = self._job.__aiter__()
        while True:
            try:
                yield self._studio._do(messages.__anext__())
            except StopAsyncIteration:
                return

    def result(self) -> JobStatus:
        return self._studio._do(self._job.result())

    def cancel(self) -> JobStatus:
        return self._studio._do(self._job.cancel())


class Studio:
    """An `AsyncStudio` for programs without asyncio, on a thread of its own. Takes the same arguments; use it best as `with`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

        async def create() -> AsyncStudio:
            return AsyncStudio(*args, **options)

        self._studio = self._do(create())

    def _do(self, work: Any) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, prompt: str, **params: Any) -> Job:
        return Job(self, self._do(self._studio.create(prompt, **params)))

    def edit(self, image: ImageSource, prompt: str, **params: Any) -> Job:
        return Job(self, self._do(self._studio.edit(image, prompt, **params)))

    def upscale(self, image: ImageSource, **params: Any) -> Job:
        return Job(self, self._do(self._studio.upscale(image, **params)))

    def upload(self, data: bytes) -> Upload:
        return cast(Upload, self._do(self._studio.upload(data)))

    def job(self, job_id: str) -> Job:
        return Job(self, self._do(self._studio.job(job_id)))

    def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return self._do(self._studio.call(path, method, body))

    def image(self, filename: str, width: Optional[int] = None) -> bytes:
        return self._do(self._studio.image(filename, width))

    def close(self) -> None:
        self._do(self._studio.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
