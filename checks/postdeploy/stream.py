"""The endpoint that streams, as a user of it meets it right after a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.observations.service import Streaming
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment
    from fixtures.streaming import StreamAnswer


def nothing_streams(stream_answer: Streaming) -> str | None:
    """The settings' own reason."""
    return stream_answer.none


@check(
    "POS-005",
    severity="blocker",
    applies=nothing_streams,
    remedy="""
    Watch it by hand: words must come one after the other, and the last event must be there. A proxy that buffers
    (X-Accel-Buffering, proxy_read_timeout) shows itself by words that come all at once. Then read the pods' logs of
    that moment, and undo the deployment if users are affected:

        curl -iN URL/api/chat/stream -H 'content-type: application/json' -d '{"message": "Reply with one word."}'
        kubectl logs deployment/NAME -n NAMESPACE --since=10m
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_the_stream_comes_to_its_end(stream_answer: Streaming, environment: Environment) -> None:
    """A user who streams an answer sees its first words in time, and gets all of it."""
    assert stream_answer.answer is not None
    assert _broken(stream_answer.answer, environment) == []


def _broken(stream: StreamAnswer, environment: Environment) -> list[Offender]:
    """The first thing that is wrong: what follows from it is no news."""
    bound, done = environment.postdeploy.first_text, environment.service.stream.done
    first = stream.first_text
    rows = [
        (not 200 <= stream.status < 300, "the stream endpoint fails", f"status {stream.status}", "200 to 299"),
        (not stream.events, "the answer is no stream of events", "another content type", "text/event-stream"),
        (stream.error, "the stream ends with an error", "", f"a last event with {done}"),
        (not stream.done and bool(stream.ending), "the stream breaks off", stream.ending, f"a last event with {done}"),
        (not stream.done, "the stream ends without its last event", f"{stream.pieces} events with text", f"{done}"),
        (stream.fallback, "a fallback text is streamed in place of a model's answer", "", "a model's answer"),
        (stream.blank or first is None, "the stream has nothing to read in it", f"{stream.length} characters", "words"),
        ((first or 0.0) > bound, "its first words come too late", f"{first or 0.0:.2f} s", f"at most {bound:g} s"),
    ]
    return [Offender(what, stream.url, found, wanted) for wrong, what, found, wanted in rows if wrong][:1]
