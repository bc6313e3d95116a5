"""The words in which each question of the tree is answered."""

from __future__ import annotations

from typing import get_args

from fixtures.observation import REASONS
from fixtures.triage.calls import Kind
from fixtures.triage.service import State, Users

YES = ("yes", "no")
ASKED = ("answers", *REASONS)

WORDS: dict[str, tuple[str, ...]] = {
    "mistral": get_args(Kind),
    "models": get_args(Kind),
    "model": ("listed", "absent"),
    "bucket": ("requests", "tokens", "none"),
    "health": get_args(State),
    "upstream": ("healthy", "unhealthy"),
    "circuit": ("closed", "half-open", "open"),
    "users": get_args(Users),
    "fallback": ("declared", "undeclared"),
    "metrics": ASKED,
    "rate": ("idle", "none", "within", "over", "most", "few"),
    "trend": ("up", "same"),
    "kind": ("auth", "rate", "timeout", "network", "invalid", "server", "other"),
    "cluster": ASKED,
    "pods": ("all", "some", "none", "scaled-to-0", "absent"),
    "log": ("quiet", "errors"),
    "said-auth": YES,
    "said-rate": YES,
    "said-invalid": YES,
    "said-network": YES,
    "said-timeout": YES,
    "said-server": YES,
}
