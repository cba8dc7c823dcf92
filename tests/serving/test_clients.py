"""Other people's clients, unmodified: OpenAI's for Node, Inspect's provider and PyRIT's target."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from served import chat

SCRIPT = Path(__file__).with_name("node_client.cjs")


@pytest.fixture
def said(http):
    """What the model says to Hi under a recipe, by plain HTTP."""

    def ask(model, **more):
        found = http.post("/v1/chat/completions", json=chat(model, **more)).json()
        return found["choices"][0]["message"]["content"]

    return ask


def test_openais_node_client(address, said):
    """Where the package lies, NODE_PATH tells."""
    if not (shutil.which("node") and (Path(os.environ.get("NODE_PATH") or "none") / "openai").is_dir()):
        pytest.skip("needs node, and NODE_PATH with its openai package")
    done = subprocess.run(["node", SCRIPT, f"{address}/v1"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"tiny", "tiny:clamp"} <= set(told["names"])
    assert told["content"] == told["streamed"] == said("tiny:clamp")
    assert told["receipts"][0]["tokens_edited"] > 0 and told["factored"] and told["text"]
    assert told["refused"] == {"status": 400, "code": "recipe_not_found"}


def test_inspects_provider(address, said):
    model = pytest.importorskip("inspect_ai.model")
    config = model.GenerateConfig(temperature=0, max_tokens=8, logprobs=True, top_logprobs=2)
    for name in ("tiny", "tiny:clamp"):
        asked = model.get_model(f"openai-api/tiny/{name}", base_url=f"{address}/v1", api_key="none", memoize=False)
        answer = asyncio.run(asked.generate("Hi", config=config))
        assert answer.completion == said(name) and answer.usage.output_tokens > 0
        assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2


def test_pyrits_target(address, said):
    pytest.importorskip("pyrit")
    from pyrit.memory import CentralMemory, SQLiteMemory
    from pyrit.models import Message, MessagePiece
    from pyrit.prompt_target import OpenAIChatTarget

    async def ask(name, **body):
        target = OpenAIChatTarget(
            endpoint=f"{address}/v1",
            api_key="none",
            model_name=name,
            temperature=0,
            max_completion_tokens=8,
            extra_body_parameters={"extra_body": body} if body else None,
        )
        piece = MessagePiece(role="user", original_value="Hi")
        [answer] = await target.send_prompt_async(message=Message(message_pieces=[piece]))
        return answer.message_pieces[0].converted_value

    CentralMemory.set_memory_instance(SQLiteMemory(db_path=":memory:"))
    assert asyncio.run(ask("tiny")) == said("tiny")
    changed = {"factor": 3.0}
    assert asyncio.run(ask("tiny:clamp", clampdown=changed)) == said("tiny:clamp", clampdown=changed)
