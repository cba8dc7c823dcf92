"""The tiny model served under several recipes, one of them gated."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "steering"))

from gates import part, written
from served import QUESTIONS, listening, serving

from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.files import save_sae


@pytest.fixture(autouse=True, scope="session")
def installed():
    for package in ("fastapi", "uvicorn", "prometheus_client", "httpx", "openai"):
        pytest.importorskip(package)


@pytest.fixture(scope="session")
def recipes(tiny, tmp_path_factory, make_sae):
    """Half of QUESTIONS open the gate."""
    folder = tmp_path_factory.mktemp("served")
    save_sae(make_sae("jumprelu"), folder / "sae.safetensors")
    clamp = Clamp(str(folder / "sae.safetensors"), "", 1, {3: 6.0, 7: 4.0})
    push = Direction(2, 30.0, seed=1)
    gate = written(folder / "gate.safetensors", tiny, [part(1)], [tiny.prompt_ids(said) for said in QUESTIONS])
    found = [
        Recipe("clamp", "tiny", tiny.sha256, (clamp,)),
        Recipe("push", "tiny", tiny.sha256, (push,), Positions(prompt="user", generated=5)),
        Recipe("gated", "tiny", tiny.sha256, (push,), Positions(prompt="last"), gate=gate),
        Recipe("spoken", "tiny", tiny.sha256, (push,), system_prompt="Speak of herons."),
    ]
    return {recipe.name: recipe for recipe in found}


@pytest.fixture(scope="session")
def shelf(installed, tiny, recipes):
    from clampdown.serving.shelf import Shelf

    found = Shelf(tiny, "tiny", recipes, latents={"clamp": [{"latent": 3, "value": 6.0, "promotes": ["rose"]}]})
    found.check()
    return found


@pytest.fixture(scope="session")
def service(shelf):
    return serving(shelf, answer_tokens=64, prompt_tokens=300)


@pytest.fixture(scope="session")
def address(service):
    with listening(service, hosts=("127.0.0.1", "localhost")) as (url, _):
        yield url


@pytest.fixture(scope="session")
def http(address):
    import httpx

    with httpx.Client(base_url=address, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def client(address):
    import openai

    return openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=120)
