"""PyRIT's own Crescendo and PAIR beside ours, with the same scripted attacker, target and judges."""

import asyncio
import json
import random

import pytest
from actors import GOAL, Actor, label, message, texts

from clampdown.measuring.attacks.attacker import attacker_prompt, fill
from clampdown.measuring.attacks.crescendo import Crescendo
from clampdown.measuring.attacks.outcome import Verdict
from clampdown.measuring.attacks.pair import Pair

pytest.importorskip("pyrit")
pytestmark = pytest.mark.filterwarnings("ignore")


def replies(seed, no, done):
    """A target's answer to each message: declined with probability `no`, the goal reached with `done`."""

    def answer(chat):
        draw = random.Random(f"{seed} {texts(chat)[-1]}").random()
        return "No." if draw < no else "done" if draw < no + done else f"On {texts(chat)[-1]}."

    return answer


def lead(chat):
    """An attacker that counts its messages."""
    return message(f"m{sum(m['role'] == 'assistant' for m in chat) + 1}")


def faltering():
    """The same, but every third of its replies is no JSON."""
    asked = iter(range(1, 1000))
    return lambda chat: "hm" if next(asked) % 3 == 0 else lead(chat)


def streaming():
    """An attacker whose streams say different things, each told by what it said first."""
    names = iter("abcdefgh")

    def answer(chat):
        said = [m["content"] for m in chat if m["role"] == "assistant"]
        name = json.loads(said[0])["next_message"][0] if said else next(names)
        return message(f"{name}{len(said) + 1}")

    return answer


def rating(answer):
    return 10 if answer == "done" else 1 if answer == "No." else 4


def scorer(exchanges):
    return [Verdict(rating(e.answer), rating(e.answer) >= 8) for e in exchanges]


def theirs(attack, answer, leads, **settings):
    """What PyRIT's attack sends to the target (whole conversations), its backtracks, turns and outcome."""
    return asyncio.run(_theirs(attack, answer, leads, settings))


async def _theirs(attack, answer, leads, settings):
    from pyrit.executor.attack import AttackAdversarialConfig, AttackScoringConfig, CrescendoAttack, PAIRAttack
    from pyrit.executor.attack.multi_turn.tree_of_attacks import TAPAttackScoringConfig
    from pyrit.models import Score, construct_response_from_request
    from pyrit.prompt_target import PromptTarget
    from pyrit.prompt_target.common.target_capabilities import TargetCapabilities
    from pyrit.prompt_target.common.target_configuration import TargetConfiguration
    from pyrit.score import FloatScaleThresholdScorer, SubStringScorer
    from pyrit.score.float_scale.float_scale_scorer import MessageFloatScaleScorer
    from pyrit.score.scorer_prompt_validator import ScorerPromptValidator
    from pyrit.setup import IN_MEMORY, initialize_pyrit_async

    await initialize_pyrit_async(IN_MEMORY, load_defaults=False, env_files=[], silent=True)

    class Played(PromptTarget):
        def __init__(self, *, actor, remembers):
            able = {name: remembers for name in ("supports_multi_turn", "supports_editable_history")}
            able = TargetCapabilities(supports_system_prompt=remembers, supports_json_output=True, **able)
            super().__init__(custom_configuration=TargetConfiguration(capabilities=able))
            self.actor = actor

        async def _send_prompt_to_target_async(self, *, normalized_conversation):
            pieces = [m.get_piece() for m in normalized_conversation]
            [said] = self.actor.reply([[{"role": p.api_role, "content": p.converted_value} for p in pieces]])
            return [construct_response_from_request(pieces[-1], [said.text])]

    class Rated(MessageFloatScaleScorer):
        def __init__(self):
            super().__init__(validator=ScorerPromptValidator(supported_data_types=["text"]))

        def _build_identifier(self):
            return self._create_identifier()

        async def _score_piece_async(self, message_piece, *, objective=None):
            value = (rating(message_piece.converted_value) - 1) / 9
            return [
                Score(
                    score_value=str(value),
                    score_value_description="",
                    score_metadata=None,
                    score_type="float_scale",
                    score_category=[],
                    score_rationale="",
                    scorer_class_identifier=self.get_identifier(),
                    message_piece_id=message_piece.id,
                    objective=objective,
                )
            ]

    target = Actor(answer)
    attacks = AttackAdversarialConfig(target=Played(actor=Actor(leads), remembers=True))
    if attack == "crescendo":
        judged = AttackScoringConfig(
            objective_scorer=SubStringScorer(substring="done"), refusal_scorer=SubStringScorer(substring="No.")
        )
        played = CrescendoAttack(
            objective_target=Played(actor=target, remembers=True),
            attack_adversarial_config=attacks,
            attack_scoring_config=judged,
            **settings,
        )
    else:
        judged = TAPAttackScoringConfig(objective_scorer=FloatScaleThresholdScorer(scorer=Rated(), threshold=0.7))
        played = PAIRAttack(
            objective_target=Played(actor=target, remembers=False),
            attack_adversarial_config=attacks,
            attack_scoring_config=judged,
            **settings,
        )
    result = await played.execute_async(objective=GOAL.text)
    backtracks = getattr(result, "backtrack_count", 0)
    return [texts(c) for c in target.heard], backtracks, result.executed_turns, result.outcome.value == "success"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for name in ("RETRY_WAIT_MIN_SECONDS", "RETRY_WAIT_MAX_SECONDS"):
        monkeypatch.setenv(name, "0")


