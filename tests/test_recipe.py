"""Recipes: what is written is read back, and everything that is off is refused on one line."""

import hashlib
import math
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clampdown.errors import ClampdownError
from clampdown.recipe import (
    CLAMP_OPERATIONS,
    DECIDE,
    OPERATIONS,
    RULES,
    SCOPES,
    Clamp,
    Direction,
    Gate,
    Positions,
    Recipe,
)

numbers = st.floats(-1e30, 1e30) | st.integers(-(10**9), 10**9)
multiples = st.builds(lambda a, b: f"{a}.{b}x", st.integers(-99, 99), st.integers(0, 99))
texts = st.text(st.characters(codec="utf-8"), max_size=40)
some_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
printable = st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" ")
names = st.text(printable, min_size=1, max_size=20)
layers = st.integers(0, 200)
clamps = st.one_of(
    st.builds(
        Clamp,
        sae=some_text,
        sae_sha256=texts,
        layer=layers,
        values=st.dictionaries(st.integers(0, 10**6), values, min_size=1, max_size=4),
        rule=st.sampled_from(RULES),
        operation=st.just(operation),
    )
    for operation, values in (("set", numbers | multiples), ("at-least", numbers | multiples), ("multiply", numbers))
)
directions = st.builds(
    Direction,
    layer=layers,
    strength=numbers,
    operation=st.sampled_from(OPERATIONS),
    values=st.lists(numbers, min_size=1, max_size=4).map(tuple),
) | st.builds(Direction, layer=layers, strength=numbers, seed=st.integers(-(2**63), 2**63 - 1))
positions = st.builds(
    Positions,
    scope=st.sampled_from([s for s in SCOPES if s != "first-generated"]),
    sink_norm=st.none() | st.floats(1e-6, 1e6) | st.integers(1, 10**6),
) | st.builds(Positions, scope=st.just("first-generated"), count=st.integers(1, 10**6))
positions |= st.builds(
    Positions,
    prompt=st.sampled_from(["all", "last"]),
    generated=st.integers(1, 10**6),
    fade=st.integers(0, 10**6),
    sinks=st.booleans(),
    sink_norm=st.none() | st.integers(1, 10**6),
)
gates = st.none() | st.builds(
    Gate,
    file=names,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    threshold=st.none() | numbers,
    decide=st.sampled_from(DECIDE),
)
gates |= st.builds(Gate, external=names, decide=st.sampled_from(DECIDE))
recipes = st.builds(
    Recipe,
    name=names,
    model=some_text,
    model_sha256=texts,
    edits=st.lists(clamps | directions, max_size=3, unique_by=lambda edit: edit.layer).map(tuple),
    positions=positions,
    system_prompt=texts,
    note=texts,
    gate=gates,
)

CLAMP = Clamp("sae", "", 3, {7: 2.0, 9: "1.5x"})
RECIPE = Recipe("r", "m", "", (CLAMP,))
GOOD = """
version = 1
name = "r"
[model]
name = "m"
sha256 = ""
[positions]
scope = "all"
[[edits]]
kind = "clamp"
layer = 3
sae = "s"
sae_sha256 = ""
[edits.latents]
7 = 2.0
[[edits]]
kind = "direction"
layer = 1
strength = 2.0
seed = 3
"""


@settings(max_examples=150, deadline=None)
@given(recipe=recipes)
def test_what_is_written_is_read_back(recipe):
    back = Recipe.from_toml(recipe.to_toml())
    assert back == recipe and back.sha256 == recipe.sha256 and hash(back) == hash(recipe)


def test_files_are_read_back_byte_order_mark_or_not(tmp_path):
    path = tmp_path / "new" / "r.toml"
    RECIPE.save(path)
    assert Recipe.load(path) == RECIPE
    assert [p.name for p in path.parent.iterdir()] == ["r.toml"]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Recipe.load(path) == RECIPE


def test_a_saved_recipe_is_as_readable_as_any_file(tmp_path):
    before = os.umask(0o022)
    try:
        RECIPE.save(tmp_path / "r.toml")
    finally:
        os.umask(before)
    assert (tmp_path / "r.toml").stat().st_mode & 0o777 == 0o644


