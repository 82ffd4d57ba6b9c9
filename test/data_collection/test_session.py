"""The table of a session's phases, and the ways to ask."""

import itertools
import os
import sys
from pathlib import Path

import pytest

from steadyhand.data_collection import session as module
from steadyhand.data_collection.recorder import Recorder
from steadyhand.data_collection.session import TABLE, BrokenOffError, Event, Phase, Request, Session, allowed, parse
from steadyhand.data_collection.session_requests import FileRequests, KeyRequests, help_line, key_map
from steadyhand.data_collection.sounds import BROKEN_OFF, CUES, REFUSED, Sounds
from steadyhand.errors import SteadyhandError

ACTIONS = {row.action for row in TABLE.values() if isinstance(row.action, str)}
WAYS = {  # requests that lead from the beginning to a phase
    Phase.IDLE: (),
    Phase.RECORDING: ("start",),
    Phase.SAVED: ("start", "stop_success"),
    Phase.DISCARDED: ("start", "discard"),
    Phase.ENDED: ("quit",),
}


class Stage:
    """A session whose actions only write down that they were asked for."""

    def __init__(self, **failing: SteadyhandError) -> None:
        self.done: list[tuple] = []
        self.told: list[tuple] = []
        self.failing = failing
        self.session = Session({name: self._action(name) for name in ACTIONS}, lambda *what: self.told.append(what))

    def _action(self, name: str):
        def act(cause, text):
            if name in self.failing:
                raise self.failing[name]
            self.done.append((name, cause, text))
            return name

        return act

    def at(self, phase: Phase) -> "Stage":
        for request in WAYS[phase]:
            assert self.session.ask(Request(request))[0]
        assert self.session.phase is phase
        self.done.clear()
        return self


@pytest.mark.parametrize(("phase", "request_"), list(itertools.product(Phase, Request)))
def test_what_is_in_the_table_is_done_and_nothing_else(phase, request_):
    stage = Stage().at(phase)
    done, said = stage.session.ask(request_, "text")
    row = TABLE.get((phase, request_))
    assert done is (row is not None)
    if row is None:
        assert (stage.done, stage.session.phase) == ([], phase)
        possible = ", ".join(allowed(phase)) or "nothing"
        assert said == f"{request_} is not possible while the session is {phase}; possible now: {possible}"
        return
    assert stage.session.phase is row.to
    if isinstance(row.action, str):
        assert stage.done == [(row.action, request_, "text")]
        assert stage.told[-1] == (request_, "text", (True, row.action))
    else:
        assert [cause for _, cause, _ in stage.done] == list(row.action)


def test_every_phase_can_be_reached_and_left():
    assert {row.to for row in TABLE.values()} == set(Phase)
    assert {row.phase for row in TABLE.values()} == set(Phase) - {Phase.ENDED}
    assert all(hasattr(Recorder, f"_{action}") for action in ACTIONS)


def test_an_action_that_fails_changes_nothing():
    stage = Stage(take_back=SteadyhandError("the disk is full")).at(Phase.SAVED)
    assert stage.session.ask(Request.REDO) == (False, "the disk is full")
    assert (stage.done, stage.session.phase) == ([], Phase.SAVED)


def test_an_episode_that_cannot_be_kept_ends_idle():
    stage = Stage(save=BrokenOffError("no frame")).at(Phase.RECORDING)
    assert stage.session.ask(Request.STOP_SUCCESS) == (False, "no frame")
    assert stage.session.phase is Phase.IDLE
    stage = Stage().at(Phase.RECORDING)
    stage.session.happen(Event.BREAK_OFF, "why")
    assert (stage.done, stage.session.phase) == ([("break_off", Event.BREAK_OFF, "why")], Phase.IDLE)


def test_a_note_says_something():
    stage = Stage().at(Phase.SAVED)
    assert stage.session.ask(Request.NOTE) == (False, "a note needs its text, e.g.: note the cube slipped")
    assert not stage.done


