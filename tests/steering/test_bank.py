"""The bank, one product for many recipes, against its plain twin: each token's own edits, one after the other."""

import pytest
import torch

from clampdown.recipe import CLAMP_OPERATIONS, RULES, Clamp, Direction
from clampdown.steering.bank import Bank, Directions, SlicedClamps
from clampdown.steering.edits import compile_edit

WIDTH = 32


@pytest.fixture(scope="module")
def saes(make_sae):
    return {
        f"{kind}, {normalise}": make_sae(kind, normalise, name=f"{kind}, {normalise}", seed=seed)
        for seed, (kind, normalise) in enumerate(
            (kind, normalise)
            for kind in ("topk", "jumprelu", "batchtopk", "relu", "gated")
            for normalise in ("none", "layer_norm", "constant_norm")
        )
    }


def drawn_edit(draw, saes):
    """An edit at layer 1, drawn from all kinds there are."""
    kind, number = (int(i) for i in torch.randint(0, 10, (2,), generator=draw))
    strength = float(torch.randn(1, generator=draw)) * 3
    if kind < 2:
        return Direction(1, strength, "remove" if kind else "add", seed=number)
    name = list(saes)[int(torch.randint(0, len(saes), (1,), generator=draw))]
    latents = torch.randperm(96, generator=draw)[: 1 + number].tolist()
    rule = "reconstruct" if kind == 2 else "delta"
    operation = CLAMP_OPERATIONS[int(torch.randint(0, 3, (1,), generator=draw))]
    return Clamp(name, "", 1, {latent: strength + latent / 96 for latent in latents}, rule, operation)


def compiled(edits, saes):
    where = {"n_layers": 4, "d_model": WIDTH, "device": torch.device("cpu"), "saes": list(saes.values())}
    return [compile_edit(edit, **where) for edit in edits]


def plain(x, recipes, recipe, weight):
    """The twin: no table, no slots."""
    found = []
    for token, number, share in zip(x, recipe.tolist(), weight, strict=True):
        token = token[None]
        for edit in recipes[number] if number < len(recipes) else ():
            token = token + share * edit.delta(token)
        found.append(token)
    return torch.cat(found)


def residuals(draw, tokens):
    x = torch.randn(tokens, WIDTH, generator=draw)
    x[::7] *= 40  # as long as attention sinks
    return x


@pytest.mark.parametrize("seed", range(12))
def test_mixed_recipes_are_the_plain_loop(seed, saes):
    draw = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 4, (9,), generator=draw).tolist()
    recipes = [compiled([drawn_edit(draw, saes) for _ in range(count)], saes) for count in counts]
    x, recipe = residuals(draw, 64), torch.randint(0, 10, (64,), generator=draw)  # 9 is nobody
    weight = torch.rand(64, 1, generator=draw)
    bank = Bank(recipes)
    assert bank.nobody == 9
    found = bank.edited(x, recipe, weight)
    torch.testing.assert_close(found, plain(x, recipes, recipe, weight), atol=2e-4, rtol=2e-4)
    assert torch.equal(found[recipe == 9], x[recipe == 9])
    ones = torch.ones(64, 1)
    torch.testing.assert_close(bank.edited(x, recipe), plain(x, recipes, recipe, ones), atol=2e-4, rtol=2e-4)


def test_one_recipe_alone_is_its_edits_to_the_bit(saes):
    draw = torch.Generator().manual_seed(3)
    x, mine = residuals(draw, 20), torch.zeros(20, dtype=torch.long)
    for name in saes:
        edits = compiled([Clamp(name, "", 1, {3: 2.0, 40: -1.0}), Direction(1, 0.5, "remove", seed=1)], saes)
        assert torch.equal(Bank([edits]).edited(x, mine), plain_at_once(x, edits)), name


def plain_at_once(x, edits):
    for edit in edits:
        x = x + edit.delta(x)
    return x


def test_edits_stay_one_upon_the_other(saes):
    """A clamp and then the removal of its own direction leaves nothing of the clamp; summed it would."""
    sae = saes["relu, none"]
    unit = tuple(sae.w_dec[5].tolist())
    edits = compiled([Clamp(sae.name, "", 1, {5: 60.0}), Direction(1, 1.0, "remove", values=unit)], saes)
    x = residuals(torch.Generator().manual_seed(1), 8)
    after = Bank([edits]).edited(x, torch.zeros(8, dtype=torch.long))
    assert (after @ sae.w_dec[5]).abs().max() < 1e-3


def operations(sae, values, saes, rule="delta"):
    """A recipe of one clamp for each operation, and the bank of all of them."""
    clamps = [Clamp(sae.name, "", 1, values, rule, operation) for operation in CLAMP_OPERATIONS]
    recipes = [compiled([clamp], saes) for clamp in clamps]
    return recipes, Bank(recipes)


