"""Does Mistral answer us?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.triage.calls import Call
    from fixtures.triage.mistral import MistralReply

FINE = ("ok", "reachable")
WHAT = {
    "slow": "Mistral answers too slowly",
    "unauthorized": "Mistral rejects the key",
    "unpaid": "payment is asked for",
    "forbidden": "the key may not do this",
    "barred": "somebody forbids the call, and does not sign as Mistral",
    "retired": "Mistral has no such model in use",
    "missing": "Mistral knows no such path or model",
    "rejected": "Mistral rejects the call as invalid",
    "rate": "Mistral limits our rate",
    "rate-requests": "Mistral limits our requests a minute",
    "rate-tokens": "Mistral limits our tokens a minute",
    "never": "the limit for this model is nought",
    "capacity": "Mistral has no capacity left for this model",
    "error": "Mistral answers with an error",
    "gave-up": "a gateway gave up waiting for Mistral",
    "page": "something in between answers in place of Mistral",
    "name": "Mistral's name does not resolve",
    "route": "no way leads out to Mistral",
    "refused": "Mistral's address refuses the connection",
    "connect": "no connection to Mistral comes about",
    "proxy": "the proxy does not let us through to Mistral",
    "tls": "the TLS handshake with Mistral fails",
    "broken": "the connection ends without an answer",
    "silent": "Mistral takes the call and does not answer",
    "strange": "what answers is not the Mistral API",
}


@check(
    "TRI-001",
    severity="blocker",
    remedy="""
    See what it says to you by hand, and whether others see it too (https://status.mistral.ai):

        curl -sS -i -m 10 -H "Authorization: Bearer $MISTRAL_API_KEY" https://api.mistral.ai/v1/models | head -20
    """,
)
def test_mistral_answers_us(mistral_reply: MistralReply) -> None:
    """Mistral answers a call with our key and our model, and does so quickly."""
    assert unanswered(mistral_reply) == []


def unanswered(reply: MistralReply) -> list[Offender]:
    """What is wrong with either call. Raises `CannotObserve` where that cannot be told."""
    calls = [call for call in (reply.chat, reply.models) if call is not None]
    wrong = [_offender(call) for call in calls if call.tells and call.kind not in FINE]
    if not wrong:
        _all_asked(reply, calls)
    return wrong


def _offender(call: Call) -> Offender:
    return Offender(WHAT[call.kind], call.asked, call.message, "an answer")


def _all_asked(reply: MistralReply, calls: list[Call]) -> None:
    for call in calls:
        call.require()
    for row in reply.unasked:
        reached = f" (without the key {reply.host} answers)" if reply.models.kind in FINE else ""
        raise CannotObserve(row.reason, f"{row.message}{reached}", remedy=row.remedy)  # type: ignore[arg-type] # one of ours
