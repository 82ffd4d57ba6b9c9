"""Pages about LeRobot's tools, tried: their commands, in processes of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def commands(text: str) -> list[str]:
    """The shell commands in a page's blocks without a language, continued lines joined."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for language, block in blocks if not language for line in block.replace("\\\n", " ").splitlines()]


def environment(*paths: Path) -> dict[str, str]:
    """Of a command that imports from these places, too, and is not on the network."""
    search = os.pathsep.join([*map(str, paths), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}


def run(command: list[str], folder: Path, *paths: Path) -> str:
    """Run a command in a folder, with more places to import from."""
    done = subprocess.run(
        command, cwd=folder, env=environment(*paths), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def install(command: str, folders: pytest.TempPathFactory) -> Path:
    """Where a page's `pip install` has installed plug-ins, from a copy, because building leaves files behind."""
    checkout, site = folders.mktemp("checkout"), folders.mktemp("site")
    shutil.copytree(ROOT / "plugins", checkout / "plugins")
    words = command.split()
    assert words[:2] == ["pip", "install"]
    run([sys.executable, "-m", *words, "--no-index", "--no-build-isolation", "--target", str(site)], checkout)
    return site
