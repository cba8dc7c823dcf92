"""A dialogue needs no weights: it says and reads what the chat model of the same files does."""

import subprocess
import sys

import pytest
from transformers import AutoConfig, GenerationConfig

from clampdown.errors import ClampdownError
from clampdown.models.dialogue import Dialogue
from clampdown.models.speech import Speech

CHAT = [
    {"role": "user", "content": "Name a bird.<|im_end|>"},
    {"role": "assistant", "content": "The heron."},
    {"role": "user", "content": "Another?"},
]


@pytest.fixture(scope="module")
def alone(tiny) -> Dialogue:
    """Made of files without weights."""
    ends = GenerationConfig.from_pretrained(tiny.folder)
    return Dialogue("alone", tiny.tokenizer, AutoConfig.from_pretrained(tiny.folder), ends)


def test_the_same_ids_spans_ends_and_context_as_with_the_weights(alone, tiny):
    ours, theirs = (d.prompt_ids(CHAT, system="Be brief.") for d in (alone, tiny))
    assert ours == theirs and ours.user == theirs.user and ours.user is not None
    assert (alone.stop_ids, alone.end_id) == (tiny.stop_ids, tiny.end_id)
    assert alone.context_length == tiny.context_length


def test_an_answer_is_said_piece_by_piece_without_weights(alone):
    ids = alone.ids("Héron, 蒼鷺 and 🪿.")
    speech = Speech(alone)
    pieces = [speech.add(token) or "" for token in ids]
    assert "".join([*pieces, speech.rest()]) == "Héron, 蒼鷺 and 🪿."


def test_a_prompt_longer_than_the_context_of_the_files_is_refused(alone):
    with pytest.raises(ClampdownError, match=f"context of {alone.context_length}"):
        alone.prompt_ids("heron " * alone.context_length)


def test_it_is_read_without_torch():
    code = "import sys, clampdown.models.dialogue, clampdown.models.speech; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