def test_requests_in_words():
    assert parse("mark\n") == (Request.MARK, "")
    assert parse(" note the cube  slipped ") == (Request.NOTE, "the cube  slipped")
    with pytest.raises(SteadyhandError, match=r"unknown request 'marks'; allowed: start, stop_success, .*, quit"):
        parse("marks")


def test_the_page_of_the_table_is_up_to_date():
    made = (Path(__file__).parents[2] / "docs" / "session.md").read_text() == module.page()
    assert made, "python -m steadyhand.data_collection.session > docs/session.md"


class Typed:
    """Stands in for a terminal's keys."""

    def __init__(self, *parts: str) -> None:
        self._parts = list(parts)

    def raw(self) -> str:
        return self._parts.pop(0)


def test_keys_and_pedals():
    keys = KeyRequests(Typed("\nS\x1b[6~d?xb"), key_map("b=discard, pagedown=mark,x=redo"))
    assert [request for request, _ in keys.poll()] == ["start", "stop_success", "mark", "discard", "redo", "discard"]
    assert help_line(key_map("")).startswith("enter or space: start    s: stop_success    f: stop_failure")
    with pytest.raises(SteadyhandError, match=r"unknown key 'f13'; allowed: a letter or digit, enter, space, tab, up"):
        key_map("f13=start")
    with pytest.raises(SteadyhandError, match="unknown request 'halt'; allowed: start, "):
        key_map("h=halt")


def test_other_keys_ask_for_nothing():
    """F2, Ctrl+Left, End, F5 and Delete end in letters, or begin like Esc."""
    keys = KeyRequests(Typed("\x1bOQ\x1b[1;5D\x1b[F\x1b[15~s", "nab\x1b[3~c\n"), key_map(""))
    assert keys.poll() == [("stop_success", "")]
    assert keys.poll() == [("note", "abc")]


def test_a_note_is_typed():
    keys = KeyRequests(Typed("nThe cube", "\x1b[A slippt", "\x7fed\ns", "nx\x1bd", "n\nq"), key_map(""))
    assert keys.poll() == []
    assert keys.typing.endswith(": The cube")
    assert keys.poll() == []
    assert keys.poll() == [("note", "The cube slipped"), ("stop_success", "")]
    assert keys.poll() == [("discard", "")]
    assert keys.poll() == [("quit", "")]


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_requests_from_a_file(tmp_path, kind):
    path = tmp_path / "requests"
    if kind == "file":
        path.write_text("quit\n")  # from an earlier session
    requests, stage = FileRequests(path), Stage()
    assert requests.serve(stage.session) == []
    for text in ("start\nmark gra", "sped\n\nnonsense\n", "note x\n"):
        with path.open("a") as writer:
            writer.write(text)
        complaints = requests.serve(stage.session)
        assert (len(complaints) == 1) is ("nonsense" in text)
    requests.close()
    assert stage.done == [("begin", "start", ""), ("mark", "mark", "grasped"), ("note", "note", "x")]
    assert path.exists() is (kind == "file")


def test_every_cause_has_a_sound(tmp_path, monkeypatch):
    assert set(CUES) == set(Request) - {Request.REDO}  # stands for two others
    heard = tmp_path / "heard"
    speaker = tmp_path / "espeak-ng"
    speaker.write_text(f'#!/bin/sh\necho "$@" >> {heard}\n')
    speaker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    sounds = Sounds("speech")
    for cause, done in ((Request.START, True), (Request.MARK, False), (Event.BREAK_OFF, False), (Request.QUIT, True)):
        sounds.told(cause, (done, "why"))
    sounds.close()
    assert heard.read_text().splitlines() == [CUES[Request.START][1], REFUSED[1], BROKEN_OFF[1], CUES[Request.QUIT][1]]


def test_sounds_that_cannot_be_made_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SteadyhandError, match="install speech-dispatcher or espeak-ng"):
        Sounds("speech")
    with pytest.raises(SteadyhandError, match="unknown sound 'gong'; allowed: none, bell, speech"):
        Sounds("gong")
    with open(os.devnull, "w") as nowhere:
        monkeypatch.setattr(sys, "stderr", nowhere)
        with pytest.raises(SteadyhandError, match="needs a terminal"):
            Sounds("bell")
