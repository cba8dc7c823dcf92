"""The library's front door: load a model, generate with a recipe, find latents, run a study."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from clampdown import arguments
from clampdown.errors import ClampdownError
from clampdown.models.bundled import NAME
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import CLAMP, GUARDED, bundled_path, recipe_path
from clampdown.recipe.system import system_text

if TYPE_CHECKING:
    from clampdown.discovery.check_sae import SAECheck
    from clampdown.discovery.find import Found
    from clampdown.discovery.tuning.tune import Tuned
    from clampdown.engine.cluster import Cluster
    from clampdown.engine.engine import Engine
    from clampdown.engine.request import Answer, Sampling
    from clampdown.measuring.attacks.spec import AttackSpec
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings
    from clampdown.measuring.sets.sets import ItemSet
    from clampdown.models.chat_model import ChatModel
    from clampdown.models.dialogue import Message
    from clampdown.models.prompt import Prompt
    from clampdown.saes.sae import SAE
    from clampdown.steering.attach import Steering
    from clampdown.studies.plan import Plan
    from clampdown.studies.prepared import Prepared

    RecipeLike = Recipe | str | Path | None
    Chat = Sequence[Message]

DEFAULT_RECIPE = bundled_path(GUARDED)


def load(
    name: str = NAME,
    *,
    dtype: str = "auto",
    device: str | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    quantization: str | None = None,
    revision: str | None = None,
    template_options: Mapping[str, Any] | None = None,
    chat_template: str | Path | None = None,
    thinking: bool = True,
) -> Model:
    """Load a chat model: the bundled one, a local folder, a .gguf file, a Hugging Face hub id, or one's .gguf file.

    Args:
        dtype: "float32", "bfloat16", "float16", or "auto" for the fastest one here.
        device: such as "cpu" or "cuda"; None takes the GPU if there is one.
        device_map: spreads the model over devices, as Transformers takes it; in place of `device`.
        quantization: "8bit" or "4bit", packed by bitsandbytes while loading.
        revision: a hub repository's branch, tag or commit.
        template_options: given to the chat template, such as {"enable_thinking": False}.
        chat_template: a Jinja file, or the template itself, in place of the model's own. A base model has none: it is
            loaded all the same, and refused where it is asked to chat.
        thinking: False asks for answers without thoughts; refused where the chat template knows no way.

    Raises:
        ClampdownError: no such model, damaged weights, unknown dtype, a chat template that fails.
    """
    from clampdown.models.chat_model import load_chat_model

    arguments.path("a model", name)
    arguments.text("dtype", dtype)
    for key, given in (("device", device), ("quantization", quantization), ("revision", revision)):
        if given is not None:
            arguments.text(key, given)
    arguments.table("template_options", {} if template_options is None else template_options)
    chat = load_chat_model(
        str(name),
        dtype=dtype,
        device=device,
        device_map=device_map,
        quantization=quantization,
        revision=revision,
        template_options=template_options,
        chat_template=chat_template,
        thinking=thinking,
        chat=False,
    )
    return Model(chat)


class Model:
    """A loaded chat model that can be steered. Make one with `clampdown.load`."""

    def __init__(self, chat: ChatModel) -> None:
        self.chat = chat
        self._tested: set[str] = set()

    @property
    def name(self) -> str:
        """What it was loaded by."""
        return self.chat.name

    @property
    def hf(self) -> Any:
        """The Transformers model itself."""
        return self.chat.hf

    @property
    def tokenizer(self) -> Any:
        """Its Transformers tokenizer."""
        return self.chat.tokenizer

    @overload
    def generate(
        self,
        prompt: str,
        recipe: RecipeLike = None,
        *,
        system: str = "",
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        batch_size: int = 32,
    ) -> Answer: ...

    @overload
    def generate(
        self,
        prompt: Sequence[Any],
        recipe: RecipeLike | Sequence[RecipeLike] = None,
        *,
        system: str = "",
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        batch_size: int = 32,
    ) -> Any: ...

    def generate(
        self,
        prompt: str | Chat | Sequence[str | Chat],
        recipe: RecipeLike | Sequence[RecipeLike] = None,
        *,
        system: str = "",
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        batch_size: int = 32,
    ) -> Answer | list[Answer]:
        """Answer a prompt, or a list of them, each under its recipe; every answer carries its receipt.

        In a notebook an answer shows its tokens tinted by a latent: of those that the recipe clamps, the one that is
        the most active in the answer, read without steering.

        Args:
            prompt: a text, one conversation (a list of {"role", "content"} messages), or a list of either, which gives
                a list of answers.
            recipe: none, a `Recipe`, a recipe file's path or the name of a recipe that comes along ("guarded" and
                "guarded-clamp", with a gate, and "refusal") for all prompts, or a list with one of these a prompt.
            system: a system prompt; a recipe's own comes before it.
            temperature: 0 is greedy; above it, sampled with `seed`.
            batch_size: prompts answered together; in low precision an answer can depend on it.

        Raises:
            ClampdownError: an empty prompt, or one longer than the context; a recipe that does not fit this model;
                steering or logits that are not finite. Of a list all others are answered first: the error's `answers`
                holds one for each prompt, those that failed with an `error` and no text.
        """
        from clampdown.engine.request import Sampling

        prompts, many = arguments.prompts(prompt)
        arguments.text("system", system, empty=True)
        arguments.whole("batch_size", batch_size, 1)
        sampling = Sampling(max_new_tokens, temperature, seed)
        recipes, errors = self._tried(recipe, len(prompts))
        rows = [self._ids(p, r, system, max_new_tokens) for p, r in zip(prompts, recipes, strict=True)]
        answers = self._answers(rows, recipes, errors, sampling, batch_size)
        return answers if many else answers[0]

    def steered(self, recipe: RecipeLike | Sequence[RecipeLike]) -> Steering:
        """A context in which every forward call of `model.hf` is steered; `.receipts()` tells what was done.

        One recipe steers every row, a list steers each row by its own. The recipe's system prompt is text, so it is
        yours to put into the input; only the edits are made here. Meanwhile only this thread may call the model; other
        threads' `generate` waits until the context ends.

            with model.steered("refusal.toml") as steering:
                model.hf.generate(**inputs)
            print(steering.receipts()[0])

        Raises:
            ClampdownError: a recipe that does not fit this model, or fails its self-test; on entering, this thread
                steers the model already.
        """
        from clampdown.steering.attach import Steering

        found = self._recipes(recipe, None)
        return Steering(self.chat, found if isinstance(recipe, list | tuple) else found[0])

    def check(self, recipe: Recipe) -> None:
        """Test once that the recipe does to this model what it says. Raises ClampdownError if not."""
        from clampdown.steering.self_test import self_test

        arguments.either("a recipe", recipe, (Recipe,))
        if recipe.sha256 not in self._tested:
            self_test(self.chat, recipe)
            self._tested.add(recipe.sha256)

    def _recipes(self, recipe: Any, count: int | None) -> list[Recipe | None]:
        found, errors = self._tried(recipe, count)
        if errors:
            raise ClampdownError(next(iter(errors.values())))
        return found

    def _tried(self, recipe: Any, count: int | None) -> tuple[list[Recipe | None], dict[Recipe | None, str]]:
        """A recipe for each prompt, and why some can't be used: in their self-test something was not finite."""
        from clampdown.steering.finite import NotFinite

        given = arguments.recipes(recipe, count)
        read = {id(item): arguments.recipe(item) for item in given}
        errors: dict[Recipe | None, str] = {}
        for found in read.values():
            try:
                if found is not None:
                    self.check(found)
            except NotFinite as error:
                errors[found] = str(error)
        return [read[id(item)] for item in given], errors

    def _ids(self, prompt: str | Chat, recipe: Recipe | None, system: str, room: int) -> Prompt:
        if not prompt or (isinstance(prompt, str) and not prompt.strip()):
            raise ClampdownError("the prompt is empty; say something")
        return self.chat.prompt_ids(prompt, system=system_text(recipe, system), room=room)

    def _answers(
        self,
        rows: Sequence[Sequence[int]],
        recipes: list[Recipe | None],
        errors: dict[Recipe | None, str],
        sampling: Sampling,
        size: int,
    ) -> list[Answer]:
        """Answers in batches; none under a recipe in `errors`. Raises ClampdownError at the end if some failed."""
        from clampdown.engine.generation import generate_apart
        from clampdown.engine.request import Answer, all_answered
        from clampdown.steering.receipt import Receipt

        good = [row for row, recipe in enumerate(recipes) if recipe not in errors]
        parts = [good[i : i + size] for i in range(0, len(good), size)]
        found = {
            row: answer
            for part in parts
            for row, answer in zip(
                part,
                generate_apart(self.chat, [rows[r] for r in part], [recipes[r] for r in part], sampling),
                strict=True,
            )
        }
        for row, recipe in enumerate(recipes):
            if recipe is not None and recipe in errors:
                found[row] = Answer("", (), False, Receipt(recipe.sha256), errors[recipe])
        told = [
            found[row].shown_by(self._page(prompt, recipe))
            for row, (prompt, recipe) in enumerate(zip(rows, recipes, strict=True))
        ]
        return all_answered(told)

    def _page(self, prompt: Sequence[int], recipe: Recipe | None) -> Callable[[Answer], str]:
        """How a notebook shows an answer to a prompt (token ids): not held by the answer is the model itself."""
        held = weakref.ref(self.chat)

        def page(answer: Answer) -> str:
            from clampdown.studies.notebook import answer_html

            return answer_html(answer, held(), prompt, recipe)

        return page


