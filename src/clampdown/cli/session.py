"""The conversation at the terminal: turns that remember, under a recipe that its commands change."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

from clampdown.cli.asides import Repetition, note_system, receipt
from clampdown.cli.chat_commands import commands
from clampdown.cli.interrupts import answered
from clampdown.cli.terminal import Streamed, ask, fail, say
from clampdown.cli.typed import edit_lines, pasting
from clampdown.engine.generation import stream
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import REFUSING, judge
from clampdown.measuring.judging.outside_gate import brought
from clampdown.models.thinking import spoken
from clampdown.recipe import Recipe
from clampdown.recipe.system import system_text

if TYPE_CHECKING:
    from clampdown.engine.engine import Engine
    from clampdown.library import Model
    from clampdown.measuring.judging.outside_gate import OutsideGate
    from clampdown.models.dialogue import Message

_GATES = {
    "score": "whose gate decides",
    "open": "its gate forced open",
    "shut": "its gate forced shut",
    "watch": "its gate only watching",
}
_WORDS = {"score": "gated", "open": "steered", "shut": "unsteered", "watch": "watched"}
"""What a recipe with a gate does to a prompt, by what its gate does."""


class Session:
    """One conversation with a model, under a recipe that its commands may change."""

    def __init__(
        self,
        model: "Model",
        recipe: Recipe | None,
        sampling: Sampling,
        system: str = "",
        outside: "OutsideGate | None" = None,
        repeat: bool = False,
        engine: "Engine | None" = None,
    ) -> None:
        self.model, self.recipe, self.sampling, self.system = model, recipe, sampling, system
        self.outside, self.repeat, self.engine = outside, repeat, engine
        self.on = recipe is not None
        self.history: list[Message] = []
        self.compare_next = False
        self.commands = commands(self)

    def run(self) -> int:
        """Talk until the user leaves."""
        edit_lines()
        self.say(f"{self.model.name}, {self.state()}. /help tells what else there is; Ctrl-D leaves.")
        if system_text(self.recipe, self.system):
            note_system(self.model)
        while True:
            try:
                line = ask(f"{self._word()} > ").strip()
            except EOFError:
                say()
                return 0
            except KeyboardInterrupt:
                answered()
                say()
                continue
            if line in ("/quit", "/exit"):
                return 0
            if line:
                self.turn(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

    def turn(self, line: str) -> None:
        """A command or a prompt. An error is told, and the session goes on."""
        try:
            if line.startswith("/"):
                self._command(line)
            elif self.compare_next:
                self.compare_next = False
                self.both([*self.history, {"role": "user", "content": line}])
            else:
                self._ask(line)
        except ClampdownError as error:
            fail(str(error))
        except KeyboardInterrupt:
            answered()
            self.say("\nstopped")

    def _command(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        if "\n" in line:
            raise ClampdownError("a command stands on a line of its own; begin pasted text with another sign than /")
        if name not in self.commands:
            close = get_close_matches(name, self.commands, 1)
            raise ClampdownError(f"no command {name}; {f'did you mean {close[0]}?' if close else '/help lists them'}")
        self.commands[name](rest.strip())

    def _ask(self, prompt: str) -> None:
        asked: list[Message] = [*self.history, {"role": "user", "content": prompt}]
        text = self._answer(asked, self.recipe if self.on else None)
        if text:  # stopped before its first word, it was never said
            self.history = [*asked, {"role": "assistant", "content": spoken(text) or ""}]

    def _answer(self, messages: "list[Message]", recipe: Recipe | None) -> str:
        """Stream an answer and its receipt. Stopped, it ends where it was."""
        if recipe is not None:
            self.model.check(recipe)
        system = system_text(recipe, self.system)
        try:
            ids = self.model.chat.prompt_ids(messages, system=system, room=self.sampling.max_new_tokens)
        except ClampdownError as error:
            raise ClampdownError(f"{error}, or /reset the conversation" if self.history else str(error)) from error
        told: list[str] = []
        shown = Streamed()

        def write(piece: str) -> None:
            told.append(piece)
            shown.write(piece)

        try:
            [decision] = brought(self.outside, [recipe], [messages])
            repetition = Repetition(messages[-1]["content"], allowed=self.repeat)
            with pasting():
                answer = stream(self.model.chat, ids, recipe, self.sampling, write, decision, repetition, self.engine)
        except KeyboardInterrupt:
            answered()
            shown.end()
            self.say("(stopped, so there is no receipt)")
            return "".join(told)
        shown.end()
        self.say(f"{receipt(answer, self.sampling.max_new_tokens, repetition)}\n")
        return answer.text

    def both(self, messages: "list[Message]") -> None:
        """Answer twice: unsteered, and under the recipe."""
        if self.recipe is None:
            raise ClampdownError("there is nothing to compare with: /clamp latents or take a /recipe first")
        for heading, recipe in (("unsteered", None), (f"steered by {self.recipe.name}", self.recipe)):
            say(f"── {heading}", style="bold")
            self._answer(messages, recipe)

    def use(self, recipe: Recipe) -> None:
        """Take a recipe once it has passed its self-test; a bad one changes nothing."""
        self.model.check(recipe)
        self.recipe = recipe
        self.turn_steering(on=True)

    def turn_steering(self, *, on: bool) -> None:
        """Steer or not from now on, and say so; and that refusals are remembered, for a model goes on as it began."""
        self.on = on
        self.say(self.state())
        if number := self._refusals():
            some = "a refusal, and a model that" if number == 1 else f"{number} refusals, and a model that"
            self.say(f"the conversation keeps {some} has refused tends to refuse on; /reset forgets it")

    def _refusals(self) -> int:
        """How many answers of the conversation refuse."""
        pairs = zip(self.history[::2], self.history[1::2], strict=True)
        return sum(judge(asked["content"], said["content"]) in REFUSING for asked, said in pairs)

    def state(self) -> str:
        """What happens to prompts now, and under which recipe."""
        if self.recipe is None or not self.on:
            return "unsteered"
        told = f"{self.recipe.name} ({self.recipe.sha256[:8]})"
        return f"under {told}, {_GATES[self.recipe.gate.decide]}" if self.recipe.gate else f"steered by {told}"

    def _word(self) -> str:
        """What happens to the next prompt, in a word."""
        if self.recipe is None or not self.on:
            return "unsteered"
        return _WORDS[self.recipe.gate.decide] if self.recipe.gate else "steered"

    @staticmethod
    def say(text: str) -> None:
        """An aside of the session's own."""
        say(text, style="dim", wrap=True)
