"""Which code all this is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.repository import DeployedRevision, Source
    from fixtures.settings import Environment


@check(
    "COD-011",
    severity="blocker",
    remedy="""\
Check out what is deployed, without anything beside it, and run again:

    git -C ../chat stash --include-untracked && git -C ../chat checkout <the revision deployed>

or deploy what was verified. Files that tools leave behind belong into .gitignore. So that a deployment says which
commit it is, let the pipeline write it into the manifest:

    spec:
      template:
        metadata:
          annotations:
            org.opencontainers.image.revision: "$GIT_COMMIT\"""",
)
def test_the_code_verified_is_the_code_deployed(
    source: Source, deployed_revision: DeployedRevision, environment: Environment
) -> None:
    """The code that was verified here is the code that is deployed."""
    assert list(other_code(source, deployed_revision, committed=environment.tier != "development")) == []


def other_code(source: Source, deployed: DeployedRevision, *, committed: bool) -> Iterator[Offender]:
    """How the working tree differs from what runs. `committed`: it must hold nothing that is not committed."""
    if committed and source.changed:
        more = f" and {source.changed - 3} more" if source.changed > 3 else ""
        found = ", ".join(source.changes[:3]) + more
        yield Offender("the working tree holds what is not committed", source.path, found, "a clean tree")
    # Either may be the short form of the other.
    if not (source.head.startswith(deployed.commit) or deployed.commit.startswith(source.head)):
        yield Offender("another revision is deployed", deployed.where, deployed.commit, source.head)
