"""The conversation at the terminal: turns that remember, and commands that change the steering."""

from contextlib import suppress
from typing import TYPE_CHECKING

from clampdown.cli.asides import Repetition, note_system, receipt
from clampdown.cli.by_hand import clamped
from clampdown.cli.interrupts import answered
from clampdown.cli.terminal import Streamed, ask, fail, say
from clampdown.engine.generation import stream
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.library import system_text
from clampdown.measuring.outside_gate import brought
from clampdown.models.thinking import spoken
from clampdown.recipe import Clamp, Edit, Recipe
from clampdown.recipe.bundled import recipe_path

if TYPE_CHECKING:
    from clampdown.library import Model
    from clampdown.measuring.outside_gate import OutsideGate
    from clampdown.models.chat_model import Message

HELP = """\
/clamp                     show the clamp, and directions
/clamp 123=8 456=1.5x      clamp these latents, and no others; "1.5x" is one and a half times the latent's maximum
/clamp +123=9              change or add one latent, and keep the rest
/off, /on                  steering off or on
/compare                   answer the last prompt (or the next, if there is none yet) unsteered and steered
/compare TEXT              the same for this prompt; neither is remembered
/recipe FILE               take another: guarded, guarded-clamp, refusal, a file
/gate                      what decides whether a prompt is steered
/gate open                 force it open; so shut, or watch (it scores, and steers nothing); /gate recipe undoes it
/reset                     forget the conversation
/quit                      leave (or Ctrl-D); Ctrl-C stops an answer"""

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
    ) -> None:
        self.model, self.recipe, self.sampling, self.system = model, recipe, sampling, system
        self.outside, self.repeat, self.decides = outside, repeat, _decides(recipe)
        self.on = recipe is not None
        self.history: list[Message] = []
        self.compare_next = False
        self.commands = {
            "/help": self._help,
            "/clamp": self._clamp,
            "/off": self._off,
            "/on": self._turn_on,
            "/compare": self._compare,
            "/recipe": self._take,
            "/gate": self._gate,
            "/reset": self._reset,
        }

    def run(self) -> int:
        """Talk until the user leaves."""
        with suppress(ImportError):
            import readline  # noqa: F401  # line editing and history come with the import, where there is one
        self._say(f"{self.model.name}, {self._state()}. /help tells what else there is; Ctrl-D leaves.")
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
                name, _, rest = line.partition(" ")
                if name not in self.commands:
                    raise ClampdownError(f"no command {name}; /help lists them")
                self.commands[name](rest.strip())
            elif self.compare_next:
                self.compare_next = False
                self._both([*self.history, {"role": "user", "content": line}])
            else:
                self._ask(line)
        except ClampdownError as error:
            fail(str(error))
        except KeyboardInterrupt:
            answered()
            self._say("\nstopped")

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
            answer = stream(self.model.chat, ids, recipe, self.sampling, write, decision, repetition)
        except KeyboardInterrupt:
            answered()
            self._say("\n(stopped, so there is no receipt)")
            return "".join(told)
        shown.end()
        self._say(f"{receipt(answer, self.sampling.max_new_tokens, repetition)}\n")
        return answer.text

    def _both(self, messages: "list[Message]") -> None:
        if self.recipe is None:
            raise ClampdownError("there is nothing to compare with: /clamp latents or take a /recipe first")
        for heading, recipe in (("unsteered", None), (f"steered by {self.recipe.name}", self.recipe)):
            say(f"── {heading}", style="bold")
            self._answer(messages, recipe)

    def _help(self, _rest: str) -> None:
        say(HELP)

    def _compare(self, rest: str) -> None:
        if rest:
            self._both([*self.history, {"role": "user", "content": rest}])
        elif self.history:
            self._say(self.history[-2]["content"])
            self._both(self.history[:-1])
        else:
            self.compare_next = True
            self._say("the next prompt is answered twice")

    def _off(self, _rest: str) -> None:
        self.on = False
        self._say(self._state())

    def _turn_on(self, _rest: str) -> None:
        if self.recipe is None:
            raise ClampdownError("there is no recipe to turn on: /clamp latents or take a /recipe first")
        self.on = True
        self._say(self._state())

    def _reset(self, _rest: str) -> None:
        self.history, self.compare_next = [], False
        self._say("the conversation is forgotten")

    def _take(self, rest: str) -> None:
        if not rest:
            raise ClampdownError("/recipe needs a file, or one that comes along: /recipe refusal")
        recipe = Recipe.load(recipe_path(rest))
        self._use(recipe)
        self.decides = _decides(recipe)

    def _gate(self, rest: str) -> None:
        if self.recipe is None or self.recipe.gate is None:
            raise ClampdownError("there is no gate: every prompt is steered, or none; take a /recipe that has one")
        if rest:
            if rest not in ("recipe", "open", "shut", "watch"):
                raise ClampdownError(f"can't read {rest!r}; write /gate open, shut, watch or recipe")
            self._use(self.recipe.deciding(self.decides if rest == "recipe" else rest))
        self._say(f"gate: {self.recipe.gate}")

    def _clamp(self, rest: str) -> None:
        if rest:
            self._use(clamped(self.recipe, rest.replace(",", " ").split(), self.model))
        if not (self.recipe and self.recipe.clamps):
            self._say("no latent is clamped")
        for edit in self.recipe.edits if self.recipe else ():
            self._say(_told(edit) + ("" if self.on else " · off"))

    def _use(self, recipe: Recipe) -> None:
        """Take a recipe once it has passed its self-test; a bad one changes nothing."""
        self.model.check(recipe)
        self.recipe, self.on = recipe, True
        self._say(self._state())

    def _state(self) -> str:
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
    def _say(text: str) -> None:
        say(text, style="dim")


def _decides(recipe: Recipe | None) -> str:
    """What the recipe says that its gate does."""
    return recipe.gate.decide if recipe and recipe.gate else ""


def _told(edit: Edit) -> str:
    if isinstance(edit, Clamp):
        values = " ".join(f"{k}={v if isinstance(v, str) else f'{v:g}'}" for k, v in edit.values.items())
        return f"layer {edit.layer} · {edit.sae} · {edit.rule} · {values}"
    return f"{edit.operation}s a direction × {edit.strength:g} at layer {edit.layer}"
