"""The doctor runs on a bare interpreter and names what to install."""

import subprocess
import sys
from pathlib import Path

from steadyhand import doctor

SCRIPT = Path(doctor.__file__)


def test_runs_without_any_package():
    done = subprocess.run([sys.executable, "-S", "-I", SCRIPT], text=True, capture_output=True, check=False)
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) >= len(doctor.CHECKS)


def test_what_is_missing_is_named_with_its_package(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert doctor.main(doctor.DoctorConfig(quiet=True)) == 1
    printed = capsys.readouterr().out
    assert "MISSING  C++ compiler" in printed
    assert "apt-get install" in printed
    assert "g++" in printed


def test_what_is_optional_does_not_fail(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.Finding("x", False, "y", required=False, packages=("z",)),))
    assert doctor.main(doctor.DoctorConfig()) == 0
    assert "apt-get" not in capsys.readouterr().out


def test_packages_alone_for_scripts(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.Finding("x", False, "y", packages=("b", "a")),))
    assert doctor.main(doctor.DoctorConfig(packages=True)) == 0
    assert capsys.readouterr().out == "a b\n"
