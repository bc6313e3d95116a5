"""Findings that share a cause, so that it is said once: the API server is down is one sentence, not thirty."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from reports.model import Finding, Severity, Status

GROUPED: frozenset[Status] = frozenset({"failed", "unverified", "not_run"})
"""Each waiver is somebody's word about one check, so what is waived is never grouped."""


@dataclass(frozen=True, slots=True)
class Block:
    """One finding, or several of one status that say the same."""

    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        return self.findings[0].status

    @property
    def reason(self) -> str | None:
        return self.findings[0].reason

    @property
    def severity(self) -> Severity:
        return "blocker" if any(finding.severity == "blocker" for finding in self.findings) else "advisory"

    @property
    def cause(self) -> str:
        """The message that all of them have, or the peer and the messages' end, where only what was asked differs."""
        peers = {_peer(question) for question, _ in self.questions}
        return ": ".join(part for part in (*peers, self._end) if part) if len(peers) == 1 else self._end

    @property
    def questions(self) -> tuple[tuple[str, tuple[Finding, ...]], ...]:
        """What was asked when the cause was met, and for which findings; "" where the message is no more than that."""
        return tuple(
            (
                message.removesuffix(self._end).removesuffix(": "),
                tuple(finding for finding in self.findings if finding.message == message),
            )
            for message in self._messages
        )

    @property
    def remedies(self) -> dict[str, list[Finding]]:
        """Each remedy once, with whose it is."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            if finding.remedy:
                found.setdefault(finding.remedy, []).append(finding)
        return found

    @property
    def _end(self) -> str:
        """What all messages end in, from one `: ` on."""
        pieces = [_pieces(message) for message in self._messages]
        common = 0
        for column in zip(*map(reversed, pieces), strict=False):
            if len(set(column)) > 1:
                break
            common += 1
        return ": ".join(pieces[0][len(pieces[0]) - common :])

    @property
    def _messages(self) -> list[str]:
        return list(dict.fromkeys(finding.message for finding in self.findings))


def blocks(findings: Iterable[Finding]) -> list[Block]:
    """Findings as blocks, in the order of their first: by message, then by what could not be reached and its remedy."""
    same: dict[Hashable, list[Finding]] = {}
    for finding in findings:
        told = finding.message if finding.status in GROUPED and finding.message else finding.id
        same.setdefault((finding.status, finding.reason, told), []).append(finding)
    merged: dict[Hashable, list[Finding]] = {}
    for key, rows in same.items():
        merged.setdefault(_shared(rows) or key, []).extend(rows)
    return [Block(tuple(rows)) for rows in merged.values()]


def _shared(rows: list[Finding]) -> tuple[str | None, str, str] | None:
    """What findings with different messages must share to have one cause: the reason, the end of what is said, and
    the one thing to do about it. None where they cannot.
    """
    first = rows[0]
    if first.status != "unverified" or not first.message or len({finding.remedy for finding in rows}) > 1:
        return None
    return (first.reason, _pieces(first.message)[-1], first.remedy)


def _pieces(message: str) -> list[str]:
    """`get pods: 10.0.0.1:6443 refuses connections`: what was asked, then what came of it. One of several lines is
    whole.
    """
    return [message] if "\n" in message else message.split(": ")


def _peer(question: str) -> str:
    """Who was asked: `Prometheus` of `Prometheus (GET http://10.0.0.1:9090/api/v1/rules)`; "" where nothing says."""
    name, opened, _ = question.rpartition(": ")[2].partition(" (")
    return name if opened else ""
