"""Answers as clients see them: alone and among others, streamed and whole, with receipts, likelihoods and stops."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from served import QUESTIONS, chat

from clampdown.engine.echoing import passage_chances
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling

MODELS = ["tiny", "tiny:clamp", "tiny:push", "tiny:gated", "tiny:spoken"]


def expected(shelf, body):
    """The answer of the engine alone."""
    recipe = shelf.named(body["model"])
    ids = shelf.model.prompt_ids(body["messages"], system=recipe.system_prompt if recipe else None)
    [answer] = generate(shelf.model, [ids], [recipe], Sampling(body["max_tokens"], body["temperature"]))
    return answer


def same_receipt(told, answer):
    wanted = answer.receipt.to_dict()
    assert {**told, "relative_norm": 0} == {**wanted, "relative_norm": 0} | {
        key: pytest.approx(wanted[key], abs=1e-4) for key in ("score",) if wanted.get(key) is not None
    }
    assert told["relative_norm"] == pytest.approx(wanted["relative_norm"], rel=1e-3)


def test_a_request_is_answered_the_same_alone_and_among_others(client, shelf):
    bodies = [chat(MODELS[i % 5], QUESTIONS[i % 4], max_tokens=4 + i % 7) for i in range(32)]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda body: client.chat.completions.create(**body), bodies))
    gates = set()
    for body, answer in zip(bodies, answers, strict=True):
        wanted = expected(shelf, body)
        [choice] = answer.choices
        assert choice.message.content == wanted.text and choice.message.role == "assistant"
        assert answer.usage.completion_tokens == len(wanted.ids)
        [receipt] = answer.clampdown["receipts"]
        same_receipt(receipt, wanted)
        gates.add(receipt.get("gate"))
    assert gates == {None, "open", "shut"}


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_what_the_whole_answer_says(model, client):
    body = chat(model, QUESTIONS[1], max_tokens=12, logprobs=True, top_logprobs=2)
    whole = client.chat.completions.create(**body)
    for options in (None, {"include_usage": True}):
        chunks = list(
            client.chat.completions.create(**body, stream=True, **({"stream_options": options} if options else {}))
        )
        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
        assert deltas[0].role == "assistant"
        assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
        told = [
            entry.token for chunk in chunks if chunk.choices and chunk.choices[0].logprobs
            for entry in chunk.choices[0].logprobs.content
        ]  # fmt: skip
        assert told == [entry.token for entry in whole.choices[0].logprobs.content]
        reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
        assert [reason for reason in reasons if reason] == [whole.choices[0].finish_reason]
        assert [chunk for chunk in chunks if getattr(chunk, "clampdown", None)] == chunks[-1:]
        assert chunks[-1].clampdown["receipts"][0]["tokens_seen"] == whole.clampdown["receipts"][0]["tokens_seen"]
        assert chunks[-1].usage == (whole.usage if options else None)


def test_several_choices_and_seeds(client):
    body = chat("tiny:clamp", n=3, temperature=2.0, seed=5, max_tokens=10)
    first, again = (client.chat.completions.create(**body) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices] and len(set(texts)) == 3
    assert [choice.index for choice in first.choices] == [0, 1, 2] and len(first.clampdown["receipts"]) == 3
    other = client.chat.completions.create(**{**body, "seed": 6})
    assert texts != [choice.message.content for choice in other.choices]
    narrow = client.chat.completions.create(**{**body, "top_p": 1e-9})
    greedy = client.chat.completions.create(**{**body, "temperature": 0, "n": 1})
    assert {choice.message.content for choice in narrow.choices} == {greedy.choices[0].message.content}
    chunks = list(client.chat.completions.create(**body, stream=True))
    for number, text in enumerate(texts):
        own = [c.choices[0].delta.content or "" for c in chunks if c.choices and c.choices[0].index == number]
        assert "".join(own) == text
    assert len(chunks[-1].clampdown["receipts"]) == 3


def test_a_stop_text_ends_the_answer_before_it(client, shelf):
    body = chat("tiny:clamp", QUESTIONS[1], max_tokens=20)
    whole = client.chat.completions.create(**body)
    text = whole.choices[0].message.content
    stop = text[len(text) // 2 : len(text) // 2 + 4]
    cut = client.chat.completions.create(**body, stop=["never said", stop])
    [choice] = cut.choices
    assert choice.message.content == text[: text.index(stop)] and choice.finish_reason == "stop"
    assert 0 < cut.usage.completion_tokens < whole.usage.completion_tokens
    [receipt] = cut.clampdown["receipts"]
    assert receipt["tokens_edited"] > 0 and receipt["tokens_seen"] == cut.usage.total_tokens - 1
    streamed = client.chat.completions.create(**body, stop=stop, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == choice.message.content


def test_logprobs_are_those_of_the_steered_model(client):
    body = chat("tiny:clamp", max_tokens=5, logprobs=True, top_logprobs=3)
    entries = client.chat.completions.create(**body).choices[0].logprobs.content
    assert len(entries) == 5
    for entry in entries:
        assert len(entry.top_logprobs) == 3 and entry.token == entry.top_logprobs[0].token  # it is greedy
        assert entry.logprob == max(top.logprob for top in entry.top_logprobs)
    plain = client.chat.completions.create(**{**body, "model": "tiny"}).choices[0].logprobs.content
    assert plain[0].logprob != entries[0].logprob


def test_bytes_of_parts_of_characters_add_up_to_the_text(shelf):
    from clampdown.engine.request import Chance
    from clampdown.serving.logprobs import chat_logprobs

    text = "Löwen 🦁, und \u00ad noch 字."
    ids = shelf.model.tokenizer(text, add_special_tokens=False).input_ids
    told = chat_logprobs(shelf.model, [Chance(token, -1.0, ((token, -1.0),)) for token in ids]).content
    assert any(one.token.startswith("bytes:") for one in told)
    assert bytes(byte for one in told for byte in one.bytes).decode() == text
    assert all(one.bytes == one.top_logprobs[0].bytes for one in told)


@pytest.mark.parametrize("tokens", [0, 1])
def test_an_echo_tells_how_likely_the_prompt_was(tokens, client, shelf):
    ids = list(range(50, 70))
    for model in ("tiny", "tiny:clamp"):
        chances, _, _ = passage_chances(shelf.model, ids, shelf.named(model), 1)
        made = client.completions.create(
            model=model, prompt=[ids, ids[:7]], max_tokens=tokens, temperature=0, logprobs=1, echo=True
        )
        for choice, length in zip(made.choices, (20, 7), strict=True):
            told = choice.logprobs
            assert len(told.tokens) == length + tokens and told.token_logprobs[0] is None
            wanted = [chance.log_probability for chance in chances[: length - 1]]
            assert told.token_logprobs[1:length] == pytest.approx(wanted, abs=1e-3)
            assert choice.text == "".join(told.tokens) and told.text_offset[1] == len(told.tokens[0])
        assert len(made.clampdown["receipts"]) == 2
        assert all((r["tokens_edited"] > 0) == (model != "tiny") for r in made.clampdown["receipts"])


def test_an_echo_under_a_gate_that_would_decide_is_refused(http):
    body = {"model": "tiny:gated", "prompt": "Hi there", "max_tokens": 0, "echo": True, "logprobs": 1}
    refused = http.post("/v1/completions", json=body)
    assert refused.status_code == 400 and "force" in refused.json()["error"]["message"]
    forced = http.post("/v1/completions", json={**body, "clampdown": {"decide": "open"}})
    assert forced.status_code == 200 and forced.json()["clampdown"]["receipts"][0]["gate"] == "open"


def test_plain_texts_are_gone_on_with(client, http):
    made = client.completions.create(
        model="tiny", prompt=["Once upon a time", "The sea"], max_tokens=6, temperature=0, n=1
    )
    assert [choice.index for choice in made.choices] == [0, 1] and made.usage.completion_tokens == 12
    streamed = client.completions.create(model="tiny", prompt="The sea", max_tokens=6, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == made.choices[1].text
    for prompt in ([10**9], [-1], "", [[]], []):
        refused = http.post("/v1/completions", json={"model": "tiny", "prompt": prompt})
        assert refused.status_code == 400, prompt
    for more in ({}, {"max_tokens": 0, "echo": True, "logprobs": 1}):
        window = http.post("/v1/completions", json={"model": "tiny:push", "prompt": "The sea", **more})
        assert window.status_code == 400 and "what the user says" in window.json()["error"]["message"]


def test_what_others_say_of_the_system_stands_after_the_recipes_own(client, shelf):
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    made = client.chat.completions.create(**{**chat("tiny:spoken"), "messages": asked})
    ids = shelf.model.prompt_ids("Hi", system="Speak of herons.\n\nBe brief.")
    assert made.usage.prompt_tokens == len(ids)


def test_lm_eval_gets_the_likelihoods_that_the_scorer_gives(address, shelf):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    from clampdown.engine.request import Continuation
    from clampdown.engine.scoring import sweep_loglikelihood

    lm = LocalCompletionsAPI(
        base_url=f"{address}/v1/completions", model="tiny", tokenizer=str(shelf.model.folder), max_length=256
    )
    pairs = [("The capital of France is", " Paris"), ("Two and two make", " four"), ("Once", " upon a time")]
    asked = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    found = lm.loglikelihood(asked)
    ids = [Continuation(*(shelf.model.tokenizer(text).input_ids for text in pair)) for pair in pairs]
    [wanted] = sweep_loglikelihood(shelf.model, [None], ids).scores
    assert [one for one, _ in found] == pytest.approx([score.log_probability for score in wanted], abs=1e-2)
    assert [greedy for _, greedy in found] == [score.greedy for score in wanted]


def test_a_stream_is_sse_that_ends_with_done(http):
    with http.stream("POST", "/v1/chat/completions", json=chat("tiny:clamp", stream=True)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines)
    assert json.loads(lines[-2][6:])["clampdown"]["recipe"] == "clamp"


def test_activations_come_token_by_token_with_the_gates_score(http, shelf, recipes):
    from clampdown.saes.load import load_sae

    messages = chat("tiny", QUESTIONS[1])["messages"]
    made = http.post("/v1/clampdown/activations", json={"model": "tiny:clamp", "messages": messages}).json()
    ids = shelf.model.prompt_ids(messages)
    [clamp], clamps = made["clamps"], recipes["clamp"].clamps
    x = shelf.model.residual(shelf.model.pad([ids]), [1])[0][0]
    z = load_sae(clamps[0].sae).encode(x)
    for latent in (3, 7):
        assert clamp["activations"][str(latent)] == pytest.approx(z[:, latent].tolist(), abs=1e-3)
    assert len(made["tokens"]) == len(ids) and made["gate"] is None
    gated = http.post("/v1/clampdown/activations", json={"model": "tiny:gated", "messages": messages}).json()
    [receipt] = http.post("/v1/chat/completions", json=chat("tiny:gated", QUESTIONS[1])).json()["clampdown"]["receipts"]
    assert gated["gate"]["open"] == (receipt["gate"] == "open")
    assert gated["gate"]["score"] == pytest.approx(receipt["score"], abs=1e-3)
    for wrong in ({}, {"text": "x", "messages": messages}, {"text": ""}, {"text": "word " * 400}, {"text": "\ud800"}):
        content = json.dumps({"model": "tiny", **wrong})
        refused = http.post("/v1/clampdown/activations", content=content, headers={"Content-Type": "application/json"})
        assert refused.status_code == 400, wrong
