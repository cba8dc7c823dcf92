"""The endpoint against a real server on this machine, which answers from a script."""

import json
import socket

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.endpoint.client import Completion, Endpoint, Failing, Refused, TooLong

HELLO = [{"role": "user", "content": "Hello"}]


def fast(server, **changes):
    return Endpoint("m", server.url, **({"backoff": 0.001, "timeout": 5.0} | changes))


def test_it_asks_as_openai_does_and_reads_the_answer(serve):
    server = serve([{"content": "Hi there"}])
    said = fast(server, key="secret").complete(HELLO, temperature=0.5, max_tokens=7, seed=3)
    assert said == Completion("Hi there", True)
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.body == {"model": "m", "messages": HELLO, "max_tokens": 7, "temperature": 0.5, "seed": 3}


def test_what_is_none_is_left_to_the_server_and_no_key_is_no_header(serve):
    server = serve([{"content": "ok"}])
    assert fast(server).chat(HELLO, temperature=None) == "ok"
    assert not {"temperature", "seed"} & set(server.requests[0].body)
    assert "Authorization" not in server.requests[0].headers


def test_an_answer_cut_at_the_limit_says_so_and_a_refusal_field_is_text(serve):
    server = serve(
        [{"content": "half", "finish": "length"}, {"content": None, "refusal": "I can't."}, {"content": None}]
    )
    endpoint = fast(server)
    assert endpoint.complete(HELLO) == Completion("half", False)
    assert endpoint.chat(HELLO) == "I can't."
    assert endpoint.chat(HELLO) == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status, serve):
    server = serve([{"status": status}, {"status": status, "retry_after": "0.001"}, {"content": "at last"}])
    assert fast(server).chat(HELLO) == "at last"
    assert len(server.requests) == 3


def test_a_connection_that_breaks_or_stays_silent_is_tried_again(serve):
    server = serve([{"hang_up": True}, {"wait": 1.0, "content": "late"}, {"content": "in time"}])
    assert fast(server, timeout=0.3).chat(HELLO) == "in time"


def test_it_gives_up_in_one_line(serve, one_line):
    server = serve(lambda _: {"status": 429, "error": "slow\ndown"})
    with pytest.raises(ClampdownError) as caught:
        fast(server, retries=2).chat(HELLO)
    one_line(caught, "3 times", "429", "slow down", server.url)
    assert len(server.requests) == 3


def test_a_refused_request_is_not_tried_again_and_says_why(serve, one_line):
    server = serve([{"status": 401, "error": "no such key"}, {"status": 404, "error": "no model m"}])
    for words in (("401", "no such key", "OPENAI_API_KEY"), ("404", "no model m")):
        with pytest.raises(ClampdownError) as caught:
            fast(server, key="secret").chat(HELLO)
        one_line(caught, *words)
        assert "secret" not in str(caught.value)
    assert len(server.requests) == 2


def test_a_chat_longer_than_the_context_is_told_apart(serve):
    server = serve([{"status": 400, "error": "This model's maximum context length is 64 tokens"}])
    with pytest.raises(TooLong):
        fast(server).chat(HELLO)


def test_the_key_is_not_carried_along_a_redirect(serve, one_line):
    server = serve([{"status": 302, "location": "http://elsewhere.invalid/v1"}])
    with pytest.raises(ClampdownError) as caught:
        fast(server, key="secret").chat(HELLO)
    one_line(caught, "elsewhere.invalid")


@pytest.mark.parametrize("raw", ["<html>", "{}", '{"choices": []}', '{"choices": [{"message": {"content": [1]}}]}', ""])
def test_what_is_no_completion_is_one_line(raw, serve, one_line):
    with pytest.raises(ClampdownError) as caught:
        fast(serve([{"raw": raw}])).chat(HELLO)
    one_line(caught, "no chat completion")


def test_nobody_there_is_one_line_at_once(one_line):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ClampdownError) as caught:
        Endpoint("m", url, backoff=60).chat(HELLO)
    one_line(caught, url, "running")


def test_a_name_says_model_and_url(monkeypatch, one_line):
    monkeypatch.setenv("OPENAI_API_KEY", " sesame ")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    found = Endpoint.parse("openai:org/name@v2@http://localhost:8000/v1/")
    assert (found.model, found.url, found.key) == ("org/name@v2", "http://localhost:8000/v1", "sesame")
    assert "sesame" not in repr(found) + str(found)
    assert Endpoint.parse("openai:gpt").url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here:1/v1")
    assert Endpoint.parse("openai:gpt").url == "http://here:1/v1"
    for wrong in ("gpt", "openai:", "openai:gpt@ftp://x", "openai:gpt@http://me:pass@host/v1"):
        with pytest.raises(ClampdownError) as caught:
            Endpoint.parse(wrong)
        one_line(caught)
    monkeypatch.setenv("OPENAI_API_KEY", "two words")
    with pytest.raises(ClampdownError) as caught:
        Endpoint.parse("openai:gpt")
    one_line(caught, "OPENAI_API_KEY")
    assert "two words" not in str(caught.value)