@settings(max_examples=40, deadline=None)
@given(recipe=recipes, name=names, note=texts)
def test_the_hash_ignores_name_and_note_only(recipe, name, note):
    assert replace(recipe, name=name, note=note).sha256 == recipe.sha256
    assert replace(recipe, system_prompt=recipe.system_prompt + "!").sha256 != recipe.sha256
    assert replace(recipe, edits=(*recipe.edits, CLAMP)).sha256 != recipe.sha256


def test_equal_recipes_have_equal_hashes():
    def recipe(value, strength, norm):
        edits = (Clamp("s", "", 1, {1: value}), Direction(1, strength, seed=1))
        return Recipe("a", "m", "", edits, Positions(sink_norm=norm))

    one, other = recipe(0.0, 2, 5), recipe(-0.0, 2.0, 5.0)
    assert one == other and one.sha256 == other.sha256


OLD = {  # what earlier versions called a window, what it is now, and the hash that such a recipe had
    "all-but-sinks": (Positions(), "d132364ad45d60def4e4904142abcfc90538dc1799942cc4b447ffb2cec60362"),
    "all": (Positions(sinks=True), "1113c191ad5a1a0df870beac6b7421b82f6e1e06e1a27caf4568d21d76932a1e"),
    "generated": (Positions(prompt="none"), "d26f63ad8654c3b333e8ff212dd5c503193e33a544b5697c9558a53f82f2c125"),
    "first-generated": (
        Positions(prompt="none", generated=3),
        "0158e06965450eae0014b81bcfc34aaba5ecf3bf8691a93ea9bc3af00f637147",
    ),
    "from-last-prompt-token": (
        Positions(prompt="last", sink_norm=20.0),
        "64759b4e437a013a2f6c6d08e92454a54c2f5fac2ab4e5967fa26f6bab63c4b5",
    ),
}


@pytest.mark.parametrize("scope", OLD)
def test_a_scope_is_a_window_and_keeps_its_hash(scope):
    window, known = OLD[scope]
    count = 3 if scope == "first-generated" else None
    assert Positions(scope, count, window.sink_norm) == window
    recipe = Recipe("r", "m", "", (Direction(0, 1.0, seed=1),), window)
    assert recipe.sha256 == known
    assert recipe.to_dict()["positions"]["scope"] == scope and Recipe.from_toml(recipe.to_toml()) == recipe


def test_windows_that_no_scope_names_are_written_out():
    window = Positions(generated=8, fade=4, sink_norm=3.0)
    assert window.to_dict() == {"prompt": "all", "generated": 8, "fade": 4, "sink_norm": 3.0}
    assert Positions(prompt="last", generated="none").to_dict() == {"prompt": "last", "generated": "none"}
    assert replace(window, fade=0) == Positions(generated=8, sink_norm=3.0)
    assert str(window) == (
        "all of the prompt, the first 8 generated, fading over 4 more, but attention sinks (beyond 3)"
    )
    assert str(Positions("all")) == "everywhere"
    hashes = {
        Recipe("r", "m", "", (), p).sha256 for p in (window, replace(window, fade=0), Positions(generated=9, fade=4))
    }
    assert len(hashes) == 3


def test_values_in_activation_units():
    assert CLAMP.resolved({9: 4.0}) == {7: 2.0, 9: 6.0}
    assert CLAMP.relative == [9]
    assert list(Clamp("s", "", 0, {9: 1, 2: 1}).values) == [2, 9]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, True, None, 1e39, 10**400, [1.0]], ids=lambda v: repr(v)[:9]
)
def test_only_finite_numbers(value, one_line):
    for make in (
        lambda: Clamp("s", "", 0, {1: value}),
        lambda: Direction(0, value, seed=1),
        lambda: Direction(0, 1.0, values=(1.0, value)),
        lambda: Positions(sink_norm=value) if value is not None else Positions(sink_norm=math.nan),
    ):
        with pytest.raises(ClampdownError) as caught:
            make()
        one_line(caught)


