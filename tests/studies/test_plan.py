"""Plans and study files: what is wrong is said in one line."""

from pathlib import Path

import pytest

from clampdown.errors import ClampdownError
from clampdown.studies.plan import Plan, named_plan
from clampdown.studies.study_file import read_study_file


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_study_file_starts_from_a_named_plan_and_changes_what_it_names(tmp_path):
    study = read_study_file(written(tmp_path, 'plan = "full"\nseed = 7\nfactors = [1, 2]\n[items]\nunsafe = 5\n'))
    assert (study.plan.name, study.plan.seed, study.plan.factors) == ("mine", 7, (1.0, 2.0))
    assert study.plan.items == {"unsafe": 5}
    assert study.plan.max_new_tokens == named_plan("full").max_new_tokens
    assert (study.model, study.recipe, study.sets) == (None, None, {})


def test_relative_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "weights").mkdir()
    text = 'model = "weights"\nrecipe = "r.toml"\n[sets]\nunsafe = "a.txt"\nsafe = ["b.csv", "/elsewhere/c.jsonl"]\n'
    study = read_study_file(written(tmp_path, text))
    assert study.model == str(tmp_path / "weights")
    assert study.recipe == tmp_path / "r.toml"
    assert study.sets == {"unsafe": (tmp_path / "a.txt",), "safe": (tmp_path / "b.csv", Path("/elsewhere/c.jsonl"))}


def test_a_hub_id_stays_as_it_is(tmp_path):
    assert read_study_file(written(tmp_path, 'model = "someone/some-model"')).model == "someone/some-model"


@pytest.mark.parametrize(
    "text, said",
    [
        ("sede = 1", "unknown key sede"),
        ("seed = 'x'", "seed"),
        ("factors = [0.5, 2]", "factors must hold 1"),
        ("factors = 1", "factors must be a list"),
        ("strengths = [-1]", "strengths"),
        ("draws = 4", "draws"),
        ("batch = 0", "batch"),
        ("arms_per_batch = 0", "arms_per_batch must be a whole number from 1"),
        ("arms_per_batch = 89", "needs a batch of as many rows at least, got 88"),
        ("rules = ['both']", "rules does not know both"),
        ("arms = ['clamp']", "none and clamp"),
        ("plan = 'slow'", "no plan is called 'slow'"),
        ("items = 3", "items must be a table"),
        ("[items]\nsafe = 3", "items must hold unsafe"),
        ("[items]\nunsafe = 3\nrude = 3", "items does not know rude"),
        ("[sets]\nrude = 'a'", "sets does not know rude"),
        ("[sets]\nsafe = []", "sets.safe"),
        ("seed =", "not valid TOML"),
        ("", "it is empty"),
        ("# to be written", "it is empty"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path, text, said):
    with pytest.raises(ClampdownError, match=said) as caught:
        read_study_file(written(tmp_path, text))
    assert "mine.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ClampdownError, match="can't read study file"):
        read_study_file(tmp_path / "none.toml")


def test_plan_is_plain_data_and_zero_takes_all():
    body = Plan(items={"unsafe": 0, "safe": 3}).to_dict()
    assert Plan(**{k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}).to_dict() == body
    assert Plan(items={"unsafe": 0}).limit("unsafe") is None