@pytest.mark.parametrize("rule", RULES)
def test_operations_are_what_full_encoding_gives(rule, saes):
    """Every latent encoded and decoded, and the chosen ones changed in between: no slice, no table."""
    x = residuals(torch.Generator().manual_seed(4), 40)
    index, values = torch.tensor([3, 17, 40, 71]), torch.tensor([0.8, 0.0, -0.5, 2.5])
    for name, sae in saes.items():
        _, bank = operations(sae, dict(zip(index.tolist(), values.tolist(), strict=True)), saes, rule)
        z, like = sae.encode(x), sae.normalised(x)
        own = z[:, index]
        after = (values.expand_as(own), own.clone(), values * own)
        after[1][own < values] = values.expand_as(own)[own < values]
        error = x - sae.decode(z, like) if rule == "delta" else 0.0
        for recipe, changed in enumerate(after):
            whole = z.clone()
            whole[:, index] = changed
            expected = sae.decode(whole, like) + error
            found = bank.edited(x, torch.full((40,), recipe))
            torch.testing.assert_close(found, expected, atol=3e-4, rtol=3e-4, msg=f"{name}, {CLAMP_OPERATIONS[recipe]}")


def test_at_least_is_set_below_the_value_and_nothing_from_it_on(saes):
    x = residuals(torch.Generator().manual_seed(5), 200)
    for name, sae in saes.items():
        z = sae.encode(x)[:, 3]
        low, high = z[z > 0].sort().values[[len(z[z > 0]) // 2 - 1, len(z[z > 0]) // 2]].tolist()
        value = (low + high) / 2  # which no token is at, for two products differ by rounding
        _, bank = operations(sae, {3: value}, saes)
        found = {op: bank.edited(x, torch.full((200,), i)) for i, op in enumerate(CLAMP_OPERATIONS)}
        above = z >= value
        assert above.any() and (~above).any(), name
        assert torch.equal(found["at-least"][above], x[above]), name
        assert torch.equal(found["at-least"][~above], found["set"][~above]), name
        assert not torch.equal(found["set"][z > value], x[z > value]), name


def test_multiplying_by_one_changes_nothing_and_by_none_is_setting_to_none(saes):
    x = residuals(torch.Generator().manual_seed(6), 60)
    for name, sae in saes.items():
        latents = [3, 17, 40]
        (_, _, one), (sets, _, none) = (operations(sae, dict.fromkeys(latents, v), saes)[0] for v in (1.0, 0.0))
        where = torch.zeros(60, dtype=torch.long)
        assert torch.equal(Bank([one]).edited(x, where), x), name
        assert torch.equal(Bank([none]).edited(x, where), Bank([sets]).edited(x, where)), name
        off = (sae.encode(x)[:, latents] == 0).all(-1)
        many = operations(sae, dict.fromkeys(latents, 250.0), saes)[0][2]
        found = Bank([many]).edited(x, where)
        assert off.any() and torch.equal(found[off], x[off]) and not torch.equal(found, x), name


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_in_one_row_reaches_no_other(bad, saes):
    draw = torch.Generator().manual_seed(9)
    names = [name for name in saes if "topk" in name or "jump" in name]
    recipes = [compiled([Clamp(name, "", 1, {i: 2.0, 50 + i: 1.0})], saes) for i, name in enumerate(names)]
    for operation in ("at-least", "multiply"):
        recipes += [compiled([Clamp(name, "", 1, {2: 1.5, 60: 0.5}, operation=operation)], saes) for name in names]
    recipes.append(compiled([Direction(1, 3e38, seed=2)], saes))
    recipe = torch.arange(len(recipes))
    x = residuals(draw, len(recipes))
    alone = Bank(recipes).edited(x, recipe)
    for broken in range(len(recipes)):
        hurt = x.clone()
        hurt[broken] = bad
        found = Bank(recipes).edited(hurt, recipe)
        others = recipe != broken
        assert torch.equal(found[others], alone[others])
        assert not torch.isfinite(found[broken]).all()


def test_recipes_of_one_sae_share_a_part_and_their_latents(saes):
    clamps = [Clamp("jumprelu, none", "", 1, {3: float(i), i: 1.0}) for i in range(10, 42)]
    adds = [Direction(1, 1.0, seed=i) for i in range(3)]
    bank = Bank([*(compiled([clamp], saes) for clamp in clamps), *(compiled([add], saes) for add in adds)])
    [clamped, directed] = bank.stages[0]
    assert isinstance(clamped, SlicedClamps) and len(clamped.index) == 33
    assert isinstance(directed, Directions) and len(directed.vectors) == 3


def test_topk_encodes_all_only_where_a_tokens_own_latent_may_be_on(saes, monkeypatch):
    from clampdown.saes.competition import Crowd

    asked = []
    winners = Crowd.winners
    monkeypatch.setattr(
        Crowd, "winners", lambda self, x, z, index: asked.append((z > 0).any(-1)) or winners(self, x, z, index)
    )
    sae = saes["topk, none"]
    recipes = [compiled([Clamp(sae.name, "", 1, {latent: 2.0})], saes) for latent in range(40)]
    x = residuals(torch.Generator().manual_seed(2), 40)
    Bank(recipes).edited(x, torch.arange(40))
    own = sae.only(range(40)).activations(sae.normalised(x).inner).diagonal() > 0
    assert torch.equal(asked[0], own) and 0 < own.sum() < 40


def test_an_empty_bank_changes_nothing():
    x = torch.randn(3, WIDTH)
    assert torch.equal(Bank([]).edited(x, torch.zeros(3, dtype=torch.long)), x)
    assert torch.equal(Bank([[], []]).edited(x, torch.tensor([0, 1, 2])), x)
