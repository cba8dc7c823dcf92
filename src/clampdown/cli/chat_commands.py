"""What may be typed into a conversation besides prompts: commands that change the steering and what is remembered."""

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clampdown.cli.by_hand import BY_HAND, clamped
from clampdown.cli.terminal import one_line, print_facts
from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Edit, Recipe
from clampdown.recipe.bundled import recipe_path

if TYPE_CHECKING:
    from clampdown.cli.session import Session

HELP = {
    "/clamp": "show the clamp, and directions",
    "/clamp 123=8 456=1.5x": 'clamp these latents, and no others; "1.5x" is one and a half times the latent\'s maximum',
    "/clamp +123=9": "change or add one latent, and keep the rest",
    "/off, /on": "steering off or on",
    "/compare": "answer the last prompt (or the next, if there is none yet) unsteered and steered",
    "/compare TEXT": "the same for this prompt; neither is remembered",
    "/recipe FILE": "take another: guarded, guarded-clamp, refusal, a file",
    "/save FILE": "keep what steers now as a recipe's file; /save! writes over one",
    "/gate": "what decides whether a prompt is steered",
    "/gate open": "force it open; so shut, or watch (it scores, and steers nothing); /gate recipe undoes it",
    "/reset": "forget the conversation",
    "/quit": "leave (or Ctrl-D); Ctrl-C stops an answer",
}


def commands(session: "Session") -> dict[str, Callable[[str], None]]:
    """The commands by their names; each takes what follows its name."""
    of = _Commands(session)
    return {
        "/help": of.help,
        "/clamp": of.clamp,
        "/off": of.off,
        "/on": of.turn_on,
        "/compare": of.compare,
        "/recipe": of.take,
        "/save": of.save,
        "/save!": of.save_over,
        "/gate": of.gate,
        "/reset": of.reset,
    }


class _Commands:
    def __init__(self, session: "Session") -> None:
        self.session, self.decides = session, _decides(session.recipe)

    def help(self, _rest: str) -> None:
        print_facts(HELP)

    def compare(self, rest: str) -> None:
        if rest:
            self.session.both([*self.session.history, {"role": "user", "content": rest}])
        elif self.session.history:
            self.session.say(self.session.history[-2]["content"])
            self.session.both(self.session.history[:-1])
        else:
            self.session.compare_next = True
            self.session.say("the next prompt is answered twice")

    def off(self, _rest: str) -> None:
        self.session.turn_steering(on=False)

    def turn_on(self, _rest: str) -> None:
        if self.session.recipe is None:
            raise ClampdownError("there is no recipe to turn on: /clamp latents or take a /recipe first")
        self.session.turn_steering(on=True)

    def reset(self, _rest: str) -> None:
        self.session.history, self.session.compare_next = [], False
        self.session.say("the conversation is forgotten")

    def take(self, rest: str) -> None:
        if not rest:
            raise ClampdownError("/recipe needs a file, or one that comes along: /recipe refusal")
        recipe = Recipe.load(recipe_path(rest))
        self.session.use(recipe)
        self.decides = _decides(recipe)

    def save(self, rest: str, *, over: bool = False) -> None:
        if self.session.recipe is None:
            raise ClampdownError("there is nothing to keep: /clamp latents or take a /recipe first")
        path = _file_to_save(rest)
        if os.path.lexists(path) and not over:
            raise ClampdownError(f"{path} is there already; /save! {rest} writes over it")
        kept = self.session.recipe
        if kept.name == BY_HAND and path.stem.isprintable():
            kept = replace(kept, name=path.stem)
        kept.save(path)
        self.session.recipe = kept
        beside = ", its gate's file beside it" if kept.gate is not None and kept.gate.file else ""
        self.session.say(f"{path} holds it now{beside}; take it with /recipe {path}")
        self.session.say(f"or: clampdown chat --recipe {shlex.quote(str(path))}")

    def save_over(self, rest: str) -> None:
        self.save(rest, over=True)

    def gate(self, rest: str) -> None:
        if self.session.recipe is None or self.session.recipe.gate is None:
            raise ClampdownError("there is no gate: every prompt is steered, or none; take a /recipe that has one")
        if rest:
            if rest not in ("recipe", "open", "shut", "watch"):
                raise ClampdownError(f"can't read {rest!r}; write /gate open, shut, watch or recipe")
            self.session.use(self.session.recipe.deciding(self.decides if rest == "recipe" else rest))
        self.session.say(f"gate: {one_line(str(self.session.recipe.gate))}")

    def clamp(self, rest: str) -> None:
        if rest:
            self.session.use(clamped(self.session.recipe, rest.replace(",", " ").split(), self.session.model))
        if not (self.session.recipe and self.session.recipe.clamps):
            self.session.say("no latent is clamped")
        for edit in self.session.recipe.edits if self.session.recipe else ():
            self.session.say(_told(edit) + ("" if self.session.on else " · off"))


def _decides(recipe: Recipe | None) -> str:
    """What the recipe says that its gate does."""
    return recipe.gate.decide if recipe and recipe.gate else ""


def _file_to_save(named: str) -> Path:
    if not named:
        raise ClampdownError("/save needs a file's name, such as: /save mine.toml")
    try:
        path = Path(named).expanduser()
    except RuntimeError as error:
        raise ClampdownError(f"{named} begins with ~ and a name that no user here has; write it out") from error
    if path.is_dir():
        raise ClampdownError(f"{named} is a folder; name a file in it, such as: /save {path / 'mine.toml'}")
    if path.suffix not in ("", ".toml"):
        raise ClampdownError(f"a recipe's file ends in .toml, such as: /save {named}.toml")
    return path.with_suffix(".toml")


def _told(edit: Edit) -> str:
    if isinstance(edit, Clamp):
        values = " ".join(f"{k}{edit.sign}{v if isinstance(v, str) else f'{v:g}'}" for k, v in edit.values.items())
        return f"layer {edit.layer} · {one_line(edit.sae)} · {edit.rule} · {values}"
    return f"{edit.operation}s a direction × {edit.strength:g} at layer {edit.layer}"
