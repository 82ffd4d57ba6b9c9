from steadyhand.cli import main as cli


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
