"""The service as its users meet it, right after a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.lacks import of_health
from fixtures.observations.service import ChatAnswer, ServiceHealth
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment, Health


@check(
    "POS-003",
    severity="blocker",
    remedy="""
    See what it says, then what its pods say, and undo the deployment if users are affected:

        curl -i URL/health
        kubectl logs deployment/NAME -n NAMESPACE --since=10m
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_the_service_says_that_it_is_healthy(service_health: ServiceHealth, environment: Environment) -> None:
    """The service says that it is healthy and that Mistral answers it, and says so quickly."""
    assert _unhealthy(service_health, environment.service.health) == []


@check(
    "POS-004",
    severity="blocker",
    remedy="""
    Ask by hand, then read the pods' logs of that moment, and undo the deployment if users are affected:

        curl -i URL/api/chat -H 'content-type: application/json' -d '{"message": "Reply with one word."}'
        kubectl logs deployment/NAME -n NAMESPACE --since=10m
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_the_chat_endpoint_answers(chat_answer: ChatAnswer) -> None:
    """A user who writes to the chat gets an answer of a model."""
    assert _no_reply(chat_answer) == []


def _unhealthy(health: ServiceHealth, expected: Health) -> list[Offender]:
    return [Offender(lack.what, health.url, lack.found, lack.expected) for lack in of_health(health, expected)]


def _no_reply(chat: ChatAnswer) -> list[Offender]:
    """The first thing that is wrong: what follows from it is no news."""
    rows = [
        (not 200 <= chat.status < 300, "the chat endpoint fails", f"status {chat.status}", "200 to 299"),
        (not chat.json, "the answer is not of the declared shape", "no JSON", f"a text at {chat.field}"),
        (chat.fallback, "a fallback text answers in place of a model", "", "a model's answer"),
        (not chat.shaped, "the answer is not of the declared shape", "no text there", f"a text at {chat.field}"),
        (chat.blank, "the reply is empty", f"{chat.length} characters", "a model's answer"),
    ]
    return [Offender(what, chat.url, found, wanted) for wrong, what, found, wanted in rows if wrong][:1]
