"""The engine on Transformers: requests wait, join the running batch once their prompts are read, and leave it."""

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import count

from clampdown.engine.gating import check_fits
from clampdown.engine.openings import Openings
from clampdown.engine.prefill import opened, read_together
from clampdown.engine.request import Answer, Event, Request
from clampdown.engine.running import Row, Running
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import joins
from clampdown.steering.decision import unasked


class LocalEngine:
    """Answers requests in one batch that grows and shrinks. For one thread; others may use the model between steps.

    Args:
        most: rows of the batch; further requests wait. Where a model's blocks keep what can't be joined (sliding
            windows, recurrent states), they wait until the batch is over.
        keep: what chats open with is read by itself, and kept for those that open alike.

    Raises:
        ClampdownError: `most` leaves no room for a row.
    """

    def __init__(self, model: ChatModel, *, most: int = 32, keep: bool = False) -> None:
        if most < 1:
            raise ClampdownError(f"a batch needs room for one row at least, got {most}")
        self.model, self.most = model, most
        self._openings = Openings(model) if keep else None
        self._numbers = count()
        self._waiting: deque[tuple[int, Request]] = deque()
        self._running: Running | None = None
        self._asked: dict[int, Row] = {}  # by request, while it runs

    @cached_property
    def _joins(self) -> bool:
        return joins(self.model.hf)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._asked

    @property
    def version(self) -> str:
        return f"transformers {version('transformers')}"

    def submit(self, request: Request) -> int:
        """Queue a request; its number.

        Raises:
            ClampdownError: it does not fit the context, its recipe or gate does not fit the model, or its recipe's gate
                lies outside and it brings no decision.
        """
        longest = len(request.prompt) + request.sampling.max_new_tokens
        if longest > self.model.context_length:
            raise ClampdownError(
                f"a prompt of {len(request.prompt)} tokens and an answer of {request.sampling.max_new_tokens} exceed "
                f"the model's context of {self.model.context_length}: shorten either"
            )
        check_fits(self.model, request.recipe)
        unasked(request.recipe, request.decision)
        number = next(self._numbers)
        self._waiting.append((number, request))
        return number

    def cancel(self, request: int) -> None:
        """Drop a request, if it is not over; no event of it follows."""
        self._waiting = deque(pair for pair in self._waiting if pair[0] != request)
        if (row := self._asked.pop(request, None)) is not None:
            row.ended = True
            if self._running is not None and self._running.over:  # nobody is left to go on
                self._running = None

    def end(self, request: int) -> Answer | None:
        """Let a running request's answer end with what it has said; no event of it follows. None if it does not run."""
        row, running = self._asked.pop(request, None), self._running
        if row is None or running is None:
            return None
        row.ended = True
        [answer] = running.answers([row])
        if running.over:
            self._running = None
        return answer

    def holds(self, request: int) -> bool:
        """Whether a request waits or runs."""
        return request in self._asked or any(number == request for number, _ in self._waiting)

    def step(self) -> list[Event]:
        """Go on by one token of every row, reading prompts that wait where there is room; what came of it.

        Raises:
            ClampdownError: waiting prompts could not be read; none of them is answered, the rows that run go on.
        """
        self._admit()
        running = self._running
        if running is None:
            return []
        numbers = {id(row): number for number, row in self._asked.items()}
        with running.steering:
            said = running.step()
        events = [Event(numbers[id(row)], token, chance=row.chance) for row, token in said]
        over = {number: row for number, row in self._asked.items() if row.ended}
        for (number, _), answer in zip(over.items(), running.answers(list(over.values())) if over else [], strict=True):
            del self._asked[number]
            events.append(Event(number, answer=answer))
        if running.over:
            self._running = None
        return events

    def _admit(self) -> None:
        """Read waiting prompts while there is room, and let them join."""
        room = min(len(self._waiting), self.most - len(self._asked))
        if not room or (self._running is not None and not self._joins):
            return
        some = [self._waiting.popleft() for _ in range(room)]
        bearable = read_together(self.model, [request.prompt for _, request in some])
        alike = [same for group in bearable for same in self._opening_alike(group, some)]
        groups = [fitting for group in alike for fitting in self._fitting(group, some)]
        if not self._joins:  # what can't be read together can't join later either
            first, groups = set(groups[0]), groups[:1]
            self._waiting.extendleft(pair for place, pair in reversed(list(enumerate(some))) if place not in first)
        for places in groups:
            self._begin([some[place] for place in places])

    def _opening_alike(self, group: list[int], pairs: Sequence[tuple[int, Request]]) -> list[list[int]]:
        """Places in groups whose chats have the same opening, where that is kept."""
        if self._openings is None:
            return [group]
        found: dict[tuple[int, ...], list[int]] = {}
        for place in group:
            prompt, sampling = pairs[place][1].prompt, pairs[place][1].sampling
            opening = prompt[: self._openings.length(prompt, sampling.max_new_tokens)]
            found.setdefault(tuple(opening), []).append(place)
        return list(found.values())

    def _fitting(self, group: list[int], pairs: Sequence[tuple[int, Request]]) -> list[list[int]]:
        """Places in groups whose longest prompt and longest answer fit the context together, as reading them asks."""
        found: list[tuple[list[int], int, int]] = []
        for place in group:
            request = pairs[place][1]
            prompt, room = len(request.prompt), request.sampling.max_new_tokens
            for at, (places, longest, most) in enumerate(found):
                if max(longest, prompt) + max(most, room) <= self.model.context_length:
                    found[at] = ([*places, place], max(longest, prompt), max(most, room))
                    break
            else:
                found.append(([place], prompt, room))
        return [places for places, _, _ in found]

    def _begin(self, pairs: Sequence[tuple[int, Request]]) -> None:
        rows = [Row.of(request, place) for place, (_, request) in enumerate(pairs)]
        prompts, recipes = [row.request.prompt for row in rows], [row.request.recipe for row in rows]
        room = max(row.request.sampling.max_new_tokens for row in rows)
        decisions = [row.request.decision for row in rows]
        kept = self._openings
        with opened(
            self.model, prompts, recipes, room, roomy=True, apart=True, decisions=decisions, openings=kept
        ) as begun:
            new = Running(self.model, begun, rows)
        if self._running is None:
            self._running = new
        else:
            self._running.join(new)
        self._asked.update(zip((number for number, _ in pairs), rows, strict=True))
