"""`steadyhand data score`: odd episodes rank worst, classes are compared with themselves, and training leaves out."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from motions import LENGTH, record_plain, record_smooth

from steadyhand.cli import main
from steadyhand.data_collection.dataset import features
from steadyhand.data_collection.exclusion import EXCLUDE, read_exclusions, write_exclusions
from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.quality_data import Recorded, load_recorded
from steadyhand.data_collection.quality_scores import METRICS, make_group, score, worst_first
from steadyhand.errors import SteadyhandError

NOISY, HALTING = 2, 9


def spoil(episode: int, action: np.ndarray) -> np.ndarray:
    if episode == NOISY:
        return action + np.random.default_rng(0).normal(0, 0.01, action.shape)
    if episode == HALTING:
        action[10:20] = action[10]
    return action


def segments(episode: int) -> list[int]:
    """Demonstrations, and interventions of which every frame of the recovery is short and the same class."""
    if episode % 2:
        return [Segment.DEMO] * LENGTH
    return [Segment.POLICY] * 12 + [Segment.RECOVERY] * 9 + [Segment.CORRECTION] * 15


@pytest.fixture(scope="module")
def demos(tmp_path_factory) -> Path:
    return record_smooth(tmp_path_factory.mktemp("demos") / "data", episodes=12, spoil=spoil)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    return record_smooth(tmp_path_factory.mktemp("mixed") / "data", episodes=14, segments=segments)


@pytest.fixture
def listed(demos, tmp_path) -> Path:
    """A copy with an exclude list inside."""
    path = shutil.copytree(demos, tmp_path / "data")
    write_exclusions("auto", path, "score", {NOISY: "noise", HALTING: "a halt"})
    return path


def test_spoiled_episodes_rank_worst(demos):
    scores, skipped = score(load_recorded(demos))
    assert not skipped
    assert worst_first(scores)[0].episode == NOISY
    jerks = [entry.classes["demo"]["jerk"] for entry in scores]
    assert set(np.argsort(jerks)[-2:]) == {NOISY, HALTING}
    assert all(set(entry.classes["demo"]) == set(METRICS) and 0 < entry.score <= 1 for entry in scores)


def test_classes_are_compared_with_themselves(mixed):
    recorded = load_recorded(mixed)
    scores, skipped = score(recorded)
    assert not skipped
    assert [set(entry.classes) for entry in scores[:2]] == [{"policy", "recovery", "correction"}, {"demo"}]
    recovery = make_group(recorded, Segment.RECOVERY)
    assert [len(part.rows) for part in recovery.parts] == [9] * 7
    assert scores[0].classes["recovery"]["duration"] == 0.0  # as long as recoveries are, though no demo is so short
    interventions, demonstrations = (np.mean([e.score for e in scores[i::2]]) for i in (0, 1))
    assert interventions == pytest.approx(demonstrations, abs=0.1)


def test_what_cannot_be_measured_is_none(demos):
    recorded = load_recorded(demos)
    still = recorded.columns["action"].copy()
    still[recorded.frames[4]] = still[0]
    entry = score(replace(recorded, columns=recorded.columns | {"action": still}))[0][4]
    assert entry.classes["demo"]["jerk"] is None
    assert 0 < entry.score <= 1


def test_a_class_of_few_episodes_is_not_compared(mixed):
    recorded = load_recorded(mixed)
    few = recorded.columns["segment"].copy()
    few[recorded.frames[0][12:21]] = Segment.HANDOVER
    few[recorded.frames[2][12:21]] = Segment.REWIND
    scores, skipped = score(replace(recorded, columns=recorded.columns | {"segment": few}))
    assert skipped == {"recovery": "5 episodes with 4 frames in a row, needed: 6"}
    assert "recovery" not in scores[4].classes


def test_a_dataset_of_plain_lerobot(tmp_path, capsys):
    path = record_plain(tmp_path / "plain", tasks=["push"] * 7)
    assert main(["data", "score", str(path), "--output", str(tmp_path / "out")]) == 0
    assert "demo" in capsys.readouterr().out
    few = record_plain(tmp_path / "few", tasks=["push"])
    assert main(["data", "score", str(few), "--output", str(tmp_path / "no")]) == 2
    assert "cannot be scored: demo: 1 episodes" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_the_command_writes_what_it_says(demos, tmp_path, capsys):
    output, file = tmp_path / "out", tmp_path / "exclude.json"
    given = ["data", "score", str(demos), "--output", str(output), "--exclude-list", str(file), "--worst", "0.2"]
    assert main(given) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == str(NOISY)
    written = json.loads((output / "score.json").read_text())
    assert (written["schema"], len(written["episodes"])) == ("steadyhand.score/1", 12)
    text = (output / "score.html").read_text()
    assert text.count("<svg") == 2
    assert "http" not in text.replace("http://www.w3.org", "")  # everything it needs is inside
    assert len(read_exclusions(str(file), [demos])[0]) == 2
    assert NOISY in read_exclusions(str(file), [demos])[0]
    assert not (demos / EXCLUDE).exists()
    assert main([*given[:4], str(tmp_path / "again"), "--worst", "1.5"]) == 2
    assert "--worst is 1.5; allowed: a share between 0 and 1" in capsys.readouterr().err


def test_a_list_keeps_what_others_wrote(listed):
    write_exclusions("auto", listed, "check", {NOISY: "finite", 4: "stamps"})
    write_exclusions("auto", listed, "score", {5: "score 0.9"})
    entries = json.loads((listed / EXCLUDE).read_text())["episodes"]
    assert [(e["episode"], e["by"]) for e in entries] == [(NOISY, "check"), (4, "check"), (5, "score")]


def test_two_arms_are_known_by_their_names():
    described = {"features": features({"left_": 7, "right_": 7})}
    columns = {name: np.zeros((1, *column["shape"])) for name, column in described["features"].items()}
    recorded = Recorded(Path(), described, columns, [], None, "fr3")
    assert recorded.arms == ["left_", "right_"]
    assert recorded.posture == [*range(10), *range(16, 26)]


def test_lists_of_several_datasets(demos, listed):
    assert read_exclusions("auto", [demos, listed]) == [[], [NOISY, HALTING]]


def test_lists_that_do_not_fit_are_refused(demos, mixed, listed, tmp_path):
    file = listed / EXCLUDE
    cases = [
        ("auto", [demos], "no exclude list .*write one with"),
        (str(file), [demos, listed], "is a list for one dataset, 2 are given"),
        (str(file), [mixed], "is of another dataset"),
    ]
    for given, paths, said in cases:
        with pytest.raises(SteadyhandError, match=said):
            read_exclusions(given, paths)
    for text, said in (
        ("[]", "is no exclude list"),
        (file.read_text().replace('"episode": 2', '"episode": 77'), r"names episode 77; allowed: 0\.\.11"),
        (file.read_text().replace("exclude/1", "exclude/9"), "schema steadyhand.exclude/9; allowed"),
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(SteadyhandError, match=said):
            read_exclusions(str(tmp_path / "bad.json"), [listed])


def test_training_leaves_listed_episodes_out(demos, listed):
    from steadyhand.policies.frames import load_frames

    whole, kept = load_frames([demos, listed]), load_frames([demos, listed], read_exclusions("auto", [demos, listed]))
    expected = ~np.isin(whole.episode, [12 + NOISY, 12 + HALTING])
    assert (~expected).sum() > 0
    for name in ("state", "action", "episode", "segment"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(whole, name)[expected])
    write_exclusions("auto", listed, "person", dict.fromkeys(range(12), "all"))
    with pytest.raises(SteadyhandError, match="leaves no episode to train on"):
        load_frames([listed], read_exclusions("auto", [listed]))


def test_train_command_honours_a_list(demos, listed, tmp_path, capsys):
    given = ["train", "--dataset", str(listed), "--steps", "2", "--batch-size", "8"]
    assert main([*given, "--output", str(tmp_path / "a"), "--exclude", "auto"]) == 0
    total = sum(len(frames) for frames in load_recorded(demos).frames)
    gone = sum(len(load_recorded(demos).frames[episode]) for episode in (NOISY, HALTING))
    assert f"on {total - gone} frames" in capsys.readouterr().out
    write_exclusions("auto", listed, "score", {})
    assert main([*given, "--output", str(tmp_path / "a"), "--exclude", "auto", "--resume"]) == 2
    assert "has exclude [[2, 9]], got [[]]" in capsys.readouterr().err
