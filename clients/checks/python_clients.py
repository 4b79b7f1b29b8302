"""The checks with clients for Python: python python_clients.py URL"""

import asyncio
import base64
import json
import random
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
URL = sys.argv[1]
PNG = b"\x89PNG"


def openai_generate():
    from openai import OpenAI

    client = OpenAI(base_url=f"{URL}/v1", api_key="none")
    data = client.images.generate(model="gpt-image-1", prompt="a red fox", size="256x256", extra_body={"seed": 5, "num_inference_steps": 4}).data
    assert base64.b64decode(data[0].b64_json).startswith(PNG)


def openai_stream():
    from openai import OpenAI

    client = OpenAI(base_url=f"{URL}/v1", api_key="none")
    types = [event.type for event in client.images.generate(model="gpt-image-1", prompt="streamed in Python", size="256x256", stream=True, partial_images=1)]
    assert types[-1] == "image_generation.completed" and len(types) > 1, types


def openai_error():
    from openai import BadRequestError, OpenAI

    try:
        OpenAI(base_url=f"{URL}/v1", api_key="none").images.generate(model="x", prompt="x", size="7x7")
    except BadRequestError as error:
        assert error.param == "size", error
    else:
        raise AssertionError("a wrong size was accepted")


def litellm_generate():
    from litellm import image_generation

    answer = image_generation(model="openai/zimage", prompt="a red fox", size="256x256", api_base=f"{URL}/v1", api_key="none")
    assert base64.b64decode(answer.data[0].b64_json).startswith(PNG)


def webui_txt2img():
    import webuiapi

    host, port = URL.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port))
    answer = api.txt2img(prompt="a red fox", width=256, height=264, seed=3)
    assert answer.image.size == (256, 264), answer.image.size
    assert answer.info["seed"] == 3, answer.info
    assert api.get_progress()["state"]["job_count"] == 0
    assert api.interrupt() == {}
    assert api.get_sd_models() and api.get_samplers() and api.get_options()


def webui_png_info():
    import webuiapi

    host, port = URL.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port))
    image = api.txt2img(prompt="a red fox", width=256, height=256, seed=3).image
    assert "a red fox" in api.png_info(image).info


def fastmcp_generate():
    from fastmcp import Client

    async def run():
        async with Client(f"{URL}/mcp") as client:
            answer = await client.call_tool("generate_image", {"prompt": "a red fox", "width": 256, "height": 256, "steps": 4})
            assert answer.structured_content["images"][0]["state"] == "generated", answer

    asyncio.run(run())


def own_sync():
    from zimage_client import Studio, StudioError

    with Studio(URL) as studio:
        job = studio.create("a red fox", width=256, height=256, steps=4, seed=random.randrange(2**32))
        assert {message["type"] for message in job} >= {"job_status", "job_progress"}
        assert studio.image(job.result()["result"]["filename"]).startswith(PNG)
        try:
            studio.create("x", width=7).result()
        except StudioError as error:
            assert (error.code, error.field) == ("bad_param", "width"), error
        else:
            raise AssertionError("a wrong width was accepted")


def own_async():
    from zimage_client import AsyncStudio

    async def run():
        async with AsyncStudio(URL) as studio:
            jobs = [await studio.create("async", width=256, height=256, steps=4, seed=seed) for seed in (1, 2)]
            results = await asyncio.gather(*(job.result() for job in jobs))
            assert len({result["job_id"] for result in results}) == 2

    asyncio.run(run())


CHECKS = [
    ("openai for Python", "images.generate", openai_generate),
    ("openai for Python", "images.generate, stream", openai_stream),
    ("openai for Python", "a wrong size", openai_error),
    ("LiteLLM", "image_generation", litellm_generate),
    ("webuiapi", "txt2img, lists, progress, interrupt", webui_txt2img),
    ("webuiapi", "png_info", webui_png_info),
    ("fastmcp", "call_tool", fastmcp_generate),
    ("zimage-client for Python", "Studio", own_sync),
    ("zimage-client for Python", "AsyncStudio", own_async),
]

urllib.request.urlopen(f"{URL}/api/health").read()
for client, call, check in CHECKS:
    try:
        check()
        print(json.dumps({"client": client, "call": call, "verdict": "works"}), flush=True)
    except Exception as error:  # a verdict, not a failure of this program
        print(json.dumps({"client": client, "call": call, "verdict": "fails", "reason": f"{type(error).__name__}: {error}"[:300]}), flush=True)
