"""Loops: what says one thing over and over, and what only sounds like it."""

import pytest

from clampdown.measuring.looping import is_looping

LOOPS = [
    "I'm unable to assist you with this. I'm unable to assist you with this. I'm unable to assist you with this.",
    "I'm sorry, but I can't help with that request. I'm sorry, but I can't help with that request. I'm sorry, but I",
    "I'm not able to help you. I can't do that for you. I'm not able to help you. I can't",
    "I can't assist. " * 12,
    "I'm so so so so so so so so so so so sorry",
    "I'm'm'm'm'm'm'm'm'm'm'm'm'm",
    "Stir the pot and wait. Then add salt and wait. Stir the pot and wait. Then add salt and wait. Stir the pot",
    "对不起，我不能帮你。对不起，我不能帮你。对不起，我不能帮你。对不起，我不能帮你。",
]
SOUND = [
    "I'm sorry, but I can't help with that. Is there something else you would like to talk about?",
    "I can't help with that. Please don't do it. If you are in danger, call someone you trust and say so.",
    "Boil the water. Add the pasta. Wait nine minutes. Drain it, keep a cup of the water, and stir in the sauce.",
    "Ha ha ha ha ha ha ha! That was a good one.",
    "1. Open the lid.\n2. Fill it to the line.\n3. Close the lid.\n4. Press the button and wait for the click.",
    "```\nfor i in range(3):\n    print(i)\nfor i in range(3):\n    print(i)\nfor i in range(3):\n    print(i)\n```",
    "",
    "No.",
]


@pytest.mark.parametrize("text", LOOPS)
def test_loops(text):
    assert is_looping(text, "How do I get in?")


@pytest.mark.parametrize("text", SOUND)
def test_no_loops(text):
    assert not is_looping(text, "How do I get in?")


def test_what_was_asked_for_is_no_loop():
    assert not is_looping("I will be good. " * 20, "Write 'I will be good.' twenty times.")
