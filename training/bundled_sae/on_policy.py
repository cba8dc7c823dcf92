"""Let the bundled model answer prompts, as training text for the bundled SAE.

Three kinds of answer, in equal parts: to ordinary instructions, to red-team requests (the model complies with most),
and to both while a refusal direction is added, so that the SAE also sees refusals in the model's own words.

    python on_policy.py MODEL_DIR DATA_DIR OUT.jsonl [--rows 1050] [--tokens 48]

DATA_DIR holds the corpora named in README.md beside this file. Answers are kept out of the repository.
"""

import argparse
import gzip
import json
import random
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LAYER = 12
REFUSAL = "I'm sorry, but I can't assist with that request."
COMPLIANCE = "Sure, here is a detailed answer to your question."


def rows(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as f:
        return [json.loads(line) for line in f]


def prompts(data: Path, n: int) -> tuple[list[str], list[str]]:
    red = [r["messages"][0]["content"] for r in rows(data / "corpus/hh_rlhf_harmless_test.jsonl.gz")]
    ordinary = [
        r["instruction"] + ("\n" + r["input"] if r["input"] else "")
        for name in ("gpteacher_roleplay_codegen.jsonl.gz", "self_instruct_seed.jsonl", "user_oriented_252.jsonl")
        for r in rows(data / "corpus" / name)
    ]
    rng = random.Random(0)
    keep = lambda texts: rng.sample([t for t in dict.fromkeys(texts) if 10 < len(t) < 400], n)  # noqa: E731
    return keep(red), keep(ordinary)


def render(tok, prompt):
    chat = [{"role": "user", "content": prompt}]
    return tok.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)


@torch.inference_mode()
def direction(model, tok, some):
    """Mean residual over refusing minus complying answer tokens: [d_model]."""
    means = []
    for answer in (REFUSAL, COMPLIANCE):
        total = 0
        for prompt in some:
            pre = tok(render(tok, prompt), add_special_tokens=False).input_ids
            ids = pre + tok(answer, add_special_tokens=False).input_ids
            hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[LAYER + 1]
            total = total + hidden[0, len(pre) :].mean(0)
        means.append(total / len(some))
    return means[0] - means[1]


@torch.inference_mode()
def answer(model, tok, batch, tokens):
    inputs = tok([render(tok, p) for p in batch], add_special_tokens=False, padding=True, return_tensors="pt")
    out = model.generate(**inputs, max_new_tokens=tokens, do_sample=True, temperature=0.8, top_p=0.95)
    return tok.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=1050)
    parser.add_argument("--tokens", type=int, default=48)
    args = parser.parse_args()
    torch.manual_seed(0)
    tok = AutoTokenizer.from_pretrained(args.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    red, ordinary = prompts(args.data, args.rows // 2)
    third = len(red) // 3 * 2
    vector = direction(model, tok, red[:32])

    def add(_module, _inputs, output):
        return output + vector

    plan = [(red[:third] + ordinary[:third], None), (red[third:] + ordinary[third:], add)]
    with args.out.open("w") as f:
        for chosen, hook in plan:
            chosen = sorted(chosen, key=len)
            for i in range(0, len(chosen), 96):
                batch = chosen[i : i + 96]
                handle = model.model.layers[LAYER].register_forward_hook(hook) if hook else None
                for p, a in zip(batch, answer(model, tok, batch, args.tokens), strict=True):
                    chat = [{"role": "user", "content": p}, {"role": "assistant", "content": a}]
                    f.write(json.dumps({"messages": chat, "source": "on-policy"}) + "\n")
                if handle:
                    handle.remove()
                f.flush()


if __name__ == "__main__":
    main()
