"""docs/tasks.md, followed literally; and what goes wrong with files of one's own."""

import inspect
import json
import os
import re
import subprocess
import sys

import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.paths import config_dir
from steadyhand.ros_processes import private_graph
from steadyhand.sim.tasks import TASKS, make_task

PAGE = (config_dir().parent / "docs" / "tasks.md").read_text()


def run(arguments: list[str], folder) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=dict(os.environ), text=True, capture_output=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_works_as_it_stands(tmp_path):
    said = []
    with private_graph():
        for kind, block in re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL):
            if name := re.match(r"# (\S+\.py)", block):
                (tmp_path / name[1]).write_text(block)
            elif kind == "python":
                said.append(run(["-c", block], tmp_path))
            else:  # a twin ends after a second, and runs without pictures
                for line in block.splitlines():
                    words = line.removeprefix("steadyhand ").split()
                    short = ["--cameras", "none", "--duration", "1"] if words[0] == "twin" else ["--videos", "0"]
                    said.append(run(["-m", "steadyhand", *words, *short], tmp_path))
    evaluated, twin, gym = said
    assert "topple on fr3, scripted\nsuccess " in evaluated
    result = json.loads((tmp_path / "outputs" / "topple" / "eval.json").read_text())
    assert result["task"] == "topple"
    assert sum(episode["success"] for episode in result["episodes"]) >= 19, result["reasons"]
    assert "task my_task.py:Topple" in twin
    assert "knock the can over (7,)" in gym


def test_the_page_lists_every_task_with_its_subtasks_and_failures():
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE))
    assert rows.keys() == TASKS.keys()
    for name, row in rows.items():
        task = make_task(name)
        assert ", ".join(task.subtasks) in row
        # Whatever failure() may return stands in its text, as a word with an underscore.
        for reason in re.findall(r'"([a-z]+(?:_[a-z]+)+)"', inspect.getsource(type(task).failure)):
            assert f"`{reason}`" in row, f"{name}: {reason}"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "nowhere.py:Mine", r"there is no file '.*nowhere\.py'; give path/to/my_task\.py:MyTask"),
        ("x = 1", "my.py", r"unknown task in .*my\.py ''; allowed: none"),
        ("from steadyhand.sim.tasks.reach import Reach\nclass A(Reach): pass", "my.py:B", "'B'; allowed: A; give"),
        ("import nothing_like_it", "my.py:A", r"ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def f(:", "my.py:A", "SyntaxError"),
        ("from steadyhand.sim.tasks import Task\nclass A(Task): name = 'a'", "my.py:A", "lacks wordings, .*, build, "),
        (
            "from steadyhand.sim.tasks.reach import Reach\nclass A(Reach):\n def __init__(self, x): pass",
            "my.py:A",
            "cannot be made without arguments",
        ),
    ],
)
def test_mistakes_in_a_file_are_told_in_one_line(tmp_path, text, name, message):
    if text is not None:
        (tmp_path / "my.py").write_text(text)
    with pytest.raises(SteadyhandError, match=message) as caught:
        make_task(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_file_is_run_once_and_may_import_its_neighbours(tmp_path):
    (tmp_path / "beside_my_task.py").write_text("LIMIT = 3.0")
    (tmp_path / "mine.py").write_text(
        "import beside_my_task\nfrom steadyhand.sim.tasks.reach import Reach\n"
        "class Quick(Reach):\n    name = 'quick'\n    time_limit = beside_my_task.LIMIT\n"
    )
    first, second = (make_task(str(tmp_path / "mine.py:Quick")) for _ in range(2))
    assert type(first) is type(second)
    assert first.time_limit == 3.0
