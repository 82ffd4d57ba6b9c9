"""`steadyhand compare`: what it says, what it writes, and what it refuses, in one line."""

import json
import re
from pathlib import Path

import pytest

from steadyhand.cli import main
from steadyhand.compare_text import ranges
from steadyhand.sim.comparison import compare
from steadyhand.sim.evaluation_file import SCHEMA, read_evaluations
from steadyhand.sim.power import Question, plan
from steadyhand.sim.sequential import Anytime
from steadyhand.sim.statistics import PairedGain, Rate, UnpairedGain

ROOT = Path(__file__).parents[1]
BASE = [i % 3 == 0 for i in range(90)]
BETTER = [i % 3 != 1 for i in range(90)]


def table(outcomes: list[bool], first_seed: int = 100, steps: int = 50, **changes) -> dict:
    """Content of an eval.json."""
    rows = [
        {"seed": first_seed + i, "success": won, "steps": steps + i, "reason": "success" if won else "jammed_on_rim"}
        for i, won in enumerate(outcomes)
    ]
    words = {"robot": "fr3", "task": "peg_insertion", "policy": "flow", "version": "1a2b"}
    numbers = {"requested": len(rows), "seconds_per_step": 0.1, "episodes": rows}
    return {"schema": SCHEMA, **words, **numbers} | changes


