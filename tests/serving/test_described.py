"""Requests that are drawn from our own OpenAPI description, sound and unsound: the server keeps to what it says."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from served import listening, serving

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = int(os.environ.get("CLAMPDOWN_DRAWN", "60"))
"""Of each route; .ci/run asks for more."""


@pytest.fixture(scope="module")
def narrow(shelf):
    limits = {"rows": 8, "answer_tokens": 4, "prompt_tokens": 200, "n": 2, "prompts": 4, "reading": 2, "seconds": 60}
    with listening(serving(shelf, **limits)) as (url, _):
        yield url


@pytest.mark.parametrize("route", ["/v1/chat/completions", "/v1/completions", "/v1/clampdown/activations", ""])
def test_what_is_drawn_from_the_description_is_answered_or_refused(route, narrow):
    """The last: all that is asked with GET, most of which can't be unsound."""
    described = schemathesis.openapi.from_url(f"{narrow}/openapi.json")
    some = described.include(path=route) if route else described.include(method="GET")
    modes = [schemathesis.GenerationMode.POSITIVE, *([schemathesis.GenerationMode.NEGATIVE] if route else [])]
    operations = [found.ok() for found in some.get_all_operations()]
    assert operations
    for operation in operations:
        for mode in modes:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            def asked(case):
                answer = case.call(timeout=60)
                assert answer.status_code < 500, answer.text
                if answer.status_code == 400:
                    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

            asked()