def test_openais_own_gets_the_name_it_asks_for(monkeypatch):
    sent = {}

    def post(self, body):
        sent.update(body)
        return json.dumps({"choices": [{"message": {"content": "ok"}}]}).encode()

    monkeypatch.setattr(Endpoint, "_post", post)
    Endpoint("m").chat(HELLO, max_tokens=9)
    assert sent["max_completion_tokens"] == 9 and "max_tokens" not in sent


def refusal(message, **more):
    return {"status": more.pop("status", 400), "raw": json.dumps({"error": {"message": message, **more}})}


UNTAKEN = {
    "temperature": [
        refusal("Unsupported value: 'temperature' does not support 0.0 with this model.", param="temperature"),
        refusal("m doesn't support temperature=0.0. Only temperature=1 is supported."),
        refusal("Input validation error: `temperature` must be strictly positive", status=422),
        {
            "status": 422,
            "raw": json.dumps({"detail": [{"loc": ["body", "temperature"], "msg": "Input should be 1"}]}),
        },
        {"status": 200, "raw": '{"error": {"message": "temperature is not supported by this model", "code": 400}}'},
        refusal("`temperature` may only be set to 1 while thinking is on."),
        refusal("temperature has to be 1"),
        refusal("m requires temperature to be left at its default"),
    ],
    "max_tokens": [
        refusal("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param="max_tokens"),
        refusal("Unrecognized request argument supplied: max_tokens"),
        refusal("Please use `max_completion_tokens` instead of `max_tokens`."),
        refusal("m requires 'max_completion_tokens'.", status=422),
        refusal("max_tokens was replaced by max_completion_tokens, and is refused: unsupported"),
    ],
    "seed": [
        {
            "status": 422,
            "raw": json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
        },
        {"status": 400, "raw": '[{"error": {"message": "Unknown name \\"seed\\": Cannot find field."}}]'},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name, answer", [(name, one) for name, some in UNTAKEN.items() for one in some])
def test_a_setting_that_a_model_does_not_take_is_done_without_from_then_on(name, answer, serve):
    server = serve(lambda body: answer if name in body else {"content": "ok"})
    endpoint = fast(server)
    assert [endpoint.chat(HELLO, max_tokens=7, seed=3) for _ in range(3)] == ["ok"] * 3
    assert len(server.requests) == 4, "it is told once"
    limit = "max_completion_tokens" if name == "max_tokens" else "max_tokens"
    want = {"model": "m", "messages": HELLO, limit: 7, "temperature": 0.0, "seed": 3}
    assert server.requests[-1].body == {key: value for key, value in want.items() if key != name}
    assert endpoint.taken.remarks() == (
        ["takes no temperature of ours: its own was used"] if name == "temperature" else []
    )


def test_a_model_that_takes_none_of_them_still_answers(serve):
    def reply(body):
        extra = next((key for key in body if key not in ("model", "messages")), None)
        return refusal(f"Unsupported parameter: '{extra}'", param=extra) if extra else {"content": "ok"}

    server = serve(reply)
    assert fast(server).chat(HELLO, seed=1) == "ok"
    assert set(server.requests[-1].body) == {"model", "messages"}


def test_a_setting_refused_though_it_was_not_sent_is_one_line(serve, one_line):
    server = serve(lambda _: refusal("Unsupported parameter: 'seed'", param="seed"))
    with pytest.raises(ClampdownError) as caught:
        fast(server).chat(HELLO)
    one_line(caught, "seed")
    assert len(server.requests) == 1


def test_what_the_user_chose_is_sent_and_never_dropped(serve, one_line):
    server = serve(lambda body: refusal("'temperature' does not support it. Only the default is supported.")
                   if body.get("temperature", 1) != 1 else {"content": "ok"})  # fmt: skip
    one = Endpoint.parse(f"openai:m@{server.url}?temperature=1&max_tokens=4000")
    assert one.chat(HELLO, temperature=0.0, max_tokens=9) == "ok"
    assert server.requests[0].body == {"model": "m", "messages": HELLO, "max_tokens": 4000, "temperature": 1.0}
    with pytest.raises(ClampdownError) as caught:
        Endpoint.parse(f"openai:m@{server.url}?temperature=0.5").chat(HELLO)
    one_line(caught, "temperature")
    assert len(server.requests) == 2


def test_a_name_may_carry_settings(monkeypatch, one_line):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    one = Endpoint.parse("openai:what?@http://here:1/v1?max_tokens=12")
    assert (one.model, one.url, one.max_tokens, one.temperature) == ("what?", "http://here:1/v1", 12, None)
    assert Endpoint.parse("openai:gpt?temperature=0.7").temperature == 0.7
    for wrong in ("api_key=sesame", "temperature=hot", "temperature=3", "max_tokens=0", "max_tokens=1.5", "sesame"):
        with pytest.raises(ClampdownError) as caught:
            Endpoint.parse(f"openai:gpt@http://here:1/v1?{wrong}")
        one_line(caught)
        assert "=sesame" not in str(caught.value)


FILTERS = [
    refusal("The response was filtered due to the prompt triggering a policy.", code="content_filter", param="prompt"),
    refusal("Invalid prompt: it was flagged as potentially violating our usage policy.", code="invalid_prompt"),
    refusal("Input data may contain inappropriate content.", code="data_inspection_failed"),
    refusal("m requires moderation. Your input was flagged for violence.", status=403, code=403),
    refusal("bad request", innererror={"code": "ResponsibleAIPolicyViolation"}),
    {"raw": '{"choices": [{"index": 0, "finish_reason": "content_filter"}]}'},
    {"content": "", "finish": "content_filter: PROHIBITED_CONTENT"},
    {"raw": '{"error": {"code": 403, "message": "Your input was flagged by moderation"}}'},
    {"raw": '{"object": "chat.completion", "choices": [], "promptFeedback": {"blockReason": "SAFETY"}}'},
    {"raw": '{"object": "chat.completion", "choices": null, "prompt_filter_results": [{"hate": {"filtered": true}}]}'},
]  # fmt: skip


@pytest.mark.parametrize("answer", FILTERS)
def test_a_content_filter_is_no_failure_and_no_answer(answer, serve):
    server = serve(lambda _: answer)
    assert fast(server).complete(HELLO) == Completion("", True, "content filter")
    assert len(server.requests) == 1


@pytest.mark.parametrize("message, want", [
    ({"content": [{"type": "thinking", "thinking": "Hm."}, *({"type": "text", "text": c} for c in "ab")]}, ("ab", "")),
    ({"content": [{"type": "refusal", "refusal": "No."}]}, ("No.", "declined by the model")),
    ({"content": None, "refusal": "I can't."}, ("I can't.", "declined by the model")),
    ({"content": None, "reasoning_content": "Let me think."}, ("", "only reasoning")),
    ({"content": "", "reasoning": "Let me think."}, ("", "only reasoning")),
    ({"content": "said", "reasoning_content": "Let me think."}, ("said", "")),
    ({"content": [{"type": "thinking", "thinking": "Let me think."}]}, ("", "only reasoning")),
    (None, ("", "")),
])  # fmt: skip
def test_what_is_said_and_what_came_in_its_place(message, want, serve):
    server = serve([{"raw": json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})}])
    said = fast(server).complete(HELLO)
    assert (said.text, said.why) == want and said.finished


def test_a_completion_without_choices_is_an_empty_answer(serve):
    server = serve([{"raw": '{"id": "1", "object": "chat.completion", "choices": []}'}])
    assert fast(server).complete(HELLO) == Completion("", True)


def test_a_limit_that_ran_out_before_a_word_is_an_answer_cut_off(serve):
    server = serve([refusal("Could not finish the message because max_tokens or model output limit was reached.")])
    assert fast(server).complete(HELLO) == Completion("", False)


@pytest.mark.parametrize("said, kind", [
    ("max_tokens is too large: 1024. This model supports at most 512 completion tokens", ClampdownError),
    ("'max_tokens' is too large: 9. This model's context is 8 tokens and your request has 7 input tokens", TooLong),
    ("the request exceeds the available context size", TooLong),
    ("something odd about this one", Refused),
])  # fmt: skip
def test_what_another_conversation_would_change_is_told_from_what_it_would_not(said, kind, serve, one_line):
    with pytest.raises(ClampdownError) as caught:
        fast(serve([refusal(said)])).chat(HELLO)
    assert type(caught.value) is kind
    one_line(caught, said[:30])


def test_a_streamed_answer_is_read_whole(serve):
    def chunk(**delta):
        return f"data: {json.dumps({'choices': [{'delta': delta, 'finish_reason': None}]})}\n\n"

    end = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    thought = chunk(role="assistant", reasoning_content="Hm")
    whole = thought + chunk(content="Hi ") + ": ping\n\n" + chunk(content="there") + end
    broken = chunk(content="Hi th")
    troubled = chunk(content="Hi") + 'data: {"error": {"code": 503, "message": "busy"}}\n\n'
    server = serve([{"raw": whole}, {"raw": broken}, {"raw": troubled}, {"raw": whole}])
    endpoint = fast(server)
    assert endpoint.complete(HELLO) == Completion("Hi there", True)
    assert endpoint.complete(HELLO) == Completion("Hi there", True), "asked again after what broke off"
    assert len(server.requests) == 4


def test_only_line_ends_end_a_line_of_a_stream(serve):
    said = "one\u2028two\x85three\x0cfour"
    event = {"choices": [{"delta": {"content": said}, "finish_reason": "stop"}]}
    server = serve([{"raw": f"data: {json.dumps(event, ensure_ascii=False)}\r\n\r\ndata: [DONE]\r\n\r\n"}])
    assert fast(server).complete(HELLO) == Completion(said, True)


@pytest.mark.parametrize("odd", [
    {"raw": "<html><title>Just a moment</title></html>"},
    {"raw": '{"choices": [{"mess'},
    {"short": True, "content": "Hi"},
    {"raw": '{"error": {"code": 502, "message": "upstream"}}'},
    {"raw": '{"choices": [{"error": {"code": 502, "message": "upstream"}, "message": {"content": ""}}]}'},
    {"status": 502, "raw": "<html><head><title>502 Bad Gateway</title></head><body>...</body></html>"},
    {"status": 529, "error": "overloaded"},
])  # fmt: skip
def test_a_hiccup_half_way_is_tried_again(odd, serve):
    server = serve([{"content": "one"}, odd, {"content": "two"}])
    endpoint = fast(server)
    assert [endpoint.chat(HELLO), endpoint.chat(HELLO)] == ["one", "two"]


def test_what_fails_for_ever_after_others_were_answered_is_that_conversations(serve, one_line):
    server = serve(lambda body: {"content": "ok"} if body["messages"] == HELLO
                   else {"status": 502, "raw": "<html><title>502 Bad Gateway</title></html>"})  # fmt: skip
    endpoint = fast(server, retries=1)
    assert endpoint.chat(HELLO) == "ok"
    with pytest.raises(Failing) as caught:
        endpoint.chat([{"role": "user", "content": "poison"}])
    one_line(caught, "2 times", "502 Bad Gateway")


def test_an_empty_purse_is_not_waited_for(serve, one_line):
    server = serve(lambda _: refusal("You exceeded your current quota.", status=429, code="insufficient_quota"))
    with pytest.raises(ClampdownError) as caught:
        fast(server, backoff=60).chat(HELLO)
    one_line(caught, "quota")
    assert len(server.requests) == 1


def test_a_date_to_retry_after_is_read(serve, monkeypatch):
    waits = []
    monkeypatch.setattr("clampdown.measuring.endpoint.client.time.sleep", waits.append)
    busy = {"status": 429, "error": "slow down"}
    dates = ("Fri, 31 Dec 2100 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", "soon")
    server = serve([*(busy | {"retry_after": date} for date in dates), {"content": "ok"}])
    assert fast(server, backoff=1.0).chat(HELLO) == "ok"
    assert [seconds for seconds in waits if seconds] == [60.0, 2.0, 4.0]  # the server sleeps for 0


def test_a_reply_without_end_is_left(serve, one_line, monkeypatch):
    monkeypatch.setattr("clampdown.measuring.endpoint.http._LARGEST", 1 << 16)
    server = serve(lambda _: {"content": "word " * 50_000})
    with pytest.raises(Refused) as caught:
        fast(server).chat(HELLO)
    one_line(caught, "without end")
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [
    {"status": 401, "error": "Incorrect API key provided: sesame-1234"},
    {"status": 400, "error": "header Bearer sesame-1234 is odd"},
    {"status": 302, "location": "http://elsewhere.invalid/?key=sesame-1234"},
    {"status": 500, "error": "failed with sesame-1234"},
])  # fmt: skip
def test_a_key_that_the_server_repeats_is_not_shown(answer, serve, one_line):
    with pytest.raises(ClampdownError) as caught:
        fast(serve(lambda _: answer), key="sesame-1234", retries=0).chat(HELLO)
    one_line(caught)
    assert "sesame" not in str(caught.value)


def test_foreign_words_print_literally(serve):
    with pytest.raises(ClampdownError) as caught:
        fast(serve([{"status": 404, "error": "\x1b[31mred\x07"}])).chat(HELLO)
    assert "red" in str(caught.value) and str(caught.value).isprintable()
