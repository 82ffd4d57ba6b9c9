"""The report says what the summary says, needs nothing but itself, and names what is missing."""

import html
import json
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest

from steadyhand.data_collection.dataset import DatasetWriter, EpisodeInfo, features
from steadyhand.data_collection.labels import Segment, frame_labels
from steadyhand.errors import SteadyhandError
from steadyhand.report import write_report
from steadyhand.sim.statistics import PairedGain, Rate

ENVIRONMENT = ("peg.x", "peg.y", "peg.z", "hole.x", "hole.y", "hole.z")
SECTIONS = ("result", "failures", "intervention", "videos", "paths", "tracking", "ros", "how", "caveats")
BEFORE = [True, False, False, True, False, False, True, False]
AFTER = [True, True, True, True, True, False, False, True]


def summary() -> dict:
    return {
        "robot": "fr3",
        "task": "peg_insertion",
        "seconds_total": 412.5,
        "stages": {"demonstrate": 21.25, "train": 44.5, "ros": 0.0},
        "seeds": {"demonstrations": 100_000, "interventions": 500_000, "evaluation": 1_000_000},
        "episodes_demo": 2,
        "success_base": Rate.of(BEFORE).as_dict(),
        "success_improved": Rate.of(AFTER).as_dict(),
        "gain": PairedGain.of(BEFORE, AFTER).as_dict(),
        "human_frames": 1234,
        "interventions": {"episodes": 2, "helped": 1, "takeovers": {"501": "jammed_on_rim"}},
        "real_time_factor": 0.9987,
        "ros": {"published": 48211, "received": 48198, "max_gap_ms": 7.3, "demonstration": {"success": True}},
        "machine": {"cores": 2, "platform": "Linux <test> & more"},
    }


def record(path: Path, episodes: list[list[Segment]], first_seed: int) -> None:
    random = np.random.default_rng(0)
    with DatasetWriter(path, robot="fr3", task="peg", features=features(7, ENVIRONMENT)) as writer:
        for number, segments in enumerate(episodes):
            for segment in segments:
                writer.add_frame(
                    {
                        "observation.state": random.random(16, dtype=np.float32),
                        "observation.joints": random.random(14, dtype=np.float32),
                        "observation.reference": random.random(9, dtype=np.float32),
                        "observation.environment_state": random.random(6, dtype=np.float32),
                        "action": random.random(10, dtype=np.float32),
                        "action_applied": random.random(10, dtype=np.float32),
                        **frame_labels(segment),
                    }
                )
            writer.save_episode(EpisodeInfo(True, "success", seed=first_seed + number))


def film(path: Path, codec: str = "libx264") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(5):
            picture = np.full((48, 64, 3), 40 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def evaluation(folder: Path, outcomes: list[bool]) -> None:
    rows = [
        {"seed": 10 + i, "success": done, "steps": 9, "reason": "success" if done else "peg_tipped"}
        for i, done in enumerate(outcomes)
    ]
    folder.mkdir(exist_ok=True)
    reasons = {"peg_tipped": outcomes.count(False)}
    content = {"success": Rate.of(outcomes).as_dict(), "reasons": reasons, "episodes": rows}
    (folder / "eval.json").write_text(json.dumps(content))


def fill(folder: Path) -> None:
    record(folder / "demos", [[Segment.DEMO] * 12, [Segment.DEMO] * 9], 100)
    helped = [Segment.POLICY] * 8 + [Segment.RECOVERY] * 2 + [Segment.CORRECTION] * 6
    record(folder / "interventions", [[Segment.POLICY] * 7, helped], 500)
    for name, outcomes in (("base", BEFORE), ("improved", AFTER)):
        (folder / name).mkdir()
        (folder / name / "loss.csv").write_text("step,loss\n25,1.5\n50,0.4\n75,0.2\n")
        evaluation(folder / f"eval_{name}", outcomes)
    film(folder / "eval_base/videos/failure_11_peg_tipped.mp4")
    film(folder / "eval_base/videos/success_10.mp4")
    film(folder / "eval_improved/videos/success_10.mp4")
    film(folder / "videos/intervention_501.mp4")
    film(folder / "videos/demo_100.mp4")
    film(folder / "ros/dataset/videos/observation.images.front/chunk-000/file-000.mp4")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("demo")
    fill(folder)
    path = write_report(folder, summary())
    assert path == folder / "report.html"
    assert not list(folder.glob("*.part"))
    return path.read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collects the ids and whatever a browser would load or follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "poster", "xlink:href", "srcset", "data", "action"):
                self.links.append(value)


