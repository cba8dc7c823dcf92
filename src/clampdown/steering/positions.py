"""Which positions of a forward call a recipe edits, told by the attention mask and the place in the sequence."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models.prompt import Spans
from clampdown.recipe import Positions, Recipe


class Places(NamedTuple):
    """Where the columns of one forward call lie in their sequences, [row, column] each."""

    real: Bool[Tensor, "row column"]  # not padding
    position: Int[Tensor, "row column"]  # 0-based place among the row's real tokens
    prompt_length: Int[Tensor, "row 1"]  # real tokens of the prompt
    certain: bool = True  # whether prompt_length is known, or this call's columns may be prompt or answer
    begun: bool = False  # whether every row is known to have had a real token before these columns
    user: Bool[Tensor, "row column"] | None = None  # content of a user's turn; None where that is not known
    spared: Bool[Tensor, "row column"] | None = None  # edited in no window

    def of(self, rows: Int[Tensor, " some"]) -> "Places":
        """The places of some rows."""
        here = rows.to(self.real.device)
        user = None if self.user is None else self.user[here]
        real, position, prompt_length = self.real[here], self.position[here], self.prompt_length[here]
        spared = None if self.spared is None else self.spared[here]
        return self._replace(real=real, position=position, prompt_length=prompt_length, user=user, spared=spared)

    def columns(self, start: int | None, end: int | None) -> "Places":
        """The places of some columns."""
        user = None if self.user is None else self.user[:, start:end]
        spared = None if self.spared is None else self.spared[:, start:end]
        real, position = self.real[:, start:end], self.position[:, start:end]
        return self._replace(real=real, position=position, user=user, spared=spared)

    def chosen(self, windows: "Windows", norm: Float[Tensor, "row column"] | None = None) -> Bool[Tensor, "row column"]:
        """Bool [row, column]: the places that each row's window holds; `norm` is the residual's, for sinks.

        Raises:
            ClampdownError: prompt and answer can't be told apart, or the user's turns are not known, and a window needs
                it.
        """
        if not self.certain and windows.needs:
            raise ClampdownError(
                f"can't tell prompt from answer in this forward call, as the positions need ({windows.needs}): several "
                "new tokens came at once (assisted decoding, a prompt in chunks), or no cache is used; edit all "
                "positions, or say prompt_lengths"
            )
        windows = windows.to(self.real.device)
        chosen = self.real if self.spared is None else self.real & ~self.spared
        if not windows.everywhere:
            generated = self.position - self.prompt_length  # 0 for the first generated token
            inside = (generated >= windows.low) & (generated < windows.high + windows.fade)
            if windows.turns:
                if self.user is None:
                    raise ClampdownError(_UNTOLD)
                inside = inside | (windows.users & self.user)
            chosen = chosen & inside
        if not self.begun and windows.spares:
            chosen = chosen & ((self.position > 0) | windows.sinks)
        if norm is not None and windows.limits:
            chosen = chosen & ~(norm > windows.sink_norm)  # so that what is no number is edited, and told
        return chosen

    def selected(
        self, positions: Positions, norm: Float[Tensor, "row column"] | None = None
    ) -> Bool[Tensor, "row column"]:
        """The same where all rows have one window."""
        return self.chosen(Windows.of([positions]), norm)

    def weights(self, windows: "Windows") -> Float[Tensor, "row column"] | None:
        """What Δ is multiplied by at each place, [row, column]; None where it is 1 wherever a place is chosen."""
        if not windows.fades:
            return None
        windows = windows.to(self.real.device)
        left = windows.high + windows.fade - (self.position - self.prompt_length)
        return (left / (windows.fade + 1)).clamp(0, 1)


_FAR = 1 << 40
"""More tokens than any sequence has."""


class Windows(NamedTuple):
    """The windows of a batch's rows, [row, 1] each (or one for all), and what is known of all of them at once.

    A token is edited from place `low` to before `high` + `fade`, counted from the first generated one (0), and in the
    contents of user turns where `users`.
    """

    low: Int[Tensor, "#row 1"]
    high: Int[Tensor, "#row 1"]
    fade: Int[Tensor, "#row 1"]
    sinks: Bool[Tensor, "#row 1"]  # edited too
    sink_norm: Float[Tensor, "#row 1"]
    users: Bool[Tensor, "#row 1"]
    everywhere: bool  # no row tells prompt from answer
    spares: bool  # some row spares sinks
    limits: bool  # some row tells sinks by their norm
    fades: bool
    turns: bool  # some row edits user turns
    needs: str  # the first window that tells prompt from answer, in words

    @classmethod
    def of(cls, rows: Sequence[Positions | None]) -> "Windows":
        """Of each row's positions; a row without any is edited nowhere."""
        known = [positions for positions in rows if positions is not None]
        apart = [positions for positions in known if not positions.everywhere]
        numbers = [_numbers(positions) for positions in rows]
        whole = torch.tensor([one[:3] for one in numbers], dtype=torch.long)
        low, high, fade = whole.T[..., None]
        return cls(
            low,
            high,
            fade,
            sinks=torch.tensor([[one[3]] for one in numbers]),
            sink_norm=torch.tensor([[one[4]] for one in numbers], dtype=torch.float32),
            users=torch.tensor([[one is not None and one.prompt == "user"] for one in rows]),
            everywhere=len(known) == len(rows) and not apart,
            spares=any(not positions.sinks for positions in known),
            limits=any(positions.sink_norm is not None for positions in known),
            fades=any(positions.fade for positions in known),
            turns=any(positions.prompt == "user" for positions in known),
            needs=str(apart[0]) if apart else "",
        )

    def to(self, device: torch.device) -> "Windows":
        if self.low.device == device:
            return self
        return self._replace(**{name: getattr(self, name).to(device) for name in self._fields[:6]})

    def rows(self, rows: Int[Tensor, " some"]) -> "Windows":
        """The windows of some rows."""
        return self._replace(**{name: (t := getattr(self, name))[rows.to(t.device)] for name in self._fields[:6]})