@pytest.mark.parametrize(
    "value",
    ["1.5", "x", "1.5 x", "1.5x ", "1.5x\n", "1e3x", "nanx", "infx", ".5x", pytest.param("9" * 400 + "x", id="huge")],
)
def test_only_plain_multiples(value, one_line):
    with pytest.raises(ClampdownError) as caught:
        Clamp("s", "", 0, {1: value})
    one_line(caught, "latent 1")


@pytest.mark.parametrize("whole", [-1, 1.0, True, "1", None, 2**63, pytest.param(10**5000, id="huge")])
def test_layers_latents_and_counts_are_whole_numbers(whole, one_line):
    for make in (
        lambda: Clamp("s", "", whole, {1: 1.0}),
        lambda: Clamp("s", "", 0, {whole: 1.0}),
        lambda: Direction(whole, 1.0, seed=1),
        lambda: Positions("first-generated", whole),
    ):
        with pytest.raises(ClampdownError) as caught:
            make()
        one_line(caught)


def test_what_contradicts_itself_is_refused():
    for make in (
        lambda: Clamp("s", "", 0, {}),
        lambda: Clamp("s", "", 0, {1: 1.0}, "half"),
        lambda: Clamp("", "", 0, {1: 1.0}),
        lambda: Direction(0, 1.0),
        lambda: Direction(0, 1.0, values=(1.0,), seed=1),
        lambda: Direction(0, 1.0, "turn", seed=1),
        lambda: Direction(0, 1.0, seed=2**63),
        lambda: Positions("everywhere"),
        lambda: Positions("all", 3),
        lambda: Positions("first-generated"),
        lambda: Positions(sink_norm=0),
        lambda: Positions(prompt="some"),
        lambda: Positions(generated=-1),
        lambda: Positions(generated=2.0),
        lambda: Positions(generated=True),
        lambda: Positions(generated="8"),
        lambda: Positions(prompt="none", generated="none"),
        lambda: Positions(prompt="none", generated=0),
        lambda: Positions(fade=3),
        lambda: Positions(generated=8, fade=-1),
        lambda: Positions(sinks=1),
        lambda: Positions("generated", prompt="last"),
        lambda: Positions("all", generated=3),
        lambda: Positions(count=3, generated=3),
        lambda: Recipe("", "m", ""),
        lambda: Recipe("two\nlines", "m", ""),
        lambda: Recipe("\x1b[31mred", "m", ""),
        lambda: Recipe("r", "", ""),
    ):
        with pytest.raises(ClampdownError):
            make()
    assert Clamp("s", "", 0, {}, "reconstruct").values == {}


