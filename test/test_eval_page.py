"""The page of an evaluation: complete, self-contained, and honest about what is not there."""

import re

import numpy as np
import pytest

from steadyhand.eval_page import page
from steadyhand.eval_text import QUASI_STATIC, TRANSIENT, contact_sentence, report
from steadyhand.report_style import css_variables
from steadyhand.sim.clusters import find_clusters
from steadyhand.sim.evaluation import EpisodeResult, Evaluation
from steadyhand.sim.statistics import Rate
from steadyhand.sim.video import write_video

FORMULA = "always (force < 200)"


def evaluation(count: int = 60, wins: bool = True, **changes) -> Evaluation:
    """Failures gather where x is large; the last episode has the largest force."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(count):
        conditions = {"x": rng.uniform(0, 1), "y": rng.uniform(0, 1), "object": str(rng.choice(["<b>", "c"]))}
        success = wins and conditions["x"] < 0.75
        reason = "success" if success else ("peg_tipped" if number % 2 else "stuck_at_insert")
        progress = {"grasp": 1.0, "insert": float(success)}
        made.append(EpisodeResult(
            100 + number, success, reason, 50 + number, "do it", conditions, progress, 5.0 * number, 1.0, 2.0,
            {FORMULA: 200 - 5.0 * number},
        ))  # fmt: skip
    return Evaluation(**{"robot": "fr3", "task": "peg", "policy": "flow<i>", "version": "1a2b", "requested": count,
                         "episodes": made} | changes)  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("videos")
    films = [folder / "failure_107_peg_tipped.mp4", folder / "success_100.mp4"]
    for path in films:
        write_video(path, [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(4)])
    return page(evaluation(), films[::-1])


def test_the_page_needs_nothing_but_itself_and_escapes_names(shown):
    assert "<b>c" not in shown
    assert "flow<i>" not in shown
    assert "flow&lt;i&gt;" in shown
    assert "http" not in shown
    assert not re.search(r'(src|href)="(?!data:|#)', shown)
    ids = re.findall(r'\bid="([^"]+)"', shown)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', shown)) <= set(ids)
    assert css_variables(dark=True) in shown
    assert not re.search(r"(?:fill|stroke): #(?!fff)", shown), "colours must follow the light or dark mode"


def test_the_page_has_every_figure(shown):
    done = evaluation()
    rate = done.success
    assert f"{100 * rate.p:.1f} % of 60 episodes" in shown
    assert f"{100 * rate.lo:.1f} to {100 * rate.hi:.1f} %" in shown
    for reason, count in done.reasons.items():
        share = Rate.of([True] * count + [False] * (60 - count))
        cells = [
            reason.replace("_", " "),
            count,
            f"{100 * share.p:.1f} %",
            f"{100 * share.lo:.1f} to {100 * share.hi:.1f} %",
        ]
        assert "".join(f"<td>{cell}</td>" for cell in cells) in shown
    assert shown.count("<svg") == 5
    [cluster] = [cluster for cluster in find_clusters(done.episodes) if cluster.real]
    said = f"Failures are {cluster.lift:.1f} times as frequent as overall where <b>x</b> is <b>{cluster.where}</b>"
    assert said in shown
    assert "<td>largest force, N</td><td>148</td><td>280</td><td>295</td><td>159</td>" in shown
    assert "always (force &lt; 200)" in shown
    assert "<td>-95</td><td>159</td>" in shown
    assert "ISO/TS 15066" in shown
    assert "no certification" in shown
    listed = [number for cell in re.findall(r"<td>([\d, -]+)</td></tr>", shown) for number in seeds_of(cell)]
    assert set(listed) >= set(range(100, 160))


def seeds_of(cell: str) -> list[int]:
    spans = [[int(end) for end in part.split("-")] for part in cell.split(", ")]
    return [seed for span in spans for seed in range(span[0], span[-1] + 1)]


def test_films_are_inside_failures_first(shown):
    assert shown.count("data:video/mp4;base64,") == 2
    assert shown.index("seed 107, peg tipped") < shown.index("seed 100<")


@pytest.mark.parametrize("wins", [True, False])
def test_pages_of_episodes_that_all_ended_alike(wins):
    done = evaluation(5, wins)
    if wins:
        done = evaluation(5, episodes=[episode for episode in evaluation().episodes if episode.success][:5])
    shown = page(done, [])
    assert ("No episode failed." in shown) == wins
    assert ("Every episode failed" in shown) == (not wins)
    assert "What it looks like" not in shown


def test_forces_are_counted_against_the_limits():
    said = contact_sentence(evaluation().episodes)
    forces = [5.0 * number for number in range(60)]
    above = [sum(force > limit for force in forces) for limit in (QUASI_STATIC, TRANSIENT)]
    assert said.startswith(f"{above[0]} of 60 episodes had more than 140 N at the tool, {above[1]} more than 280 N")


def test_the_printed_table(capsys):
    said = report(evaluation())
    assert "peg on fr3, flow<i> 1a2b" in said
    assert str(evaluation().success) in said
    for words in ("stuck_at_insert", "peg_tipped", "grasp", FORMULA, "failures gather at", "largest force, N"):
        assert words in said
    assert "failures gather" not in report(evaluation(5, wins=False))