def default_recipe() -> Recipe:
    """The recipe that chats, studies and attacks use where none is named: "guarded", for the bundled model.

    Its gate decides what is steered; "refusal" comes along too, and steers every prompt.

    Raises:
        ClampdownError: this copy of Clampdown has none.
    """
    if not DEFAULT_RECIPE.is_file():
        raise ClampdownError("this copy of Clampdown ships no recipe; make one with `clampdown find`, or name a file")
    return Recipe.load(DEFAULT_RECIPE)


def find(
    model: Model | str | None = None,
    sae: SAE | str | Path | None = None,
    *,
    method: str = "single-prompt",
    prompt: str | None = None,
    refusal: str | None = None,
    unsafe: Sequence[str | Path] = (),
    safe: Sequence[str | Path] = (),
    text: Sequence[str | Path] = (),
    limit: int | None = None,
    candidates: int = 64,
    latents: int = 8,
    value: float | None = None,
    tokens: int = 64,
    window: str | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Found:
    """Find the latents behind refusal: `.latents`, ranked and described, and the `.recipe` that clamps the chosen ones.

    Args:
        model: a loaded model or a model's name; None is the bundled one.
        sae: an SAE, its file or its folder; None is the bundled one.
        method: "single-prompt", "contrast" or "attribution".
        prompt, refusal: what `single-prompt` asks, and the refusal given where the model complies.
        unsafe, safe, text: files or names of sets, in place of the built-in ones; only the selecting half of each is
            looked at.
        limit: at most so many items of each set, drawn by `seed`.
        candidates: how many latents are tested by clamping them.
        latents: the most that are chosen.
        value: test and clamp at this value, as the paper does; None finds values.
        tokens: of each answer that the choice is confirmed with; fewer hide loops.
        window: the only window of positions to try: "all" (the paper's), "all+8" (the prompt and the answer's first 8
            tokens), "last+14", "last+8~6" (fading over 6 more); None is the best of several.

    Raises:
        ClampdownError: the SAE does not fit the model, a set can't be read or is too small, most answers can't be
            scored, or no latent turns up.
    """
    from clampdown.discovery.find import FindOptions
    from clampdown.discovery.find import find as search

    for key, given in (("unsafe", unsafe), ("safe", safe), ("text", text)):
        arguments.paths(key, given)
    for key, count in (
        ("candidates", candidates),
        ("latents", latents),
        ("limit", 1 if limit is None else limit),
        ("tokens", tokens),
    ):
        arguments.whole(key, count, 1)
    arguments.whole("seed", seed, 0)
    arguments.number("value", 0.0 if value is None else value)
    for key, said in (("method", method), ("prompt", prompt), ("refusal", refusal), ("window", window)):
        if said is not None:
            arguments.text(key, said)
    plain = FindOptions()
    options = FindOptions(
        method=method,
        prompt=plain.prompt if prompt is None else prompt,
        refusal=plain.refusal if refusal is None else refusal,
        unsafe=selecting_set("unsafe", unsafe, limit, seed),
        safe=selecting_set("safe", safe, limit, seed),
        text=selecting_set("text", text, limit, seed),
        candidates=candidates,
        latents=latents,
        value=value,
        tokens=tokens,
        window=window,
        seed=seed,
    )
    chosen = _sae(sae)
    return search(_model(model).chat, chosen, options, progress)


def tune(
    recipe: RecipeLike = None,
    *,
    model: Model | str | None = None,
    kind: str = "direction",
    layer: int | None = None,
    sae: SAE | str | Path | None = None,
    latents: int | None = None,
    start: str = "zero",
    prompt: str | None = None,
    generated: str | int | None = None,
    unsafe: Sequence[str | Path] = (),
    only: bool = False,
    rows: int = 240,
    steps: int = 20,
    tokens: int = 64,
    seed: int = 0,
    progress: Progress = quiet,
) -> Tuned:
    """Learn by gradient what a recipe adds: `.recipe`, and what it does to held-out prompts (`.unsafe`, `.safe`).

    Args:
        recipe: a `Recipe` or its file, whose window, gate and system prompt are kept; None is "guarded", of a clamp
            "guarded-clamp", or for another model one that does nothing yet.
        model: a loaded model or a model's name; None is the one that the recipe names.
        kind: "direction", a vector that is added, or "clamp", the values of an SAE's latents.
        layer: of a direction; None is the recipe's lowest.
        sae, latents: of a clamp, choose so many latents of this SAE (None is the recipe's); without a number the
            recipe's own latents are kept.
        start: where a direction begins: at "zero", or at the difference in "means" of refusing and complying answers.
        prompt, generated: the window trained for and written, such as "last" and 8; None is the recipe's.
        unsafe: files or names of sets to train on as well; only the selecting half of each is looked at.
        only: leave out the prompts that come along.
        rows: prompts trained on at most.
        steps: of the optimiser.
        tokens: of each answer that chooses the strength and confirms; fewer hide loops.

    Raises:
        ClampdownError: recipe, model and SAE do not fit, a set can't be read, there are too few prompts, or the model
            finishes no refusal.
    """
    from clampdown.discovery.tuning.options import TuneOptions
    from clampdown.discovery.tuning.prompts import unsafe_rows
    from clampdown.discovery.tuning.tune import tune as run

    arguments.paths("unsafe", unsafe)
    for key, count in (("rows", rows), ("steps", steps), ("tokens", tokens)):
        arguments.whole(key, count, 1)
    arguments.whole("seed", seed, 0)
    for key, number in (("layer", layer), ("latents", latents)):
        if number is not None:
            arguments.whole(key, number, 0)
    for key, said in (("kind", kind), ("start", start), ("prompt", prompt)):
        if said is not None:
            arguments.text(key, said)
    options = TuneOptions(
        kind=kind,
        layer=layer,
        latents=latents,
        start=start,
        prompt=prompt,
        generated=generated,
        rows=rows,
        steps=steps,
        tokens=tokens,
        seed=seed,
    )
    chosen = tunable(arguments.recipe(recipe), model, kind)
    found, named = unsafe_rows([str(path) for path in unsafe], only)
    read = None if sae is None else _sae(sae)
    loaded = _model(chosen.model if model is None and chosen else model)
    return run(loaded.chat, chosen, found, options, sae=read, named=named, progress=progress)


def tunable(recipe: Recipe | None, model: Model | str | None, kind: str) -> Recipe | None:
    """The recipe that tuning starts from: of none given, one of those that ship, if the model is the bundled or unsaid.

    For a clamp it is "guarded-clamp", which has latents and an SAE. None where a model has no recipe yet.

    Raises:
        ClampdownError: what is given for a model is neither one nor a name.
    """
    if model is not None and not isinstance(model, Model):
        arguments.path("a model", model)
    name = NAME if model is None else model.name if isinstance(model, Model) else str(model)
    if recipe or name != NAME:
        return recipe
    return Recipe.load(bundled_path(CLAMP)) if kind == "clamp" else default_recipe()


def explain(
    recipe: RecipeLike = None,
    *,
    model: Model | str | None = None,
    saes: Sequence[SAE | str | Path] = (),
    survey: bool = False,
    questions: int = 100,
    passages: int = 16,
    draws: int = 5,
    latents: int = 72,
    seed: int = 0,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Say why a recipe costs what it costs, its gate forced open: the edit beside other pushes of its size.

    Args:
        recipe: a `Recipe`, its file, or the name of one that comes along; None is "guarded".
        model: a loaded model or a model's name; None is the one that the recipe names.
        saes: SAEs or their names; one of the edit's layer (default: the one that the recipe clamps, or the bundled one
            where it fits) tells its reconstruction error and other latents, those of later layers what changes there.
        survey: measure the survey of the SAE's latents anew and keep it; else one that was kept is cited.
        questions, passages: of the built-in reporting halves, at most.
        draws: random directions, and other latents.
        latents: that a survey draws, besides the recipe's own.

    Returns:
        What was found, of schema "clampdown-explanation/1"; `clampdown.studies.explanation.page.write_page` makes a
            page of it.

    Raises:
        ClampdownError: the recipe edits nothing, or recipe, model and SAEs do not fit.
    """
    from clampdown.studies.explanation.explain import explain as run
    from clampdown.studies.explanation.options import ExplainOptions

    for key, count in (("questions", questions), ("passages", passages), ("draws", draws), ("latents", latents)):
        arguments.whole(key, count, 1)
    arguments.whole("seed", seed, 0)
    arguments.listed("saes", saes, (_sae_type(), str, Path))
    chosen = arguments.recipe(recipe) or default_recipe()
    options = ExplainOptions(questions=questions, passages=passages, draws=draws, latents=latents, seed=seed)
    read = [_sae(sae) for sae in saes]
    loaded = _model(chosen.model if model is None else model)
    return run(loaded.chat, chosen, options, saes=read, surveyed=survey, progress=progress).to_dict()


def check_sae(
    model: Model | str | None = None,
    sae: SAE | str | Path | None = None,
    *,
    layer: int | None = None,
    text: str | Path | None = None,
    progress: Progress = quiet,
) -> SAECheck:
    """Tell whether an SAE fits a model: `.verdict` in words, `.reasons`, and what was measured on a page of chat text.

    Args:
        model: a loaded model or a model's name; None is the bundled one.
        sae: an SAE or its name; None is the bundled one.
        layer: look at this layer; None is the SAE's own.
        text: chats (JSONL) or text, in place of what is built in.

    Raises:
        ClampdownError: no such model, SAE or text.
    """
    from clampdown.discovery.check_sae import check_sae as check

    if layer is not None:
        arguments.whole("layer", layer, 0)
    if text is not None:
        arguments.path("text", text)
    chosen = _sae(sae)
    return check(_model(model).chat, chosen, layer=layer, text=Path(text) if text else None, progress=progress)


def study(
    recipe: RecipeLike = None,
    *,
    model: Model | str | None = None,
    plan: Plan | str = "quick",
    sets: Mapping[str, Sequence[str | Path]] | None = None,
    attacks: Sequence[AttackSpec | Mapping[str, Any]] = (),
    tasks: TaskSettings | None = None,
    folder: str | Path | None = None,
    ray: str | None = None,
    ray_workers: int | None = None,
    engine: Engine | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Measure what a recipe gains and costs beside its controls; killed, the same call goes on where it was.

    The arms that matter most come first, and report.html and results.json of these are there before the others are run.

    Args:
        recipe: a `Recipe`, its file, or the name of one that comes along; None is "guarded".
        model: a loaded model or a model's name; None is the one that the recipe names.
        plan: "quick", "full", or a `clampdown.studies.plan.Plan`.
        sets: files or names of sets by kind ("unsafe", "safe", "lookalike", "capability", "text"), in place of the
            built-in ones; of capability also "lm-eval:TASK,TASK", or "letters:SET" for a set to be answered in words.
        attacks: attacks to run under every arm, each as an `AttackSpec` or its fields, such as {"kind": "best-of-n"}.
        tasks: how lm-eval's tasks are asked, and where their files are; None is as `TaskSettings` has it.
        folder: where results go; None picks a folder below clampdown-studies that the same study always gets.
        ray: a Ray cluster's address, whose workers do the work; empty is a cluster of this machine's own.
        ray_workers: how many at most.
        engine: who answers prompts in Transformers' place, such as `clampdown.plugins.vllm.engine.VllmEngine` made for
            `model.chat`. Likelihoods and lm-eval's tasks are Transformers' all the same.

    Returns:
        The results, of schema "clampdown-study/1": `report` and `database` are paths, `arms` hold the measures. A
        notebook shows them as their frontier, what each arm gains against what it costs.

    Raises:
        ClampdownError: recipe, model and sets do not fit, or the folder holds another study or can't be written to.
    """
    from clampdown.studies.notebook import StudyResults

    cluster = _cluster(ray, ray_workers)
    ready = prepare_study(recipe, plan=plan, sets=sets, attacks=attacks, tasks=tasks)
    if folder is not None:
        arguments.path("folder", folder)
    loaded = _model(ready.recipe.model if model is None else model)
    where = None if folder is None else Path(folder)
    return StudyResults(ready.run(loaded.chat, where, progress, cluster=cluster, engine=engine))


def prepare_study(
    recipe: RecipeLike = None,
    *,
    plan: Plan | str = "quick",
    sets: Mapping[str, Sequence[str | Path]] | None = None,
    attacks: Sequence[AttackSpec | Mapping[str, Any]] = (),
    tasks: TaskSettings | None = None,
) -> Prepared:
    """A study that can tell what it would ask and find (`dry_run`) before a model is loaded; arguments as of `study`.

    Raises:
        ClampdownError: a file can't be read, or a set or a task is not to be had.
    """
    from clampdown.measuring.attacks.spec import AttackSpec
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings
    from clampdown.studies.inputs import study_columns, study_sets
    from clampdown.studies.plan import Plan, named_plan
    from clampdown.studies.prepared import Prepared

    chosen = arguments.recipe(recipe) or default_recipe()
    path = recipe_path(recipe) if isinstance(recipe, str | Path) else DEFAULT_RECIPE if recipe is None else None
    arguments.either("a plan", plan, (Plan, str))
    arguments.table("sets", {} if sets is None else sets)
    for kind, some in (sets or {}).items():
        arguments.paths(kind, some)
    arguments.listed("attacks", attacks, (AttackSpec, Mapping))
    arguments.either("tasks", tasks, (TaskSettings, type(None)))
    decided = (named_plan(plan) if isinstance(plan, str) else plan).meant_for(chosen)
    paths = {kind: [Path(p) for p in some] for kind, some in (sets or {}).items()}
    specs = [spec if isinstance(spec, AttackSpec) else AttackSpec.from_dict(spec) for spec in attacks]
    asked, columns = study_sets(decided, paths), study_columns(decided, paths, specs, tasks)
    return Prepared(chosen, decided, asked, columns, known_latents(path) if path else [])


def _cluster(address: str | None, workers: int | None) -> Cluster | None:
    """What a call says of Ray; None where the work is done here. Raises ClampdownError where it is not installed."""
    if address is None:
        if workers is not None:
            raise ClampdownError("ray_workers is for work on a Ray cluster; give ray, its address")
        return None
    from clampdown.engine.cluster import Cluster, need_ray

    arguments.text("ray", address, empty=True)
    if workers is not None:
        arguments.whole("ray_workers", workers, 1)
    need_ray()
    return Cluster(address, workers)


def selecting_set(kind: str, paths: Sequence[str | Path], limit: int | None, seed: int) -> ItemSet:
    """The selecting half of some files taken together, or of the built-in set where none is named."""
    from clampdown.measuring.sets.named.finding import find_set
    from clampdown.measuring.sets.sets import builtin_set

    loaded = [find_set(kind, path) for path in paths] or [builtin_set(kind)]
    items = tuple(item for item_set in loaded for item in item_set.items)
    name = " + ".join(item_set.name for item_set in loaded)
    return replace(loaded[0], name=name, items=items).half("select").sample(limit, seed)


def latents_file(recipe: Path) -> Path:
    """Where what is known of a recipe's latents is kept: beside the recipe."""
    return recipe.with_suffix(".latents.json")


def known_latents(recipe: Path) -> list[dict[str, Any]]:
    """What `find` learned of a recipe's latents, if it is still true of the recipe; else nothing.

    A gate changes nothing about latents, so one that was given a gate has what its folder knows of it without.
    """
    from clampdown.reading import read_text
    from clampdown.studies.damage import FAULTS, parsed

    try:
        edits = replace(Recipe.load(recipe), gate=None).sha256
    except ClampdownError:
        return []
    for path in (latents_file(recipe), *sorted(recipe.parent.glob("*.latents.json"))):
        try:
            body = parsed(read_text(path))
            if body["recipe_sha256"] == edits:
                return _checked_latents(body["latents"])
        except (ClampdownError, *FAULTS):
            continue  # only decoration: the report then lists the latents' numbers and values
    return []


def _checked_latents(known: Any) -> list[dict[str, Any]]:
    """What `find` wrote of latents; where that was altered, what altered data raises."""
    from clampdown.studies.damage import require

    require(known, Sequence[Mapping[str, Any]], "latents")
    for one in known:
        require(one["latent"], int, "latent")
        require(one.get("promotes", ()), Sequence[str], "promotes")
        require(one.get("contexts", ()), Sequence[Mapping[str, str | float | None]], "contexts")
        for key in ("value", "recipe_value", "unsafe_gain", "safe_gain", "kl"):
            require(one.get(key), float | str | None, key)
    return list(known)


def _model(model: Model | str | None) -> Model:
    return model if isinstance(model, Model) else load(NAME if model is None else model)


def _sae_type() -> type:
    from clampdown.saes.sae import SAE

    return SAE


def _sae(sae: SAE | str | Path | None) -> SAE:
    from clampdown.saes.directory import BUNDLED
    from clampdown.saes.load import load_sae
    from clampdown.saes.sae import SAE

    if isinstance(sae, SAE):
        return sae
    if sae is not None:
        arguments.path("an SAE", sae)
    return load_sae(BUNDLED if sae is None else str(sae))
