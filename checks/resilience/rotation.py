"""A key that changes while messages come in."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.drills.evidence import Rotation
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check


@check(
    "RES-012",
    severity="advisory",
    remedy="""
    Read the key where it is kept, for each call or every few seconds, and give the client a function, not a value:

        import { readFile } from "node:fs/promises"
        const file = process.env.MISTRAL_API_KEY_FILE
        const mistral = new Mistral({ apiKey: async () => (await readFile(file, "utf8")).trim() })

    Mount the Secret as a volume: a variable keeps its first value until the pod ends. Kubernetes brings a new value to
    the volume within about a minute, so keep the old key that long before you revoke it, and say so:

        [resilience]
        key_file_variable = "MISTRAL_API_KEY_FILE"
        rotation_window = 90.0
    """,
)
def test_a_rotated_key_is_taken_up(rotation: Rotation) -> None:
    """When the key is changed messages go on being answered, and the old one can be revoked after the declared time."""
    assert list(_lost(rotation)) == []


def _lost(rotation: Rotation) -> Iterator[Offender]:
    drill, window = rotation.drill.told(), rotation.budgets.rotation_window
    over = rotation.handed_out + window
    later = [call for call in drill.calls if call.at > over]
    if drill.ended:
        yield Offender("the service ends", "after the rotation", drill.ended, "that it takes up the new key")
    elif not any(call.at > rotation.revoked for call in later):
        raise CannotObserve("no_data", "no message came after the old key's end", remedy="Inject the faults again.")
    elif failed := [call for call in later if call.outcome != "answered"]:
        yield Offender(
            "messages fail after the key was changed",
            f"{window:g} s and more after it",
            f"{len(failed)} of {len(later)} ({failed[0].detail}), with {_keys(rotation, over)}",
            "each answered, with the new key",
        )


def _keys(rotation: Rotation, over: float) -> str:
    """Which keys the provider was asked with since."""
    words = {"current": "the new key", "previous": "the old key", "other": "another key", "none": "no key"}
    since = [asked for asked in rotation.drill.asked if asked.of_chat and asked.at > over]
    return " and ".join(dict.fromkeys(words[asked.key] for asked in since)) or "no request to the provider"