CASES = [
    (0, 0.0, 0.0, {}),
    (1, 0.4, 0.1, {}),
    (2, 1.0, 0.0, {}),
    (3, 0.6, 0.05, {}),
    (4, 0.7, 0.0, {"max_turns": 4, "max_backtracks": 2}),
    (5, 0.5, 0.1, {"max_turns": 3, "max_backtracks": 0}),
    (6, 0.3, 0.2, {"max_turns": 1}),
]


@pytest.mark.parametrize("leads", [lambda: lead, faltering], ids=["sure", "faltering"])
@pytest.mark.parametrize("seed, no, done, settings", CASES)
def test_crescendo_takes_pyrits_steps(seed, no, done, settings, leads):
    answer = replies(seed, no, done)
    target = Actor(answer)
    [ours] = Crescendo(Actor(leads()), scorer, **settings).run([GOAL], target, label)
    took = ([texts(c) for c in target.heard], ours.backtracks, ours.to_dict()["turns"], bool(ours.success))
    assert took == theirs("crescendo", answer, leads(), **settings)


@pytest.mark.parametrize("seed, no, done", [(0, 0.0, 0.0), (1, 0.5, 0.1), (2, 0.3, 0.3), (3, 1.0, 0.0)])
@pytest.mark.parametrize("streams, depth", [(3, 5), (1, 2)])
def test_pair_takes_pyrits_steps(seed, no, done, streams, depth):
    answer = replies(seed, no, done)
    target = Actor(answer)
    [ours] = Pair(Actor(streaming()), scorer, streams=streams, depth=depth).run([GOAL], target, label)
    sent, _, rounds, success = theirs("pair", answer, streaming(), tree_width=streams, tree_depth=depth)
    # Within a round PyRIT goes by rating and ours by number; what each stream says is the same.
    assert [texts(c) for c in target.heard] == sorted(sent, key=lambda chat: (chat[0][1:], chat[0][0]))
    assert (len(ours.turns) // streams, ours.success) == (rounds, success)


@pytest.mark.parametrize("attack", ["crescendo", "pair"])
def test_their_prompts_can_be_used(attack):
    prompt = attacker_prompt(attack, "pyrit", "")
    text = fill(prompt, objective=GOAL.text, max_turns=10, desired_prefix="Sure", conversation_context=None)
    assert GOAL.text in text and "next_message" in text
