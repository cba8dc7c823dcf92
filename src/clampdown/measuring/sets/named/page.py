"""What a page says of a public set: who made it, where its files are, what its columns are called. Data, no code."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Columns:
    """Where each part of an item is in a row.

    A column's name; `a|b` is the first of the two that a row has, `a.b` and `a.0` reach inside a column, and `a+b`
    makes choices of several columns.

    Attributes:
        context: put before the text, where a row has one.
        cluster: what items that share a goal have in common; without it, items of the same text are one cluster.
        labels: what the file calls each choice, where `answer` names one of these.
        target: the right answer in words; of a worked solution, what stands behind the last "####".
    """

    text: str
    context: str = ""
    category: str = ""
    cluster: str = ""
    id: str = ""
    choices: str = ""
    labels: str = ""
    answer: str = ""
    target: str = ""


@dataclass(frozen=True)
class Origin:
    """The files of a set, at one commit of a repository on the Hugging Face hub or on GitHub.

    Attributes:
        revision: the full commit, one that published evaluation code pins. None: unverified; it is resolved to the
            current commit when fetched, and recorded.
        inside: the key of the list of rows, in a JSON file that is an object.
        gated: whether the hub asks for an account and for consent to the owner's terms.
    """

    repo: str
    files: tuple[str, ...]
    revision: str | None = None
    host: str = "hub"
    inside: str = ""
    gated: bool = False

    @property
    def page(self) -> str:
        """Its address in a browser."""
        return f"https://github.com/{self.repo}" if self.host == "github" else f"https://hf.co/datasets/{self.repo}"


@dataclass(frozen=True)
class NamedSet:
    """A public set, or the part of one that a name stands for.

    Attributes:
        kinds: the kinds it may be used as, its own first.
        size: how many items its makers published; None where nobody says.
        split: which of its makers' splits it is from: "test", say, or "all" where they made none.
        keep: the rows that count: for a column, the values it may have (in lower case).
        local: names of other files with all of the set, looked for in the folder $CLAMPDOWN_SETS.
        ready: the same, but holding the rows that count and no others, so that `keep` is not asked for.
        blank: whether rows without a text are left out, rather than wrong.
    """

    name: str
    family: str
    kinds: tuple[str, ...]
    size: int | None
    split: str
    about: str
    paper: str
    licence: str
    origin: Origin
    columns: Columns
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    blank: bool = False
