"""A batch of prompts read and ready to be answered; what all of them begin with runs once for each recipe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from clampdown.engine.blocks import Below, forward
from clampdown.engine.gating import Gates, put_together
from clampdown.engine.openings import ENDLESS, Openings
from clampdown.engine.prefilled import Opened
from clampdown.errors import ClampdownError
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import Batch, ChatModel
from clampdown.models.key_values import choose_rows, joins, roomy_cache, without_last
from clampdown.models.prompt import Spans, user_turns
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.gates.reading import Reading
from clampdown.steering.positions import Places

T = TypeVar("T")


@contextmanager
def opened(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    recipes: Sequence[Recipe | None],
    room: int,
    below: Below | None = None,
    *,
    roomy: bool = False,
    apart: bool = False,
    decisions: Sequence[bool | None] | None = None,
    share: bool = True,
    openings: Openings | None = None,
) -> Iterator[Opened]:
    """Read prompts (token ids), row r under recipes[r]; the context keeps steering on for what follows them.

    Where a recipe has a gate that scores, its row is read unsteered first, and once more, steered, if the gate opens.

    Args:
        room: how many tokens may follow the longest prompt.
        roomy: set memory aside for them at once, as is best where they come one by one.
        apart: a row whose steering is not finite fails by itself, as `Steering` has it.
        below: shares the lower blocks with whoever was asked the same just before.
        decisions: for each row what its recipe's gate decided, where that lies outside.
        share: run what all prompts begin with once, which in low precision moves what is then said.
        openings: where what the chats open with is kept, if all of them open alike.

    Raises:
        ClampdownError: the longest prompt and `room` exceed the model's context, or the prompts can't be read together;
            a gate that can't be asked.
    """
    longest = max(map(len, prompts))
    if len(read_together(model, prompts)) > 1:
        raise ClampdownError("this model does not bear padding, so prompts of different lengths can't share a batch")
    if longest + room > model.context_length:
        raise ClampdownError(
            f"a prompt of {longest} tokens and an answer of {room} exceed the model's context of "
            f"{model.context_length}: shorten either"
        )
    reader, gates = _Reader(model, room, roomy, apart, share, openings), Gates(model, prompts, recipes, decisions)
    if not gates.scored:
        with reader.read(prompts, gates.first, below) as begun:
            begun.steering.decide(gates.decisions)
            yield begun
        return
    with reader.read(prompts, gates.first, None, gates) as begun:
        again = gates.decide()
    under = gates.decided
    rows = again if joins(model.hf) or not again else list(range(len(prompts)))  # all, where none can join later
    last = [row for row in rows if gates.from_last(under[row])]
    first = [row for row in rows if row not in set(last)]
    parts: list[tuple[list[int], Opened]] = []
    if last:
        parts.append((last, reader.read_last(begun, last, prompts, under)))
    if first:
        with reader.read([prompts[row] for row in first], [under[row] for row in first], below) as more:
            parts.append((first, more))
    if len(parts) == 1 and len(rows) == len(prompts):
        begun = parts[0][1]
    else:
        begun.steering.go_on_under(under)
        for some, more in parts:
            begun = put_together(begun, more, some, prompts)
    begun.steering.decide(gates.decisions)
    with begun.steering, torch.inference_mode():
        yield begun


@dataclass(frozen=True)
class _Reader:
    """Reads prompts under recipes that are decided; `opened` says what its attributes mean."""

    model: ChatModel
    room: int
    roomy: bool
    apart: bool
    share: bool
    openings: Openings | None

    @contextmanager
    def read(
        self,
        prompts: Sequence[Sequence[int]],
        recipes: Sequence[Recipe | None],
        below: Below | None,
        gates: Gates | None = None,
    ) -> Iterator[Opened]:
        """Read prompts under their recipes; what `gates` want to see of rows without one is scored meanwhile."""
        model, beginning = self.model, self._beginning(prompts, recipes, below, gates)
        with beginning as (steering, cache, shared, readings), torch.inference_mode(), ExitStack() as watching:
            batch = model.pad([prompt[shared:] for prompt in prompts])
            mask = torch.cat([batch.attention_mask.new_ones(len(prompts), shared), batch.attention_mask], dim=1)
            position = (mask.cumsum(-1) - 1).clamp_min(0)[:, shared:]
            asked = (shared, len(set(recipes)), *map(tuple, prompts))
            for reading in readings:
                watching.enter_context(reading.rest())
            out = forward(
                model,
                below,
                "prompts",
                asked,
                input_ids=batch.input_ids,
                attention_mask=mask,
                position_ids=position,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            watching.close()
            yield Opened(steering, out.past_key_values, out.logits, mask, position[:, -1:], asked)

    @torch.inference_mode()
    def read_last(
        self, begun: Opened, rows: Sequence[int], prompts: Sequence[Sequence[int]], under: Sequence[Recipe | None]
    ) -> Opened:
        """These rows' last tokens read under their recipes, behind what a reading without any left of those before."""
        model, some = self.model, [prompts[row] for row in rows]
        index = torch.tensor(rows, dtype=torch.long)
        cache, here = without_last(begun.cache, index), index.to(begun.mask.device)
        mask, position = begun.mask[here], begun.position[here]
        real = mask.bool()
        places = Places(real, mask.cumsum(-1) - 1, position + 1, user=torch.zeros_like(real))
        steering = Steering(
            model,
            [under[row] for row in rows],
            prompt_lengths=list(map(len, some)),
            user_turns=[user_turns(prompt) for prompt in some],
            apart=self.apart,
            decided=True,
        )
        with steering:
            steering.rows.saw(places.columns(0, -1))
            steering.expect(places.columns(-1, None))
            out = model.hf(
                input_ids=torch.tensor([prompt[-1:] for prompt in some], device=mask.device),
                attention_mask=mask,
                position_ids=position,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return Opened(steering, out.past_key_values, out.logits, mask, position, ("last", tuple(rows), begun.asked))

    @contextmanager
    def _beginning(
        self,
        prompts: Sequence[Sequence[int]],
        recipes: Sequence[Recipe | None],
        below: Below | None,
        gates: Gates | None,
    ) -> Iterator[tuple[Steering, Any, int, list[Reading]]]:
        """Run the tokens that all prompts begin with once for each distinct recipe, then fan out to the rows.

        Yields the steering, the cache, how many tokens of every row the cache holds, and what scores the rest. A chat
        template's own opening is often half of a short prompt. Where blocks look back less far than prompt and room,
        nothing is shared, for the padding between opening and rest would shorten their view; nor where they keep
        recurrent states, which it would run through.
        """
        model, apart = self.model, self.apart
        if self.openings is not None and (length := self.openings.of_all(prompts, self.room)):
            kept = self.openings.begun(
                prompts, length, recipes, gates, room=self.room, roomy=self.roomy, apart=self.apart
            )
            with kept as continued:
                yield continued
            return
        number = {recipe: n for n, recipe in enumerate(dict.fromkeys(recipes))}
        distinct = list(number)
        lengths, turns = list(map(len, prompts)), [user_turns(prompt) for prompt in prompts]
        read = [
            spans for spans, recipe in zip(turns, recipes, strict=True) if recipe and recipe.positions.prompt == "user"
        ]
        shared = alike(read, shared_length(prompts))
        columns = max(lengths) + self.room
        begun = roomy_cache(model.hf, columns)
        separate = begun is None or (model.window is not None and model.window < columns)
        begun = begun if self.roomy else None
        if not self.share or separate or len(prompts) < 2 * len(distinct) or shared < 4:
            with Steering(
                model, recipes, prompt_lengths=lengths, user_turns=turns, apart=apart, decided=True
            ) as steering:
                yield steering, begun, 0, gates.readings(0) if gates else []
            return
        readings = gates.readings(shared) if gates else []
        opening = model.pad([prompts[0][:shared]] * len(distinct))
        first = [turns[list(recipes).index(recipe)] for recipe in distinct]  # as all its rows have it here
        begin = Steering(
            model, distinct, prompt_lengths=[ENDLESS] * len(distinct), user_turns=first, apart=apart, decided=True
        )
        with begin as steering, torch.inference_mode(), ExitStack() as watching:
            for reading in readings:
                watching.enter_context(reading.opening(number[None]))
            asked = (len(distinct), *prompts[0][:shared])
            out = forward(
                model, below, "opening", asked, **opening.as_inputs(), past_key_values=begun, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            watching.close()
            cache = out.past_key_values
            rows = torch.tensor([number[recipe] for recipe in recipes])
            choose_rows(cache, rows)
            steering.fan_out(rows, lengths, turns)
            yield steering, cache, shared, readings


def read_together(model: ChatModel, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """The prompts' places in groups that one batch may hold: all of them, but where padding would be heard."""
    places = list(range(len(prompts)))
    if bearing(model.hf).padding or len(set(map(len, prompts))) < 2:
        return [places]
    by_length: dict[int, list[int]] = {}
    for place in places:
        by_length.setdefault(len(prompts[place]), []).append(place)
    return list(by_length.values())


def in_order(groups: Sequence[list[int]], ask: Callable[[list[int]], Sequence[T]]) -> list[T]:
    """What is found when each group of places is asked by itself, in the order of all places."""
    found = {place: each for group in groups for place, each in zip(group, ask(group), strict=True)}
    return [found[place] for place in sorted(found)]


def go_on(
    model: ChatModel, cache: Any, inputs: dict[str, Tensor], below: Below | None = None, asked: Any = ()
) -> Tensor:
    """The logits [row, column, vocabulary] of what follows a cache, its inputs as `after` gives them.

    One call where the model bears several tokens at once, else one a token. below, asked: as for `forward`.
    """
    width = inputs["input_ids"].shape[1]
    if width == 1 or bearing(model.hf).parts:
        out = forward(model, below, "choices", asked, past_key_values=cache, use_cache=True, **inputs)
        return out.logits
    known = inputs["attention_mask"].shape[1] - width
    told = []
    for column in range(width):
        here = slice(column, column + 1)
        step = {"input_ids": inputs["input_ids"][:, here], "position_ids": inputs["position_ids"][:, here]}
        mask = inputs["attention_mask"][:, : known + column + 1]
        told.append(model.hf(**step, attention_mask=mask, past_key_values=cache, use_cache=True).logits)
    return torch.cat(told, dim=1)


def after(mask: Tensor, position: Tensor, tail: Batch) -> dict[str, Tensor]:
    """The inputs of a call that goes on with `tail`, padded on the right, after rows of such mask and last position."""
    columns = torch.arange(1, tail.input_ids.shape[1] + 1, device=position.device)
    return {
        "input_ids": tail.input_ids,
        "attention_mask": torch.cat([mask, tail.attention_mask], dim=1),
        "position_ids": position + columns,
    }


def shared_length(rows: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all rows share, leaving each at least one of its own."""
    most = min(map(len, rows)) - 1
    return next((i for i in range(most) if len({row[i] for row in rows}) > 1), most)


def alike(turns: Sequence[Spans | None], shared: int) -> int:
    """How many of the `shared` tokens that rows begin with are the user's in all of them or in none."""
    here = {tuple((a, min(b, shared)) for a, b in spans if a < min(b, shared)) for spans in turns if spans is not None}
    if len(here) < 2:
        return shared
    said = [[any(a <= place < b for a, b in spans) for spans in here] for place in range(shared)]
    return next((place for place, rows in enumerate(said) if len(set(rows)) > 1), shared)