BAD = {
    "unknown key at the top": ("version = 1", "version = 1\nlayer = 3", "layer"),
    "unknown key in the model": ('name = "m"', 'name = "m"\nsha = ""', "sha"),
    "unknown key in the positions": ('scope = "all"', 'scope = "all"\nnorm = 1', "norm"),
    "unknown key in a clamp": ('sae = "s"', 'sae = "s"\nvalue = 1', "value"),
    "unknown key in a direction": ("seed = 3", "seed = 3\nlatent = 1", "latent"),
    "unknown key on two lines": ("version = 1", 'version = 1\n"a\\nb" = 3', "a"),
    "no name": ('name = "r"', "", "name"),
    "no model": ('name = "m"', "", "name"),
    "name is a number": ('name = "r"', "name = 3", "name"),
    "another version": ("version = 1", "version = 2", "version 2"),
    "version true": ("version = 1", "version = true", "version"),
    "version on two lines": ("version = 1", 'version = "a\\nb"', "version"),
    "scope on two lines": ('scope = "all"', 'scope = """a\nb"""', "scope"),
    "scope is a list": ('scope = "all"', "scope = []", "scope"),
    "scope and window": ('scope = "all"', 'scope = "all"\ngenerated = 3', "either a scope"),
    "generated is a text": ('scope = "all"', 'generated = "8"', "generated"),
    "prompt is a number": ('scope = "all"', "prompt = 3", "prompt"),
    "fade after everything": ('scope = "all"', "fade = 3", "fade"),
    "sinks is a text": ('scope = "all"', 'sinks = "yes"', "sinks"),
    "latent by name": ("7 = 2.0", "seven = 2.0", "seven"),
    "one latent spelt twice": ("7 = 2.0", "7 = 2.0\n07 = 3.0", "07"),
    "latent in other digits": ("7 = 2.0", '"٧" = 2.0', "latents must be numbered"),
    "latent of many digits": ("7 = 2.0", "9" * 5000 + " = 2.0", "latents must be numbered"),
    "negative latent": ("7 = 2.0", "-7 = 2.0", "-7"),
    "value nan": ("7 = 2.0", "7 = nan", "latent 7"),
    "value true": ("7 = 2.0", "7 = true", "latent 7"),
    "value beyond all floats": ("7 = 2.0", "7 = 1" + "0" * 400, "latent 7"),
    "value is a table": ("7 = 2.0", "7 = {a = 1}", "latent 7"),
    "unknown kind": ('kind = "clamp"', 'kind = "cl\\namp"', "edit 1"),
    "no layer": ("layer = 3", "", "layer"),
    "layer is half": ("layer = 3", "layer = 3.5", "layer"),
    "layer of many digits": ("layer = 3", "layer = 0x" + "f" * 9000, "huge number"),
    "no strength": ("strength = 2.0", "", "strength"),
    "values is a number": ("seed = 3", "values = 3", "edit 2"),
    "values are texts": ("seed = 3", 'values = ["a"]', "edit 2"),
    "edits is a number": ('[[edits]]\nkind = "clamp"', '[edits]\nkind = "clamp"', "TOML"),
    "corrupt": ("[positions]", "[positions", "TOML"),
    "number too long": ("layer = 3", "layer = " + "9" * 5000, "TOML"),
    "brackets without end": ("layer = 3", "layer = " + "[" * 100_000, "TOML"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_gives_one_line(case, tmp_path, one_line):
    old, new, word = BAD[case]
    assert Recipe.from_toml(GOOD).edits
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ClampdownError) as caught:
        Recipe.load(path)
    one_line(caught, str(path), word)


def test_a_missing_or_unreadable_file_gives_one_line(tmp_path, one_line):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "binary.toml"):
        with pytest.raises(ClampdownError) as caught:
            Recipe.load(path)
        one_line(caught, str(path))


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch, one_line):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ClampdownError) as caught:
        RECIPE.save(tmp_path / "r.toml")
    one_line(caught, "No space left")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(ClampdownError) as caught:
        RECIPE.save(tmp_path / "file" / "r.toml")
    one_line(caught)