def save(path: Path, content: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Two evaluations on the same seeds."""
    save(tmp_path / "base" / "eval.json", table(BASE))
    return [str(tmp_path / "base"), save(tmp_path / "better.json", table(BETTER, steps=40))]


def assert_refused(capsys, arguments: list, *words: str) -> None:
    """Status 2, one line on stderr that has the words, nothing on stdout."""
    assert main(["compare", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("steadyhand: error: ")
    for word in words:
        assert word in said.err


def test_same_seeds_are_compared_in_pairs(files, tmp_path, capsys):
    assert main(["compare", *files, "--json", str(tmp_path / "out" / "c.json")]) == 0
    said = capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "c.json").read_text())
    [comparison] = written["comparisons"]
    gain, anytime = PairedGain.of(BASE, BETTER), Anytime.of(BASE, BETTER)
    assert comparison["paired"]
    assert comparison["seeds"] == list(range(100, 190))
    assert comparison["fixed"] == gain.as_dict() | {"p_holm": gain.mcnemar_p}
    assert comparison["anytime"]["p"] == anytime.p
    assert [comparison["anytime"]["lo"], comparison["anytime"]["hi"]] == anytime.intervals[-1].tolist()
    assert comparison["outcomes_in_pairs"] == {"both": 30, "helped": 30, "hurt": 0, "neither": 30}
    assert comparison["seconds_change"] == pytest.approx(-1.0)
    assert [policy["name"] for policy in written["policies"]] == ["base", "better"]
    assert written["policies"][0]["success"] == Rate.of(BASE).as_dict()
    assert written["policies"][0]["reasons"] == {"jammed_on_rim": 60}
    for words in (str(Rate.of(BASE)), str(Rate.of(BETTER)), "90 common seeds", "jammed_on_rim  60", "100-189"):
        assert words in said
    assert re.search(r"at the end: better; anytime-valid: better, after \d+ of 90 pairs", said)


def test_a_policy_that_is_worse_is_called_so(files, capsys):
    assert main(["compare", *files[::-1]]) == 0
    assert "at the end: worse; anytime-valid: worse" in capsys.readouterr().out


def test_other_seeds_are_said_to_be_unpaired(files, tmp_path, capsys):
    other = save(tmp_path / "other.json", table(BETTER[:60], first_seed=5000))
    assert main(["compare", files[0], other, "--json", str(tmp_path / "c.json")]) == 0
    assert "no common seeds, so not paired" in capsys.readouterr().out
    [comparison] = json.loads((tmp_path / "c.json").read_text())["comparisons"]
    gain = UnpairedGain.of(BASE, BETTER[:60])
    assert not comparison["paired"]
    assert comparison["fixed"] == gain.as_dict() | {"p_holm": gain.fisher_p}
    assert comparison["anytime"]["pairs"] == 60
    assert comparison["outcomes_in_pairs"] is comparison["seconds_change"] is None


def test_only_common_seeds_are_compared_in_the_order_of_the_first(files, tmp_path, capsys):
    shuffled = table(BETTER, first_seed=130)
    shuffled["episodes"].reverse()
    late = save(tmp_path / "late.json", shuffled)
    [comparison] = compare(read_evaluations([Path(files[0]), Path(late)]))
    assert comparison.seeds == list(range(130, 190))
    assert comparison.left_out == 60
    assert comparison.outcomes == (BASE[30:], BETTER[:60])
    assert main(["compare", files[0], late]) == 0
    assert "60 episodes left out" in capsys.readouterr().out


def test_several_policies_are_corrected_for(files, tmp_path):
    third = save(tmp_path / "third.json", table([i % 2 == 0 for i in range(90)]))
    evaluations = read_evaluations([Path(file) for file in (*files, third)])
    first, every = compare(evaluations), compare(evaluations, every_pair=True)
    assert [(c.first.name, c.second.name) for c in first] == [("base", "better"), ("base", "third")]
    assert [c.second.name for c in every] == ["better", "third", "third"]
    smallest = min(every, key=lambda c: c.p)
    assert smallest.p_holm == pytest.approx(3 * smallest.p)
    assert all(c.p_holm >= c.p and c.anytime_p_holm >= c.anytime.p for c in every)
    assert every[0].decided_after == every[0].anytime.decided_after(0.05 / 3)
    assert first[0].decided_after == first[0].anytime.decided_after(0.05 / 2)


def test_a_stopped_evaluation_and_a_gain_without_spread_are_named(tmp_path, capsys):
    files = [
        save(tmp_path / "none.json", table([False] * 3)),
        save(tmp_path / "all.json", table([True] * 3, requested=10)),
    ]
    assert main(["compare", *files]) == 0
    said = capsys.readouterr().out
    assert "all was stopped after 3 of 10 episodes" in said
    assert "has no width" in said
    assert "not told apart" in said


def test_the_page_needs_nothing_but_itself_and_escapes_names(tmp_path, capsys):
    files = [save(tmp_path / "a<b>.json", table(BASE)), save(tmp_path / "c.json", table(BETTER, first_seed=9))]
    assert main(["compare", *files, "--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<b>" not in page
    assert "http" not in page
    assert page.count("<svg") == 5
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)
    for words in ("c is better than a&lt;b&gt; here", str(Rate.of(BASE)), "9-98", "100-189"):
        assert words in page


def test_a_page_without_failures(tmp_path):
    files = [save(tmp_path / f"{name}.json", table([True] * 5)) for name in "ab"]
    assert main(["compare", *files, "--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "No episode failed." in page
    assert "cannot be told apart" in page


def test_names_that_collide_become_paths(tmp_path):
    paths = [Path(save(tmp_path / folder / "x.json", table(BASE))) for folder in "ab"]
    assert [file.name for file in read_evaluations(paths)] == [str(path) for path in paths]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (table([]), ("holds no episodes",)),
        ([1, 2], ("no schema", f"allowed: {SCHEMA}")),
        ({"success": {"p": 0.9}}, ("no schema", "evaluate again")),
        (table(BASE, schema="steadyhand.compare/1"), ("schema 'steadyhand.compare/1'", SCHEMA)),
        (table(BASE, task="stack"), ("different tasks", "peg_insertion (base)", "stack (other)")),
        (table(BASE, robot="gen3"), ("different robots", "fr3", "gen3")),
        (table(BASE, episodes=[7]), ("episodes[0] must be an object",)),
        (
            table(BASE, episodes=[{"seed": 1, "steps": 3}]),
            ("episodes[0].success must be true or false, it is missing",),
        ),
        (table(BASE, episodes=[{"seed": "1", "steps": 3}]), ('episodes[0].seed must be a whole number, it is "1"',)),
        (table(BASE, episodes=table([True])["episodes"] * 2), ("seed 100 more than once",)),
        (table(BASE, seconds_per_step=0), ("seconds_per_step must be a positive number",)),
        (table(BASE, policy="\x1b[2J"), ("policy must be a line of text",)),
    ],
)
def test_files_that_are_something_else_are_refused(files, tmp_path, capsys, content, words):
    assert_refused(capsys, [files[0], save(tmp_path / "other.json", content)], *words)


def test_files_that_cannot_be_read_are_refused(files, tmp_path, capsys):
    (tmp_path / "text.json").write_text("{not json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    for name in ("text.json", "bytes.json", "deep.json"):
        assert_refused(capsys, [files[0], tmp_path / name], name, "is no JSON")
    assert_refused(capsys, [files[0], tmp_path / "nope.json"], "cannot read", "nope.json")
    assert_refused(capsys, [files[0], tmp_path], "eval.json", "No such file")


def test_wrong_arguments_are_refused(files, capsys):
    assert_refused(capsys, [], "two or more evaluations, 0 given", "--plan")
    assert_refused(capsys, files[:1], "1 given")
    assert_refused(capsys, [*files, files[0]], "given twice")
    assert_refused(capsys, [*files, "--json", files[1]], "would be lost")
    assert_refused(capsys, [*files, "--difference", 0.1], "--difference is for planning")


def test_an_output_that_cannot_be_written_is_one_line(files, tmp_path, capsys):
    assert main(["compare", *files, "--json", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_plan(tmp_path, capsys):
    assert main(["compare", "--plan", "--difference", "0.15", "--json", str(tmp_path / "plan.json")]) == 0
    said = capsys.readouterr().out
    written = json.loads((tmp_path / "plan.json").read_text())
    expected = plan(Question(0.6, 0.15, 0.6 * 0.25 + 0.75 * 0.4, 0.8, 0.05))
    assert written["plans"][0] == pytest.approx({"discordance": 0.45} | expected.as_dict())
    for words in ("45.0 % of the seeds", str(expected.paired), str(expected.unpaired), "assumed", "McNemar", "Fisher"):
        assert words in said
    assert said.split("\nsame seeds: ")[0] in (ROOT / "docs" / "evaluation.md").read_text()
    assert main(["compare", "--plan", "--difference", "-0.15", "--discordance", "0.2"]) == 0
    assert "assumed" not in capsys.readouterr().out


def test_plans_that_cannot_be_are_refused(files, capsys):
    assert_refused(capsys, ["--plan"], "--plan needs --difference")
    assert_refused(capsys, ["--plan", *files, "--difference", 0.1], "takes neither files nor --html")
    assert_refused(capsys, ["--plan", "--difference", 0.5], "both success rates must be between 0 and 1")
    assert_refused(capsys, ["--plan", "--difference", 0], "not the same")
    assert_refused(capsys, ["--plan", "--difference", "nan"], "both success rates must be between 0 and 1")
    assert_refused(capsys, ["--plan", "--difference", 0.1, "--discordance", 0.9], "between 0.1 and 0.7 is possible")
    assert_refused(capsys, ["--plan", "--difference", 0.1, "--power", 1], "--power is 1.0", "between 0 and 1")
    assert_refused(capsys, ["--plan", "--difference", 0.1, "--alpha", 0.9], "more than --alpha")
    assert_refused(capsys, ["--plan", "--difference", 0.001], "more than 5000 episodes", "larger --difference")


def test_ranges():
    assert ranges([3, 1, 2, 7, 9, 10]) == "1-3, 7, 9-10"
