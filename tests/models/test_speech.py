"""An answer said piece by piece: the same pieces as decoding it all again at every token, at a bounded cost."""

import random

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from clampdown.models.chat_model import ChatModel
from clampdown.models.speech import Speech

TEXT = "Well — “déjà vu”: 🌊🏄‍♀️ 漢字, 𝔘 and\n\n  two  spaces\tand é.\u200d🙂 Naïve façade?\ufffd ok "


def plainly(model, ids, prompt=()):
    """Every piece, by decoding everything at every token; None while a character is half."""
    shown = ""
    for n in range(1, len(ids) + 1):
        text = model.said(ids[:n], prompt)
        if text.endswith("\ufffd"):
            yield None
        else:
            yield text[len(shown) :]
            shown = text
    yield model.said(ids, prompt)[len(shown) :]


def piece_by_piece(model, ids, prompt=()):
    speech = Speech(model, prompt)
    return [*(speech.add(token) for token in ids), speech.rest()]


def like_sentencepiece(tiny, fallback=True):
    """A tokenizer that marks words by ▁, drops the first one's space, and spells what it lacks in bytes."""
    words = ["▁", "▁we", "▁are", "s", "▁▁", "a", "▁,", ".", "ll"]
    vocabulary = [f"<0x{n:02X}>" for n in range(256)] + words + ["<s>", "</s>", "<unk>"]
    core = Tokenizer(models.BPE({t: n for n, t in enumerate(vocabulary)}, [], unk_token="<unk>", byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    return ChatModel("like", tiny.folder, tiny.hf, fast), len(words)


def test_the_pieces_are_those_of_decoding_all_again(tiny):
    random_ids = random.Random(0)
    end = tiny.tokenizer.eos_token_id
    cases = [tiny.ids(TEXT), [*tiny.ids("Yes."), end], [], [end], [end, *tiny.ids(" so"), end, *tiny.ids("🌊")]]
    cases += [random_ids.choices(range(len(tiny.tokenizer)), k=60) for _ in range(20)]
    halves = [i for i in range(2000) if "\ufffd" in tiny.tokenizer.decode([i])]
    cases += [random_ids.choices([*halves, end, *tiny.ids(" a b")], k=60) for _ in range(20)]
    for ids in cases:
        assert piece_by_piece(tiny, ids) == list(plainly(tiny, ids)), ids
        assert "".join(filter(None, piece_by_piece(tiny, ids))) == tiny.said(ids)


def test_and_where_words_carry_their_space(tiny):
    model, words = like_sentencepiece(tiny)
    draw = random.Random(1)
    cases = [[256, 257], [256, 256, 257], [257, 256, 257, 265, 258], [265, 257], [265, 256, 265, 257, 266]]
    cases += [draw.choices(range(256, 256 + words + 2), k=40) for _ in range(30)]
    for text in ("🌊é漢", "é"):  # in bytes, between words
        cases.append([257, *text.encode(), 258, *text.encode(), 266])
    for ids in cases:
        assert piece_by_piece(model, ids) == list(plainly(model, ids)), ids
        assert "".join(filter(None, piece_by_piece(model, ids))) == model.said(ids)


def test_thoughts_are_marked_as_ever(tiny, monkeypatch):
    marks = {"<|im_start|>": "<|channel|>", "<|im_end|>": "<|end|>"}  # two special tokens play harmony's part
    decode = tiny.tokenizer.decode

    def renamed(ids, **how):
        text = decode(ids, **how)
        for one, other in marks.items():
            text = text.replace(one, other)
        return text

    special = frozenset(tiny.tokenizer.convert_tokens_to_ids(list(marks)))
    monkeypatch.setitem(tiny.__dict__, "_thought_marks", special)
    monkeypatch.setattr(tiny.tokenizer, "decode", renamed)
    start, end = (tiny.tokenizer.convert_tokens_to_ids(name) for name in marks)
    ids = [start, *tiny.ids("analysis<|message|>let me 🌊 see"), end, start, *tiny.ids("final<|message|>Yes — é."), end]
    pieces = piece_by_piece(tiny, ids)
    assert pieces == list(plainly(tiny, ids))
    assert "<think>" in "".join(filter(None, pieces)) and "Yes" in "".join(filter(None, pieces))
    prompt = tiny.ids("Think first: <think>\n")
    assert "".join(filter(None, piece_by_piece(tiny, ids, prompt))) == tiny.said(ids, prompt)


@pytest.mark.parametrize("kind", ["words", "half", "unsaid"])
def test_a_token_costs_the_same_early_and_late(kind, tiny, monkeypatch):
    half = next(i for i in range(2000) if tiny.tokenizer.decode([i]) == "\ufffd")
    ids = {"words": tiny.ids(" so it goes") * 100, "half": [half] * 300, "unsaid": [tiny.tokenizer.eos_token_id] * 300}
    decoded, decode = [0], tiny.tokenizer.decode

    def counting(ids, **how):
        decoded[-1] += len(ids)
        return decode(ids, **how)

    speech = Speech(tiny)
    monkeypatch.setattr(tiny.tokenizer, "decode", counting)
    for token in ids[kind]:
        decoded.append(0)
        speech.add(token)
    assert max(decoded) <= 30
