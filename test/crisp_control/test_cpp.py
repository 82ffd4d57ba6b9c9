"""The C++ tests (GoogleTest), one item per test and program: the core as it is shipped, and under sanitizers."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from cpp_build import TESTS, assert_passed, build, declared_tests, run_tests

FILES = sorted(Path(__file__).parent.glob("*_test.cpp"))
PLAIN = [file for file in FILES if file.stem in ("allocations_test", "arm_model_oracle_test")]
"""Files that cannot be instrumented, as CMakeLists.txt says."""
CHECKED = declared_tests(set(FILES) - set(PLAIN))
NAMES = {"plain_tests": declared_tests(PLAIN), "shipped_tests": CHECKED, "sanitized_tests": CHECKED}

pytestmark = [pytest.mark.timeout(1200), pytest.mark.cpp(*NAMES)]


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, ElementTree.Element]]:
    """What GoogleTest reports, by program and name of the test."""
    build(*NAMES)
    return {program: run_tests(TESTS / program) for program in NAMES}


@pytest.mark.parametrize(("program", "name"), [(program, name) for program in NAMES for name in NAMES[program]])
def test_cpp(program: str, name: str, results: dict[str, dict[str, ElementTree.Element]]) -> None:
    assert_passed(name, results[program])


def test_every_cpp_test_is_an_item_here(results: dict[str, dict[str, ElementTree.Element]]) -> None:
    assert {program: sorted(results[program]) for program in results} == NAMES
