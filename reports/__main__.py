"""`python -m reports build RUN` writes a run's reports anew from its journal; `verify RUN` checks its hashes, and so it
does those of an incident pack.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reports import build, journal, manifest
from reports.bundle import verify
from reports.inert import inert
from reports.wording import plural

USAGE_ERROR = 4


def main(arguments: list[str] | None = None) -> int:
    """The exit code: of `build`, the report's own (never 0 on anything but a whole run); of `verify`, 1 where a
    file differs; 4 where RUN is no run's folder, or `build` would seal what was changed since.
    """
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, says in (
        ("build", "write every report of RUN anew"),
        ("verify", "check RUN, a folder or an incident pack, against its manifest"),
    ):
        commands.add_parser(name, help=says, description=says).add_argument("run", type=Path, metavar="RUN")
    try:
        asked = parser.parse_args(arguments)
    except SystemExit as stop:
        return USAGE_ERROR if stop.code else 0
    try:
        if asked.command == "build":
            return _build(asked.run)
        return _verify_pack(asked.run) if asked.run.is_file() else _verify(asked.run)
    except (journal.JournalError, manifest.ManifestError, verify.PackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR


def _build(folder: Path) -> int:
    if found := build.altered(folder):
        raise manifest.ManifestError(
            f"{folder}: found files that are not as the run left them: {inert('; '.join(found))}. Reports made of them "
            "would pass for the run's own. Put the files back, or read the reports of an unedited copy"
        )
    report, problems = build.publish(folder)
    print(inert(report.headline))
    for name in build.FILES:
        if (folder / name).is_file():
            print(folder / name)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return report.exit_code


def _verify(folder: Path) -> int:
    found = manifest.differences(folder)
    for sentence in found:
        print(sentence)
    print(f"{folder}: {'does not match' if found else 'matches'} its manifest")
    return 1 if found else 0


def _verify_pack(file: Path) -> int:
    found = verify.verified(file)
    for sentence in found.differences:
        print(sentence)
    for what in found.missing:
        print(f"could not be had when it was made: {what}")
    agreed = "does not match" if found.differences else "matches"
    print(f"{file}: {agreed} its manifest ({plural(found.members, 'file')})")
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