@settings(max_examples=60, deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "kind", "layer", "latents", "model", "edits", "positions", "x"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_no_content_gives_another_error(body):
    whole = {"name": "r", "model": {"name": "m"}}
    for content in ({**whole, "edits": body}, {**whole, "positions": body}, {**whole, "edits": [body]}, body):
        if isinstance(content, dict):
            try:
                Recipe.from_dict(content)
            except ClampdownError as error:
                assert "\n" not in str(error)  # noqa: PT017


# ---- what a clamp does to its latents


@pytest.mark.parametrize("operation", CLAMP_OPERATIONS)
@pytest.mark.parametrize("rule", RULES)
def test_an_operation_is_read_back_and_changes_the_hash(operation, rule):
    set_to = Recipe("r", "m", "", (Clamp("sae", "", 3, {7: 2.0}, rule),))
    made = Recipe("r", "m", "", (Clamp("sae", "", 3, {7: 2.0}, rule, operation),))
    assert Recipe.from_toml(made.to_toml()) == made
    assert (made.sha256 == set_to.sha256) == (made == set_to) == (hash(made) == hash(set_to)) == (operation == "set")


def test_a_clamp_that_sets_is_written_as_it_always_was():
    """Recipes that people have keep their hash, which receipts and caches are kept by."""
    assert "operation" not in Recipe("r", "m", "", (CLAMP,)).to_toml()
    assert RECIPE.sha256 == "2946ea2175ec0952e0ad9e798ca6e02b385faa0736e6a36b33a7f084c4a02e3f"
    assert Recipe.from_toml(RECIPE.to_toml().replace("rule =", 'operation = "set"\nrule =')) == RECIPE


def test_an_sae_pass_is_one_however_its_operation_is_called():
    one, other = (Clamp("sae", "", 3, {}, "reconstruct", operation) for operation in ("set", "multiply"))
    assert one == other and Recipe("r", "m", "", (one,)).sha256 == Recipe("r", "m", "", (other,)).sha256


@pytest.mark.parametrize(
    ("operation", "value", "words"),
    [
        ("multiply", "1.5x", ("latent 7", "plain number", "1.5x")),
        ("at least", 2.0, ("operation", "set, at-least, multiply", "at least")),
        ("add", 2.0, ("operation", "set, at-least, multiply", "add")),
        (None, 2.0, ("operation",)),
    ],
)
def test_an_operation_that_is_none_is_told(operation, value, words, one_line):
    with pytest.raises(ClampdownError) as caught:
        Clamp("sae", "", 3, {7: value}, "delta", operation)
    one_line(caught, *words)


def test_an_operation_of_a_file_that_is_none_is_told(one_line):
    text = RECIPE.to_toml()
    for wrong, word in (('"times"', "times"), ("3", "text"), ('"multiply"', "plain number")):
        with pytest.raises(ClampdownError) as caught:
            Recipe.from_toml(text.replace("rule =", f"operation = {wrong}\nrule ="))
        one_line(caught, "edit 1", word)


def test_at_least_takes_multiples_of_a_maximum():
    assert Clamp("sae", "", 3, {7: "1.5x"}, operation="at-least").resolved({7: 4.0}) == {7: 6.0}


# ---- a latent is named once, a hash is worked out once


@pytest.mark.parametrize(
    "other",
    [
        Clamp("sae", "", 3, {9: 1.0}),
        Clamp("sae", "", 3, {1: 1.0, 7: "2x"}, "reconstruct"),
        Clamp("elsewhere/sae", "abc", 3, {7: 2.0}),
    ],
    ids=["by name", "under another rule", "by hash"],
)
def test_a_latent_is_named_once_at_a_layer(other, one_line):
    first = replace(CLAMP, sae_sha256="abc")
    for edits in ((first, other), (other, first), (Direction(3, 1.0, seed=1), first, CLAMP)):
        with pytest.raises(ClampdownError) as caught:
            Recipe("r", "m", "", edits)
        one_line(caught, "latent", "twice", "layer 3")
    text = RECIPE.to_toml()
    body = text + text[text.index("[[edits]]") :]
    with pytest.raises(ClampdownError, match="twice"):
        Recipe.from_toml(body)


def test_other_latents_layers_and_saes_are_fine():
    others = [replace(CLAMP, values={8: 1.0}), replace(CLAMP, layer=4), replace(CLAMP, sae="other")]
    for other in others:
        assert len(Recipe("r", "m", "", (CLAMP, other)).edits) == 2


def test_a_hash_is_worked_out_once_and_holds(monkeypatch):
    import json

    wide = Recipe("r", "m", "", (Direction(1, 1.0, values=tuple(range(1, 3000))),))
    worked, dumps = [], json.dumps
    monkeypatch.setattr(json, "dumps", lambda *a, **k: worked.append(1) or dumps(*a, **k))
    rows = [wide] * 100
    assert len({recipe.sha256 for recipe in rows}) == len(set(rows)) == len(dict.fromkeys(rows)) == 1
    assert len(worked) == 1
    again = replace(wide, note="another")
    assert again.sha256 == wide.sha256 and len(worked) == 2


def test_what_a_recipe_holds_can_not_be_changed():
    import copy
    import pickle

    for change in (
        lambda v: v.update({7: 1.0}),
        lambda v: v.pop(7),
        lambda v: v.clear(),
        lambda v: v.__setitem__(7, 1),
    ):
        with pytest.raises(TypeError, match="make another"):
            change(CLAMP.values)
    for twin in (pickle.loads(pickle.dumps(RECIPE)), copy.deepcopy(RECIPE)):
        assert twin == RECIPE and twin.sha256 == RECIPE.sha256


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5},
        {"model": b"m"},
        {"system_prompt": None},
        {"edits": None},
        {"edits": CLAMP},
        {"edits": [{"kind": "clamp"}]},
        {"edits": "sae"},
        {"positions": "all"},
    ],
    ids=repr,
)
def test_fields_of_the_wrong_type_are_told(fields, one_line):
    with pytest.raises(ClampdownError) as caught:
        replace(RECIPE, **fields)
    one_line(caught)


