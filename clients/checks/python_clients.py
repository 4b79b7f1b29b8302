"""The checks with clients for Python: python python_clients.py URL"""

import asyncio
import base64
import io
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


def fox_png():
    from openai import OpenAI

    client = OpenAI(base_url=f"{URL}/v1", api_key="none")
    return base64.b64decode(client.images.generate(model="x", prompt="a red fox", size="256x256", extra_body={"seed": 3}).data[0].b64_json)


def left_half(value):
    """A mask: `value` in the left half of 256 x 256 pixels, black in the right one."""
    from PIL import Image

    mask = Image.new("L", (256, 256), 0)
    mask.paste(value, (0, 0, 128, 256))
    return mask


def assert_right_half_kept(before, after):
    from PIL import ImageChops

    # the transition of a soft mask is left of it
    box = (144, 0, 256, 256)
    assert ImageChops.difference(before.convert("RGB").crop(box), after.convert("RGB").crop(box)).getbbox() is None, "kept pixels changed"
    left = (0, 0, 112, 256)
    assert ImageChops.difference(before.convert("RGB").crop(left), after.convert("RGB").crop(left)).getbbox() is not None, "nothing was repainted"


def openai_edit():
    from openai import OpenAI

    client = OpenAI(base_url=f"{URL}/v1", api_key="none")
    data = client.images.edit(model="gpt-image-1", image=fox_png(), prompt="a red fox at night", size="256x256").data
    assert base64.b64decode(data[0].b64_json).startswith(PNG)


def openai_edit_mask():
    from openai import OpenAI
    from PIL import Image

    client = OpenAI(base_url=f"{URL}/v1", api_key="none")
    png, mask = fox_png(), io.BytesIO()
    left_half(255).save(mask, "PNG")
    data = client.images.edit(model="gpt-image-1", image=("fox.png", png), mask=("mask.png", mask.getvalue()), prompt="a blue house").data
    assert_right_half_kept(Image.open(io.BytesIO(png)), Image.open(io.BytesIO(base64.b64decode(data[0].b64_json))))


def litellm_edit():
    from litellm import image_edit

    image = io.BytesIO(fox_png())
    image.name = "fox.png"
    answer = image_edit(model="openai/zimage", image=image, prompt="a red fox at night", size="256x256", api_base=f"{URL}/v1", api_key="none")
    assert base64.b64decode(answer.data[0].b64_json).startswith(PNG)


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


def webui_img2img():
    import webuiapi
    from PIL import Image

    host, port = URL.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port))
    fox = Image.open(io.BytesIO(fox_png()))
    assert api.img2img(images=[fox], prompt="a red fox at night", width=256, height=264, denoising_strength=0.6).image.size == (256, 264)
    inpainted = api.img2img(images=[fox], mask_image=left_half(255), inpainting_fill=1, prompt="a blue house", width=256, height=256, denoising_strength=1)
    assert_right_half_kept(fox, inpainted.image)


def webui_extras():
    import webuiapi
    from PIL import Image

    host, port = URL.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port))
    fox = Image.open(io.BytesIO(fox_png()))
    assert api.extra_single_image(image=fox, upscaling_resize=2).image.size == (512, 512)
    assert [image.size for image in api.extra_batch_images(images=[fox, fox], upscaling_resize=3).images] == [(768, 768)] * 2


def fastmcp_generate():
    from fastmcp import Client

    async def run():
        async with Client(f"{URL}/mcp") as client:
            answer = await client.call_tool("generate_image", {"prompt": "a red fox", "width": 256, "height": 256, "steps": 4})
            assert answer.structured_content["images"][0]["state"] == "generated", answer
            image = answer.structured_content["images"][0]["job_id"]
            edited = await client.call_tool("edit_image", {"prompt": "a red fox at night", "image": image, "steps": 4})
            assert edited.structured_content["images"][0]["error"] is None, edited
            upscaled = await client.call_tool("upscale_image", {"image": image, "scale": 2})
            assert upscaled.structured_content["images"][0]["width"] == 512, upscaled

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


def own_edit():
    from zimage_client import Studio

    with Studio(URL) as studio:
        png = fox_png()
        edited = studio.edit(png, "a red fox at night", width=256, height=256, steps=4, upscale=False).result()
        repainted = studio.edit(edited["result"]["filename"], "a fox", mask=png, width=256, height=256, upscale=False).result()
        assert studio.image(repainted["result"]["filename"]).startswith(PNG)
        upscaled = studio.upscale(png, scale=2).result()
        assert studio.image(upscaled["result"]["filename"]).startswith(PNG)


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
    ("openai for Python", "images.edit", openai_edit),
    ("openai for Python", "images.edit, mask", openai_edit_mask),
    ("openai for Python", "a wrong size", openai_error),
    ("LiteLLM", "image_generation", litellm_generate),
    ("LiteLLM", "image_edit", litellm_edit),
    ("webuiapi", "txt2img, lists, progress, interrupt", webui_txt2img),
    ("webuiapi", "img2img, with and without a mask", webui_img2img),
    ("webuiapi", "extra_single_image, extra_batch_images", webui_extras),
    ("webuiapi", "png_info", webui_png_info),
    ("fastmcp", "generate_image, edit_image, upscale_image", fastmcp_generate),
    ("zimage-client for Python", "Studio", own_sync),
    ("zimage-client for Python", "edit, upscale", own_edit),
    ("zimage-client for Python", "AsyncStudio", own_async),
]

urllib.request.urlopen(f"{URL}/api/health").read()
for client, call, check in CHECKS:
    try:
        check()
        print(json.dumps({"client": client, "call": call, "verdict": "works"}), flush=True)
    except Exception as error:  # a verdict, not a failure of this program
        print(json.dumps({"client": client, "call": call, "verdict": "fails", "reason": f"{type(error).__name__}: {error}"[:300]}), flush=True)
