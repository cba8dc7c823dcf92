"""Tokens of requests end to end, as Transformers' continuous batching packs them: the flat core takes these too."""

import pytest
import torch

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.models import residual
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.steering.attach import Steering
from clampdown.steering.positions import Places

batching = pytest.importorskip("transformers.generation.continuous_batching")


class Packed:
    """Steers a model whose calls are [1, token], with the rows of each call told by `order`."""

    def __init__(self, model, recipes, prompts):
        self.model = model
        self.rows = Steering(model, recipes).rows
        self.prompt_length = torch.tensor([[len(prompt)] for prompt in prompts])
        self.order = None
        self.calls = []

    def before(self, _module, args, kwargs):
        assert not args
        lengths = kwargs["cu_seq_lens_q"].diff()
        rows = torch.tensor(self.order())
        self.of = rows[: len(lengths)].repeat_interleave(lengths)
        self.calls.append(lengths.tolist())
        position = kwargs["position_ids"].T
        self.places = Places(torch.ones_like(position, dtype=torch.bool), position, self.prompt_length[self.of])
        self.rows.saw(self.places, self.of)

    def after(self, layer):
        def hook(_module, _inputs, output):
            x = residual.block_output(output)
            changed = self.rows.steer(layer, x.transpose(0, 1), self.places)
            return None if changed is None else residual.with_block_output(output, changed.transpose(0, 1))

        return hook

    def __enter__(self):
        decoder, blocks = residual.decoder(self.model.hf), residual.blocks(self.model.hf)
        self.handles = [decoder.register_forward_pre_hook(self.before, with_kwargs=True)]
        self.handles += [blocks[layer].register_forward_hook(self.after(layer)) for layer in self.rows.layers]
        return self

    def __exit__(self, *_error):
        for handle in self.handles:
            handle.remove()


def packed_answers(model, prompts, recipes, tokens):
    """Greedy answers by Transformers' continuous batching, in this thread; and the steering they were given under."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    settings = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, eos_token_id=sorted(model.stop_ids), pad_token_id=0
    )
    config = ContinuousBatchingConfig(allow_block_sharing=False, num_blocks=64, max_batch_tokens=24)
    manager = model.hf.init_continuous_batching(generation_config=settings, continuous_batching_config=config)
    try:
        for number, prompt in enumerate(prompts):
            manager.add_request(list(prompt), request_id=str(number), max_new_tokens=tokens)
        stop = manager.background_thread_status
        stop.request_stop(type(stop).FLUSH_AND_STOP, 0)
        with torch.inference_mode(), Packed(model, recipes, prompts) as steering:
            steering.order = lambda: [
                int(future.state.request_id) for future in manager.batch_processor.inputs_and_outputs.requests_in_batch
            ]
            manager._run_generation_loop()
        found = {}
        while (result := manager.get_result(timeout=0.01)) is not None:
            found[int(result.request_id)] = result.generated_tokens
        return [found[number] for number in range(len(prompts))], steering
    finally:
        if manager._original_attn_impl is not None:
            model.hf.set_attn_implementation(manager._original_attn_impl)


def test_packed_requests_under_mixed_recipes_are_answered_as_alone(tiny, tmp_path, make_sae):
    for layer, kind in ((1, "jumprelu"), (2, "topk")):
        save_sae(make_sae(kind, layer=layer, seed=layer), tmp_path / f"{layer}.safetensors")
    one, two = (str(tmp_path / f"{layer}.safetensors") for layer in (1, 2))
    recipes = [
        Recipe("clamp", "tiny", "", (Clamp(one, "", 1, {3: 6.0, 7: 4.0}),)),
        None,
        Recipe(
            "window", "tiny", "", (Clamp(one, "", 1, {7: 9.0, 50: 5.0}),), Positions(prompt="last", generated=3, fade=2)
        ),
        Recipe("topk", "tiny", "", (Clamp(two, "", 2, {9: 7.0}),), Positions("generated")),
        Recipe("direction", "tiny", "", (Direction(0, 3.0, seed=1), Direction(2, 1.0, "remove", seed=2))),
        Recipe("whole", "tiny", "", (Clamp(two, "", 2, {9: 7.0}, "reconstruct"),)),
    ]
    draw = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, 40_000, (n,), generator=draw).tolist() for n in (5, 9, 3, 12, 7, 4)]
    told, steering = packed_answers(tiny, prompts, recipes, 8)
    alone = [generate(tiny, [p], [r], Sampling(8))[0] for p, r in zip(prompts, recipes, strict=True)]
    assert [tuple(ids) for ids in told] == [answer.ids for answer in alone]
    unsteered = generate(tiny, prompts, [None] * 6, Sampling(8))
    assert sum(a.ids != b.ids for a, b in zip(alone, unsteered, strict=True)) >= 3, (
        "the recipes change too little to tell"
    )
    receipts = steering.rows.receipts()
    assert [(r.tokens_seen, r.tokens_edited) for r in receipts] == [
        (a.receipt.tokens_seen, a.receipt.tokens_edited) for a in alone
    ]
    assert any(len(lengths) > 2 and len(set(lengths)) > 1 for lengths in steering.calls), "no call mixed its lengths"
