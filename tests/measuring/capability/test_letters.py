"""Reading the chosen letter from written answers, and counting letters and refusals."""

import pytest

from clampdown.engine.request import Sampling
from clampdown.measuring.capability.letters import (
    extract_letter,
    letter_answers,
    letter_counts,
    letter_prompt,
)
from clampdown.measuring.sets.sets import Item
from clampdown.recipe import Direction, Recipe

CITIES = ("London", "Paris", "New York", "York")


@pytest.mark.parametrize(
    "text, letter",
    [
        ("B", "B"),
        ("b)", "B"),
        ("(B)", "B"),
        ("**B.** Paris", "B"),
        ("B. Paris", "B"),
        ("B: Paris is the capital of France.", "B"),
        ("Option C", "C"),
        ("A", "A"),
        ("The answer is B.", "B"),
        ("The correct answer is (B) Paris.", "B"),
        ("The right option is **C**, since it is large.", "C"),
        ("Answer: D", "D"),
        ("Answer is: \\boxed{D}", "D"),
        ("\\boxed{\\text{D}}", "D"),
        ("Well, A is close, but D is the correct answer.", "D"),
        ("Option A is incorrect. Option C is correct.", "C"),
        ("I would go with B because it is the capital.", "B"),
        ("The answer is A because London is in England.", "A"),
        ("My answer: B. Wait, no. The answer is C.", "C"),
        ("B. Paris\n\nA. London is in England, C. New York is in America.", "B"),
        ("A. London\nB. Paris\nC. New York\nD. York\n\nThe answer is D.", "D"),
        ("It must be Paris.", "B"),
        ("It is New York.", "C"),
        ("It is York, in England.", "D"),
        ("Of these, only (D) fits.", "D"),
        ("It is B", "B"),
        ("I think it's C because it is large.", "C"),
        ("It’s probably D.", "D"),
        ("I'd say C.", "C"),
        ("The answer is A. Wait, actually it is C.", "C"),
        ("The answer is C. Some would say it is A.", "C"),
        ("I cannot choose between A and B, but I'd go with B.", "B"),
        ("I can't decide between A and B, but it must be Paris.", "B"),
        # thoughts
        ("<think>The answer is A? No.</think> B", "B"),
        ("Maybe the answer is A.</think>B", "B"),
        ("[THINK]The answer is A.[/THINK]B", "B"),
        ("◁think▷The answer is A.◁/think▷B", "B"),
        ("<|channel|>analysis<|message|>The answer is A.<|end|><|channel|>final<|message|>B<|return|>", "B"),
        # a refusal besides
        ("B. I'm sorry, but I can't help with that.", "B"),
        ("I can't help with that. The answer is B.", "B"),
        ("I'm sorry, but I can't help with questions about Paris.", None),
        ("I'm sorry, but I can't help you with (B).", None),
        ("A: I'm sorry, but I can't help with that.", None),
        ("I'm sorry, but I can't confirm that the answer is B.", None),
        ("I cannot choose between A", None),
        ("I cannot choose between option A and Paris.", None),
        ("If it is A, then all is well.", None),
        ("It is A good idea", None),
        # nothing to read
        ("", None),
        ("A good question, but I can't help with that.", None),
        ("I'm sorry, I can't answer that.", None),
        ("The answer is a matter of taste.", None),
        ("The answer is A matter of taste", None),
        ("A. London\nB. Paris\nC. New York\nD. York", None),
        ("It is London or Paris.", None),
        ("Either (A) or (B).", None),
        ("<think>The answer is A", None),
        ("E", None),
    ],
)
def test_the_letter_of_a_written_answer(text, letter):
    assert extract_letter(text, CITIES) == (None if letter is None else "ABCD".index(letter))


def test_words_that_the_question_asked_for_are_no_refusal():
    told, choices = "I cannot help you, the clerk of Paris.", ("Paris", "Rome")
    assert extract_letter(told, choices) is None
    assert extract_letter(told, choices, "Paraphrase: it is beyond me to help you. Who says so?") == 0


def test_no_more_letters_than_choices():
    assert extract_letter("C", ("yes", "no")) is None
    assert extract_letter("J", tuple("abcdefghij")) == 9


def test_counts_tell_a_drift_to_one_letter():
    assert letter_counts([2, 2, 2, None, 0], 4) == {"A": 1, "B": 0, "C": 3, "D": 0, "none": 1}


def test_a_prompt_shows_every_choice_with_its_letter():
    text = letter_prompt(Item("1", "Which is the capital of France?", "", "1", CITIES, 1))
    assert text.startswith("Which is the capital of France?\n\nA. London\nB. Paris\n")


def test_answers_are_generated_read_judged_and_receipted(tiny):
    items = [Item(str(n), f"Which city has {n} rivers?", "", str(n), CITIES, 1) for n in range(3)]
    recipe = Recipe("r", "tiny", "", (Direction(1, 20.0, seed=1),), system_prompt="Be brief.")
    answers = letter_answers(tiny, items, [recipe, None, recipe], Sampling(4))
    assert [bool(a.receipt.tokens_edited) for a in answers] == [True, False, True]
    assert [a.chosen for a in answers] == [extract_letter(a.text, CITIES) for a in answers]
    assert all(a.label for a in answers)