GATE = Gate(file="gate.safetensors", sha256="ab" * 32)


def test_a_gate_changes_the_hash_by_what_it_does_and_not_by_where_it_lies():
    gated = replace(RECIPE, gate=GATE)
    others = [
        RECIPE,
        replace(RECIPE, gate=replace(GATE, sha256="cd" * 32)),
        replace(RECIPE, gate=replace(GATE, threshold=0.5)),
        replace(RECIPE, gate=replace(GATE, decide="open")),
        replace(RECIPE, gate=Gate(external="wildguard")),
    ]
    assert len({recipe.sha256 for recipe in [gated, *others]}) == 6
    elsewhere = replace(RECIPE, gate=replace(GATE, file="/elsewhere/gate.safetensors"))
    assert elsewhere.sha256 == gated.sha256 and elsewhere == gated
    # as it was before there were gates
    assert RECIPE.sha256 == "2946ea2175ec0952e0ad9e798ca6e02b385faa0736e6a36b33a7f084c4a02e3f"


def test_a_saved_recipe_takes_its_gates_file_along(tmp_path):
    content = b"what scores prompts"
    (tmp_path / "fitted.safetensors").write_bytes(content)
    gate = Gate(str(tmp_path / "fitted.safetensors"), hashlib.sha256(content).hexdigest(), threshold=0.5)
    recipe = replace(RECIPE, gate=gate)
    recipe.save(tmp_path / "here.toml")  # beside it, it is named as it is
    assert 'file = "fitted.safetensors"' in (tmp_path / "here.toml").read_text()
    recipe.save(tmp_path / "there" / "r.toml")
    (tmp_path / "there").rename(tmp_path / "moved")
    read = Recipe.load(tmp_path / "moved" / "r.toml")
    assert read == recipe and read.sha256 == recipe.sha256
    assert gate.sha256[:12] in read.gate.file and (tmp_path / "moved" / read.gate.file).read_bytes() == content
    (tmp_path / "fitted.safetensors").write_bytes(b"another")
    with pytest.raises(ClampdownError, match="sha256"):
        recipe.save(tmp_path / "elsewhere" / "r.toml")
    assert not (tmp_path / "elsewhere" / "r.toml").exists()


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_gates_file_that_is_a_pipe_is_not_waited_for(tmp_path, one_line):
    os.mkfifo(tmp_path / "gate.safetensors")
    recipe = replace(RECIPE, gate=replace(GATE, file=str(tmp_path / "gate.safetensors")))
    for file, way_out in ((recipe.gate.file, "it is a pipe"), (str(tmp_path / "none"), "copy it beside")):
        with pytest.raises(ClampdownError) as caught:
            replace(recipe, gate=replace(GATE, file=file)).save(tmp_path / "other" / "r.toml")
        one_line(caught, file, way_out)
    assert not (tmp_path / "other" / "r.toml").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('file = "g.safetensors"', "sha256"),
        ('file = "g.safetensors"\nsha256 = "abc"', "64 hex"),
        ('sha256 = "GOOD"', "either a file"),
        ('file = "g"\nsha256 = "GOOD"\nexternal = "x"', "either a file"),
        ('file = "g"\nsha256 = "GOOD"\nthreshold = nan', "finite"),
        ('file = "g"\nsha256 = "GOOD"\nthreshold = "0.5"', "finite"),
        ('file = "g"\nsha256 = "GOOD"\ndecide = "maybe"', "decide"),
        ('file = "g"\nsha256 = "GOOD"\nfile_name = "h"', "unknown key file_name"),
        ('external = "wild\\u001bguard"', "printable"),
        ('external = "wildguard"\nthreshold = 0.5', "decides by itself"),
        ("external = 3", "text"),
    ],
)
def test_a_gate_that_is_off_is_refused(body, said):
    with pytest.raises(ClampdownError, match=said) as error:
        Recipe.from_toml(RECIPE.to_toml() + "\n[gate]\n" + body.replace("GOOD", "ab" * 32))
    assert "\n" not in str(error.value)
