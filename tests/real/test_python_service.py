"""The Python service as a program of its own; test_service.py holds it to what it does, with its twin in TypeScript."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real import python_service
from tests.real.python_service import SOURCES, PythonServiceProcess, main, prepared
from tests.real.service import StartError

pytestmark = pytest.mark.real

KEY = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3"
COMPLETE = {"MISTRAL_API_KEY": KEY, "MISTRAL_MODEL": "mistral-small-2603"}


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("MISTRAL_MODEL", "", "MISTRAL_MODEL: Field required"),
        ("MISTRAL_API_KEY", "", "MISTRAL_API_KEY: set it, or MISTRAL_API_KEY_FILE"),
        ("MISTRAL_FALLBACK_MODEL", "mistral-small-2603", "MISTRAL_FALLBACK_MODEL: equals MISTRAL_MODEL"),
        ("RETRY_MAX", "many", "RETRY_MAX: Input should be a valid integer"),
        ("MISTRAL_BASE_URL", "mistral", "MISTRAL_BASE_URL: Input should be a valid URL"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, variable: str, value: str, problem: str) -> None:
    """A service whose settings are wrong does not start, names the variable, and shows no key."""
    with pytest.raises(StartError, match=f"The environment is not complete:\n  .*{problem}") as caught:
        PythonServiceProcess(None, COMPLETE | {variable: value}, tmp_path).__enter__()
    assert KEY not in str(caught.value)


def test_its_types_hold() -> None:
    """The type checker finds nothing, with the packages that the service runs with."""
    command = [sys.executable, "-m", "mypy", "--strict", f"--config-file={SOURCES / 'pyproject.toml'}"]
    checked = subprocess.run(
        [*command, f"--python-executable={prepared()}", "--cache-dir=/dev/null", "-p", "chat"],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_requirements_are_pinned_and_name_no_registry() -> None:
    """Each requirement has its version and hashes, and where they come from is left to the machine."""
    pinned = (SOURCES / "requirements.txt").read_text()
    names = re.findall(r"(?m)^([a-z][a-z0-9-]*)==\S+.*\\$", pinned)
    declared = re.findall(r'(?m)^ +"([a-z-]+)[>=]', (SOURCES / "pyproject.toml").read_text())
    assert declared
    assert set(declared) <= set(names)
    assert len(names) == len(re.findall(r"(?m)^\S.*==", pinned))
    assert "://" not in pinned
    assert "--index" not in pinned


def test_a_failed_installation_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a package cannot be installed, it is told, and half of an installation is never taken for a whole one."""
    pins = tmp_path / "requirements.txt"
    pins.write_text(f"no-such-wheel @ file://{tmp_path}/none.whl --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(python_service, "REQUIREMENTS", pins)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["build"]) == 1
    assert "none.whl" in capsys.readouterr().err
    left = [path.name for path in (tmp_path / "cache" / "golive" / "python-service").iterdir()]
    assert left == [".lock"]