_UNTOLD = (
    "a recipe edits what the user says, but where that is in these tokens is not known: only a chat that is rendered "
    'here tells; ask in a chat, or use another window, such as prompt = "all"'
)


def check_told(recipes: Sequence[Recipe | None], turns: Sequence[Spans | None]) -> None:
    """Raise ClampdownError if a row's recipe edits the user's turns, and where they are is not known."""
    for recipe, spans in zip(recipes, turns, strict=True):
        if spans is None and recipe is not None and recipe.edits and recipe.positions.prompt == "user":
            raise ClampdownError(_UNTOLD.replace("a recipe", f"recipe {recipe.name}"))


def _numbers(positions: Positions | None) -> tuple[int, int, int, bool, float]:
    """Low, high, fade, sinks and sink_norm of one row."""
    if positions is None:
        return _FAR, _FAR, 0, False, math.inf
    low = {"all": -_FAR, "user": 0, "last": -1, "none": 0}[positions.prompt]
    high = {"all": _FAR, "none": 0}.get(str(positions.generated))
    if high is None:
        high = int(positions.generated)
    norm = positions.sink_norm
    return low, high, positions.fade, positions.sinks, math.inf if norm is None or positions.sinks else norm


class PlaceTracker:
    """Follows the forward calls of a sequence through the KV cache.

    A call without a cache starts a new sequence. Its first call is prompt, later single columns are generated tokens,
    unless `prompt_lengths` (real tokens per row) says otherwise. `user_turns` are the places [start, end) of each row's
    user turns among its real tokens, none where a row has None. Places come from the cache's length and the mask, so a
    cache that was cropped (as assisted decoding does) is followed too. One more token in the same cache needs neither:
    decoding is to cost next to nothing, and to wait for no accelerator.
    """

    def __init__(
        self, prompt_lengths: Sequence[int] | None = None, user_turns: Sequence[Spans | None] | None = None
    ) -> None:
        self.given = None if prompt_lengths is None else torch.tensor(prompt_lengths)[:, None]
        self.turns = None if user_turns is None else _laid_out(user_turns)
        self.seen: Tensor | None = None
        self.length = 0  # columns, padding included, after the last call
        self.prompt_length: Tensor | None = None
        self.certain = True
        self.last_ids: Tensor | None = None
        self.begun = False
        self._cache: ReferenceType[Any] | None = None  # of the last call

    def places(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Places:
        """The places of a call of the decoder with these arguments."""
        if len(args) > 1:
            raise ClampdownError("steering reads the decoder's mask and cache by name; pass them as keyword arguments")
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            ids = kwargs.get("inputs_embeds")
        if ids is None:
            raise ClampdownError("steering saw a forward call without input_ids or inputs_embeds; refusing to go on")
        rows, columns = ids.shape[:2]
        cache = kwargs.get("past_key_values")
        past = past_length(cache)
        mask = kwargs.get("attention_mask")
        real = self._real(mask, rows, columns, past, ids.device)
        if columns == 1 and self._goes_on(cache, past, rows):
            assert self.seen is not None and self.prompt_length is not None
            position = self.seen  # of a column that is real
            self.seen, self.length, self.last_ids = self.seen + real, past + 1, ids
            return Places(real, position, self.prompt_length, self.certain, self.begun, self._said(position))
        before = self._before(mask, rows, past, ids.device)
        position = before + real.long().cumsum(-1) - 1
        followed = self.seen is not None and len(self.seen) == rows
        strange = past != self.length and not self._same(cache)
        self.seen, self.length = before + real.long().sum(-1, keepdim=True), past + columns
        if self.given is not None:
            self.prompt_length = self.given.to(ids.device)
        elif past and columns == 1 and self.prompt_length is None:  # read before anybody looked
            self.prompt_length = before
        elif not past or self.prompt_length is None or not followed:
            self.certain = past > 0 or not self._repeats(ids)
            self.prompt_length = self.seen
        elif columns > 1 or strange:
            self.certain, self.prompt_length = False, self.seen
        self.last_ids, self._cache = ids, None if cache is None else ref(cache)
        self.begun = bool((self.seen > 0).all())
        return Places(real, position, self.prompt_length, self.certain, user=self._said(position))

    def _said(self, position: Tensor) -> Tensor | None:
        """Whether each place is in a user's turn, [row, column]."""
        if self.turns is None:
            return None
        self.turns = self.turns.to(position.device)
        at = position[..., None]
        return ((at >= self.turns[:, None, :, 0]) & (at < self.turns[:, None, :, 1])).any(-1)

    def _goes_on(self, cache: Any, past: int, rows: int) -> bool:
        """Whether the cache is that of the last call, and holds what it held then."""
        return self._same(cache) and past == self.length > 0 and self.seen is not None and len(self.seen) == rows

    def _same(self, cache: Any) -> bool:
        return self._cache is not None and self._cache() is cache

    def _repeats(self, ids: Tensor) -> bool:
        """Whether a call without a cache is the last one again with more at its end: decoding without a cache."""
        last = self.last_ids
        if last is None or last.shape[0] != ids.shape[0] or last.shape[1] >= ids.shape[1]:
            return False
        return last.shape[2:] == ids.shape[2:] and torch.equal(last, ids[:, : last.shape[1]])

    def select(
        self,
        rows: Tensor,
        prompt_lengths: Sequence[int] | None = None,
        user_turns: Sequence[Spans | None] | None = None,
    ) -> None:
        """Go on with these rows of the batch: some of them, or some several times over."""
        self._cache = None
        if self.seen is not None:
            self.seen = self.seen[rows]
        if self.prompt_length is not None:
            self.prompt_length = self.prompt_length[rows]
        if prompt_lengths is not None:
            self.given = torch.tensor(prompt_lengths)[:, None]
        elif self.given is not None:
            self.given = self.given[rows.cpu()]
        if user_turns is not None:
            self.turns = _laid_out(user_turns)
        elif self.turns is not None:
            self.turns = self.turns[rows.to(self.turns.device)]

    @staticmethod
    def _real(mask: Any, rows: int, columns: int, past: int, device: torch.device) -> Tensor:
        if mask is None:
            return torch.ones(rows, columns, dtype=torch.bool, device=device)
        if not isinstance(mask, Tensor) or mask.dim() != 2:
            raise ClampdownError("steering needs the plain [row, position] attention mask to tell padding from tokens")
        if len(mask) != rows or mask.shape[1] < past + columns:
            raise ClampdownError(
                f"the attention mask is {len(mask)} x {mask.shape[1]}, but {rows} rows hold {past + columns} tokens "
                "with the cache; steering needs it whole"
            )
        return mask[:, past : past + columns].bool()

    def _before(self, mask: Any, rows: int, past: int, device: torch.device) -> Tensor:
        """Real tokens in the cache, [row, 1]."""
        if mask is not None:
            return mask[:, :past].bool().sum(-1, keepdim=True)
        if past and past == self.length and self.seen is not None and len(self.seen) == rows:
            return self.seen
        return torch.full((rows, 1), past, device=device)


def _laid_out(user_turns: Sequence[Spans | None]) -> Tensor:
    """The user's turns of all rows, [row, turn, 2], filled up with turns of no token."""
    most = max((len(spans or ()) for spans in user_turns), default=0)
    whole = torch.zeros(len(user_turns), most, 2, dtype=torch.long)
    for row, spans in enumerate(user_turns):
        if spans:
            whole[row, : len(spans)] = torch.tensor(spans)
    return whole


def past_length(cache: Any) -> int:
    """How many columns a call's cache holds; 0 without one."""
    return int(cache.get_seq_length()) if cache is not None else 0
