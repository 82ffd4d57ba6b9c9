import pytest
from speaking import GOOD, record, said

from steadyhand.cli import main as cli
from steadyhand.data_collection.journal import Journal


def test_listing_and_labels(own_journal, converted, capsys):
    journal, place = own_journal, str(own_journal.parent)
    assert cli(["data", "ls", place]) == 0
    assert "journal: 7 episodes (" in capsys.readouterr().out
    assert cli(["data", "ls", str(converted[0].parent)]) == 0
    assert f"{converted[0]}  dataset: 4 episodes, " in capsys.readouterr().out
    assert cli(["data", "label", str(journal), "episode_000006", "--success", "unknown", "--note", "dark"]) == 0
    assert cli(["data", "show", str(journal)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("episode_000001  finished, success, 1.4 s, ")
    assert lines[6].startswith("episode_000006  finished, not judged, dark, 1.4 s, ")
    assert "cut off" in lines[5]
    assert cli(["data", "show", str(converted[0])]) == 0
    assert "tasks:\n- go down\n" in capsys.readouterr().out
    assert cli(["data", "label", str(journal), "episode_000006"]) == 2
    assert "nothing to decide; give --success, " in capsys.readouterr().err


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A journal with an episode without a message, and one of a single frame."""
    folder = tmp_path_factory.mktemp("short")
    with Journal(folder / "journal", reserve=0) as journal:
        record(journal, [], GOOD)
        record(journal, said(1), GOOD)
    with Journal(folder / "new"):
        pass
    return folder


@pytest.mark.parametrize(
    ("words", "status", "answer"),
    [
        (["show", "journal"], 0, "episode_000000  finished, success, 0.0 s, 0 messages on 0 topics"),
        (["show", "new"], 0, "new holds no episode yet"),
        (["label", "journal", "1", "--note", "brief"], 0, ""),
        (["label", "journal", "7", "--note", "brief"], 2, "unknown episode 'episode_000007'; allowed: episode_000000"),
        (["replay", "journal", "0"], 2, "episode_000000 cannot be replayed: it has no complete observation"),
        (["export", "journal", "0", "--output", "out"], 2, "episode 0 of 'journal' cannot be exported, see above"),
        (["export", "journal", "1", "--output", "one"], 0, "one: frames.csv, front.mp4"),
        (["check", "journal"], 2, "'journal' is a journal; make a dataset of it with `steadyhand data convert`"),
    ],
)  # fmt: skip
def test_what_is_short_or_empty(short, monkeypatch, capsys, words, status, answer):
    monkeypatch.chdir(short)
    assert cli(["data", *words]) == status
    said = "".join(capsys.readouterr())
    assert answer in said
    assert "/tmp" not in said
