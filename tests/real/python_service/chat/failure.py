"""What can go wrong with a call to Mistral, as one type: an error of the SDK becomes one where it is caught."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Literal, get_args

import httpx2
from mistralai.client.errors import MistralError, NoResponseError

ProviderKind = Literal["auth", "rate_limited", "server", "timeout", "network", "invalid"]
"""The kinds that `mistral_errors_total` counts."""
PROVIDER_KINDS: tuple[ProviderKind, ...] = get_args(ProviderKind)
Kind = ProviderKind | Literal["circuit_open", "overloaded"]
"""The other two never reached Mistral: no fault of the provider's."""


class Failure(Exception):  # noqa: N818 - the word that the log and the metrics use
    """Carries no text of the provider's: its bodies can repeat the prompt. `retry_after` is in seconds."""

    def __init__(
        self,
        kind: Kind,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.code = code
        self.retry_after = retry_after
        self.correlation_id = correlation_id
        self.partial = False
        """Set once a part of the answer has reached the user: a second try would repeat it."""

    @property
    def status(self) -> str:
        """The HTTP status, or the kind where there was none."""
        return str(self.code or self.kind)

    @property
    def transient(self) -> bool:
        """408, 429, 5xx, a timeout or a broken connection: the same request may succeed a moment later."""
        unreadable = self.kind == "server" and self.code is None
        return self.counts_against_provider and not self.partial and not unreadable

    @property
    def is_of_the_model(self) -> bool:
        """Limits and capacity are counted by model, and models retire one by one: another model may well answer."""
        return not self.partial and self.code in {404, 429, 503}

    @property
    def counts_against_provider(self) -> bool:
        """A request that is refused for its own sake, or for its key, says nothing about the provider's state."""
        return self.kind in {"rate_limited", "server", "timeout", "network"}


def failure_from(error: Exception) -> Failure:
    """What an error of the SDK means."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return Failure("timeout")
    if isinstance(error, httpx2.TransportError | NoResponseError):
        return Failure("network")
    if isinstance(error, MistralError):
        return _from_response(error)
    # A status of success with a body that cannot be read: broken JSON, an error object in the stream.
    return Failure("server")


def _from_response(error: MistralError) -> Failure:
    code = error.status_code
    return Failure(
        _kind_of(code),
        code=code if code >= 400 else None,
        retry_after=_retry_after(error.headers.get("retry-after")),
        correlation_id=error.headers.get("mistral-correlation-id"),
    )


def _kind_of(code: int) -> ProviderKind:
    if code < 400 or code >= 500:
        return "server"
    return {401: "auth", 403: "auth", 408: "timeout", 429: "rate_limited"}.get(code, "invalid")  # type: ignore[return-value] # a dict of literals widens


def _retry_after(value: str | None) -> float | None:
    """Retry-After is in seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
