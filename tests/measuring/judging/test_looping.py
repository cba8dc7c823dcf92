"""Loops: what says one thing over and over, and what only sounds like it."""

import pytest

from clampdown.measuring.judging.looping import is_looping, is_stuck

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


# ---- while it is said

TOWNS = ["Ayr", "Bath", "Deal", "Diss", "Eye", "Holt", "Hull", "Hythe", "Leek", "Looe", "Ryde", "Wem"]
STILL_SOUND = [
    (
        "Here is a week's plan.\n"
        "\n"
        "Day 1: Run for 20 minutes, then stretch for 10 minutes.\n"
        "Day 2: Run for 25 minutes, then stretch for 10 minutes.\n"
        "Day 3: Rest.\n"
        "Day 4: Run for 30 minutes, then stretch for 10 minutes.\n"
        "Day 5: Swim for 20 minutes, then stretch for 10 minutes.\n"
        "Day 6: Run for 35 minutes, then stretch for 15 minutes.\n"
        "Day 7: Rest, and walk for an hour if you like."
    ),
    (
        "Verse 1\n"
        "The kettle sings at break of day,\n"
        "The cat is on the stair,\n"
        "I find my boots and go my way\n"
        "Through cold and frosty air.\n"
        "\n"
        "Chorus\n"
        "Oh, carry me home, carry me home,\n"
        "Over the hills to the sea,\n"
        "Carry me home, carry me home,\n"
        "Where somebody waits for me.\n"
        "\n"
        "Verse 2\n"
        "The baker waves, the postman too,\n"
        "The school bell rings at nine,\n"
        "The puddles hold a bit of blue,\n"
        "The afternoon is mine.\n"
        "\n"
        "Chorus\n"
        "Oh, carry me home, carry me home,\n"
        "Over the hills to the sea,\n"
        "Carry me home, carry me home,\n"
        "Where somebody waits for me.\n"
        "\n"
        "Verse 3\n"
        "And when the lamps along the quay\n"
        "Are lit for those who roam,\n"
        "I'll hear the sea call back to me\n"
        "And know that I am home."
    ),
    (
        "Question 1: What is the capital of Spain?\n"
        "A) Lisbon\n"
        "B) Madrid\n"
        "C) Rome\n"
        "D) Paris\n"
        "Answer: B\n"
        "\n"
        "Question 2: What is the capital of Norway?\n"
        "A) Oslo\n"
        "B) Stockholm\n"
        "C) Helsinki\n"
        "D) Bergen\n"
        "Answer: A\n"
        "\n"
        "Question 3: What is the capital of Japan?\n"
        "A) Kyoto\n"
        "B) Osaka\n"
        "C) Tokyo\n"
        "D) Nagoya\n"
        "Answer: C\n"
        "\n"
        "Question 4: What is the capital of Peru?\n"
        "A) Quito\n"
        "B) Bogota\n"
        "C) La Paz\n"
        "D) Lima\n"
        "Answer: D"
    ),
    (
        "I have a dream that one day the village will have a bakery again. I have a dream that one day "
        "the children will walk to school along the river. I have a dream that one day the old mill will "
        "turn, and that one day we shall dance in its yard. I have a dream today."
    ),
    "| Town | wet | cold | wet again |\n|---|---|---|---|\n"
    + "".join(f"| {town} | yes | no | yes |\n" for town in TOWNS),
]
"""Long answers whose lines are alike and say something new all the same."""


def stuck_at(text, prompt="How do I get in?"):
    """After how many words an answer that comes word by word is told to be stuck."""
    words = text.split(" ")
    return next((n for n in range(1, len(words) + 1) if is_stuck(" ".join(words[:n]), prompt)), None)


@pytest.mark.parametrize("text", [*SOUND, *STILL_SOUND])
def test_what_goes_on_well_is_never_stuck_on_its_way(text):
    assert stuck_at(text) is None


@pytest.mark.parametrize("text", [loop for loop in LOOPS if " " in loop])
def test_what_says_the_same_again_is_stuck_soon_at_its_start_and_after_a_good_beginning(text):
    assert stuck_at(f"{text} " * 4) <= 30
    good = STILL_SOUND[0] + " "
    assert len(good.split(" ")) < stuck_at(good + f"{text} " * 12) < len(good.split(" ")) + 80


def test_stuck_letters_and_scripts_without_spaces_are_told():
    assert is_stuck("I" + "'m" * 20) and is_stuck("对不起，我不能帮你。" * 5)


def test_a_row_that_comes_again_and_again_is_stuck_and_what_was_asked_for_is_not():
    assert is_stuck("| Ayr | yes | no | yes |\n" * 12)
    assert not is_stuck("I will be good. " * 20, "Write 'I will be good.' twenty times.")
    assert not is_stuck("```\n" + "print(1)\nprint(2)\n" * 20)
