"""A run from the server that has its libraries loaded is the run that a user starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plugins import demand
from tests import warm

LISTS = "import json, sys, tests.loaded; print(json.dumps(list(sys.modules)))"


def test_nothing_is_loaded_that_a_run_loads_by_pytest() -> None:
    """Neither a plugin nor a check: pytest rewrites their assertions as it loads them, and lists what is registered."""
    done = subprocess.run([sys.executable, "-c", LISTS], cwd=warm.ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "fixtures.settings" in loaded
    assert not loaded & {"plugins.run", "plugins.demand", *(module for module, _ in demand.declared().values())}
    assert not [name for name in loaded if name.startswith("checks.")]


def test_a_run_sees_its_folder_its_variables_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was printed, by it and by what it started, and the memory that it took are told."""
    monkeypatch.setenv("OURS", "1")
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "test_it.py").write_text(
        "import beside, os, pathlib, tempfile\n"
        "def test_it():\n"
        "    os.system('echo from a child')\n"
        "    print(sorted({'OURS', 'THEIRS'} & os.environ.keys()), pathlib.Path.cwd(), tempfile.gettempdir())\n"
        "    assert not os.isatty(0)\n"
        "    assert 0, 'it ran'\n"
    )
    variables = {"THEIRS": "2", "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    done = warm.ended(["-c", "/dev/null", "-p", "no:cacheprovider"], timeout=60, variables=variables, folder=tmp_path)
    assert done.code == 1
    assert "AssertionError: it ran" in done.printed
    assert f"['THEIRS'] {tmp_path} {tmp_path}" in done.printed
    assert "from a child" in done.printed
    assert 10_000_000 < done.resident < 1_000_000_000


def test_folders_in_two_words_are_joined_as_the_plugin_does() -> None:
    """Else pytest takes what follows --config for a path to tests."""
    code, printed = warm.run(["-m", "preflight", "--env", "sandbox", "--config", "/no/such"], timeout=60)
    assert code == 4
    assert "/no/such" in printed
    assert "unrecognized" not in printed


def test_one_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    """And what it printed is told."""
    (tmp_path / "test_it.py").write_text(
        "import os, time\ndef test_it():\n    os.write(1, b'hangs here')\n    os.system('sleep 600')\n"
    )
    with pytest.raises(TimeoutError, match=r"(?s)no end within 10 s; .*hangs here"):
        warm.ended(["-s", "-c", "/dev/null", "-p", "no:cacheprovider"], timeout=10, folder=tmp_path)
