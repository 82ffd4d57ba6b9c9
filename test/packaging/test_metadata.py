"""Facts that are written down in more than one place agree."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import steadyhand

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
PINS = dict(line.split("==") for line in CONSTRAINTS.splitlines() if not line.startswith("#"))


def exact(requirements: list[str]) -> dict[str, str]:
    """Return the requirements that name one version."""
    found = (re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", requirement) for requirement in requirements)
    return {match[1].lower(): match[2] for match in found if match}


def test_one_version_number():
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == steadyhand.__version__
    plugins = [tomllib.loads(path.read_text())["project"] for path in (ROOT / "plugins").glob("*/pyproject.toml")]
    assert [plugin["version"] for plugin in plugins] == [steadyhand.__version__] * 3


def test_constraints_name_no_host():
    assert not re.search(r"://|@", CONSTRAINTS)
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", f"{name}=={version}") for name, version in PINS.items())


@pytest.mark.parametrize("group", ["dependencies", *PROJECT["project"]["optional-dependencies"]])
def test_every_dependency_is_pinned(group):
    project = PROJECT["project"]
    requirements = project["dependencies"] if group == "dependencies" else project["optional-dependencies"][group]
    names = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements}
    assert names <= PINS.keys()
    assert exact(requirements).items() <= PINS.items()


def test_the_build_links_to_the_versions_it_runs_with():
    build, run = exact(PROJECT["build-system"]["requires"]), exact(PROJECT["project"]["dependencies"])
    assert {"pin", "mujoco"} <= build.keys()
    assert build.items() <= run.items()
