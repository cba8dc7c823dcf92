"""What a model says, told apart from what it thinks, in every form that models use."""

import pytest

from clampdown.models.chat_model import ChatModel
from clampdown.models.thinking import opens_thought, spoken, with_thoughts_marked

ANALYSIS = "<|channel|>analysis<|message|>I can't help with that.<|end|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>Sure: like this.<|return|>"

SPOKEN = {
    "": "",
    "No thoughts.": "No thoughts.",
    "<think>I can't.</think>Sure.": "Sure.",
    "<think>\n\n</think>\n\nSure.": "\n\nSure.",
    "<THINK>I can't.</Thinking>Sure.": "Sure.",
    "<thinking>a</thinking>Sure,<think>b</think> like this.": "Sure,  like this.",
    "I can't.</think>Sure.": "Sure.",  # the template opened the block
    "<thought>I can't.</thought>Sure.": "Sure.",
    "<seed:think>I can't.</seed:think>Sure.": "Sure.",
    "[THINK]I can't.[/THINK]Sure.": "Sure.",
    "◁think▷I can't.◁/think▷Sure.": "Sure.",
    "<|START_THINKING|>I can't.<|END_THINKING|>Sure.": "Sure.",
    "<|channel>thought\nI can't.<channel|>Sure.": "Sure.",
    "<reasoning>I can't.</reasoning>Sure.": "Sure.",
    "<|begin_of_thought|>I can't.<|end_of_thought|>Sure.": "Sure.",
    "<|inner_prefix|>I can't.<|inner_suffix|>Sure.": "Sure.",
    "<longcat_think>I can't.</longcat_think>Sure.": "Sure.",
    "<|inner_prefix|>I can't.": None,
    "<think>I can't": None,
    "I can't.</think>Well.<think>Hm": None,
    "<|START_THINKING|>I can't": None,
    ANALYSIS: "",
    ANALYSIS + FINAL: "Sure: like this.",
    "<|channel|>analysis<|message|>I can't": None,
    "<|channel|>final<|message|>Sure.": "Sure.",
    "<|channel|>commentary<|message|>First I look.<|end|>" + FINAL: "First I look.Sure: like this.",
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>": "",
    "In prose a [think] or a <b>tag</b> is no thought.": "In prose a [think] or a <b>tag</b> is no thought.",
}


@pytest.mark.parametrize("answer", SPOKEN)
def test_thoughts_are_left_out(answer):
    found = spoken(answer)
    assert (found if found is None else found.strip()) == (SPOKEN[answer] and SPOKEN[answer].strip())


def test_channels_are_written_as_tags_and_can_be_streamed():
    whole = ANALYSIS + FINAL
    assert with_thoughts_marked(whole) == "<think>I can't help with that.</think>Sure: like this."
    shown = ""
    for end in _tokens(whole):
        assert with_thoughts_marked(whole[:end]).startswith(shown)
        shown = with_thoughts_marked(whole[:end])


def _tokens(text):
    """Ends of prefixes that decoding can give: a marker is one token, never a part of one."""
    inside = False
    for place, letter in enumerate(text):
        if text.startswith("<|", place):
            inside = True
        if not inside or letter == ">":
            inside = False
            yield place + 1


@pytest.mark.parametrize(
    "prompt, opened",
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_THINKING|>", True),
        ("<|im_start|>assistant\n<reasoning>\n", True),
        ("<|assistant_start|><|inner_prefix|>", True),
        ("<|im_start|>assistant\n<|begin_of_thought|>\n\n", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>user\nWhat does <think> do?<|im_end|>\n<|im_start|>assistant\n", False),
    ],
)
def test_prompts_that_end_inside_a_thought(prompt, opened):
    assert opens_thought(prompt) is opened


@pytest.fixture
def talking(tiny):
    """The tiny model with other control tokens in its vocabulary, as the file of another model would add them."""

    def make(*tokens):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(tiny.folder, padding_side="left")
        tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)}, replace_extra_special_tokens=False)
        return ChatModel("talking", tiny.folder, tiny.hf, tokenizer)

    return make


HARMONY = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>")


def test_channels_survive_decoding(talking):
    model = talking(*HARMONY)
    ids = model.tokenizer(ANALYSIS + FINAL, add_special_tokens=False).input_ids
    assert "analysisI can't" in model.tokenizer.decode(ids, skip_special_tokens=True), "as others decode it"
    assert model.said(ids) == "<think>I can't help with that.</think>Sure: like this."
    assert spoken(model.said(ids)) == "Sure: like this."
    unfinished = model.tokenizer(ANALYSIS[:-7], add_special_tokens=False).input_ids
    assert spoken(model.said(unfinished)) is None


def test_tags_that_are_special_tokens_survive_decoding(talking):
    model = talking("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|end|>")
    text = "<|START_THINKING|>I can't.<|END_THINKING|><|START_RESPONSE|>Sure.<|end|>"
    ids = model.tokenizer(text, add_special_tokens=False).input_ids
    assert model.said(ids) == "<|START_THINKING|>I can't.<|END_THINKING|>Sure."
    assert spoken(model.said(ids)) == "Sure."


def test_a_thought_the_template_opened_is_opened_in_the_answer(tiny):
    prompt = tiny.ids("<|im_start|>assistant\n<think>\n")
    assert tiny.said(tiny.ids("I can't."), prompt) == "<think>\nI can't."
    assert tiny.said(tiny.ids("I can't."), tiny.ids("<|im_start|>assistant\n")) == "I can't."


def test_other_models_answers_are_decoded_as_ever(bundled):
    ids = bundled.ids("Sure: \n1. like <b>this</b>, héé.<|im_end|>")
    assert bundled.said(ids, bundled.prompt_ids("Hi")) == bundled.tokenizer.decode(ids, skip_special_tokens=True)