def text(page: str) -> str:
    """What a reader sees, as one line."""
    body = re.sub(r"<style>.*?</style>|<details>.*?</details>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_has_every_section_and_nothing_is_missing_but_the_ros_dataset(page):
    assert [name for name in Elements(page).ids if name in SECTIONS] == list(SECTIONS)
    missing = re.findall(r'class="missing">(.*?)</p>', page)
    assert missing == ["Missing: no ROS episode was recorded in ros/dataset/"]


def test_needs_nothing_but_itself(page):
    elements = Elements(page)
    assert "http://" not in page
    assert "https://" not in page
    assert "file:" not in page
    assert "@import" not in page
    assert all(link.startswith(("data:", "#")) for link in elements.links)
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", page))
    assert "script" not in elements.tags


def test_ids_are_unique_and_every_reference_leads_somewhere(page):
    elements = Elements(page)
    assert len(elements.ids) == len(set(elements.ids))
    inside = {link[1:] for link in elements.links if link.startswith("#")} | set(re.findall(r"url\(#(.*?)\)", page))
    assert inside
    assert inside <= set(elements.ids)


def test_numbers_are_those_of_the_summary(page):
    expected, seen = summary(), text(page)
    for key in ("success_base", "success_improved"):
        rate = expected[key]
        assert f"{100 * rate['p']:.1f} % {rate['k']} of {rate['n']} episodes 95 % interval" in seen
        assert f"interval {100 * rate['lo']:.1f} to {100 * rate['hi']:.1f} %" in seen
    gain = expected["gain"]
    signed = [f"{100 * gain[key]:+.1f}".replace("-", "−") for key in ("difference", "lo", "hi")]
    assert f"{signed[0]} percentage points 95 % interval {signed[1]} to {signed[2]}" in seen
    assert f"{gain['helped']} of them only the second solved, {gain['hurt']} only the first" in seen
    for number in ("48211", "48198", "7.3", "0.9987", "1,234 human frames", "21.2 s", "412.5 s", "1000000"):
        assert number in seen
    embedded = html.unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL).group(1))
    assert json.loads(embedded) == expected


def test_says_no_more_than_the_interval_allows(page, tmp_path):
    assert summary()["gain"]["lo"] < 0
    assert "does not show that the second policy is better" in page
    clear = summary() | {"gain": summary()["gain"] | {"lo": 0.1}}
    assert "the second policy is better than the first" in write_report(tmp_path, clear).read_text()


def test_shows_the_intervention_with_its_reason(page):
    assert "takeover: jammed on rim" in page
    assert "Seed 501. The policy held the arm for 0.8 s" in text(page)
    for segment in ("policy", "recovery", "correction"):
        assert f"fill: var(--{segment})" in page


def test_videos_are_inside_failures_first(page):
    assert page.count('src="data:video/mp4;base64,') == 6
    assert page.count('poster="data:image/jpeg;base64,') == 6
    assert page.index("seed 11, peg tipped") < page.index("Success</b> seed 10")


def test_what_comes_from_outside_is_escaped(page):
    assert "Linux &lt;test&gt; &amp; more" in page
    assert "<test>" not in page


def test_an_empty_folder_names_every_missing_part(tmp_path):
    page = write_report(tmp_path, {"robot": "fr3", "task": "peg_insertion"}).read_text()
    for part in (
        "the summary has no success before and after",
        "no evaluation in eval_base/",
        "no evaluation in eval_improved/",
        "no loss was logged in base/loss.csv",
        "no loss was logged in improved/loss.csv",
        "no supervised episodes in interventions/",
        "no intervention was filmed",
        "no demonstration was filmed",
        "no video in eval_base/videos/",
        "no video in eval_improved/videos/",
        "no demonstrations in demos/",
        "no ROS episode was recorded",
        "no times of stages",
        "does not name the machine",
        "the summary has no seeds",
    ):
        assert part in page
    assert [name for name in Elements(page).ids if name in SECTIONS] == list(SECTIONS)


def test_says_when_the_evaluation_is_not_the_one_of_the_summary(tmp_path):
    evaluation(tmp_path / "eval_base", AFTER)
    evaluation(tmp_path / "eval_improved", AFTER)
    page = write_report(tmp_path, summary()).read_text()
    assert "eval_base/eval.json holds other numbers than the summary" in page
    assert "eval_improved/eval.json holds other numbers" not in page


def test_videos_beyond_the_budget_are_named(tmp_path, monkeypatch):
    film(tmp_path / "eval_base/videos/failure_11_peg_tipped.mp4")
    film(tmp_path / "eval_base/videos/success_10.mp4")
    size = (tmp_path / "eval_base/videos/failure_11_peg_tipped.mp4").stat().st_size
    monkeypatch.setattr("steadyhand.report_data.VIDEO_BUDGET", size)
    page = write_report(tmp_path, summary()).read_text()
    assert page.count("data:video/mp4") == 1
    assert "eval_base/videos/success_10.mp4 was left out" in page


def test_refuses_a_video_that_browsers_cannot_play(tmp_path):
    film(tmp_path / "videos/demo_100.mp4", codec="mpeg4")
    with pytest.raises(SteadyhandError, match=r"demo_100\.mp4 is no H\.264 video"):
        write_report(tmp_path, summary())
