"""Reading journals, those a crash has cut off included, and MCAP files that others have written."""

import fcntl
import functools
import json
import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import zstandard
from mcap.exceptions import EndOfFile, McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, Footer, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import MCAP0_MAGIC

from steadyhand.data_collection.journal import LABELS, LATER, episode_name
from steadyhand.data_collection.journal_process import LABEL, METADATA
from steadyhand.errors import SteadyhandError, one_line, unknown

log = logging.getLogger(__name__)
_BROKEN = (McapError, zstandard.ZstdError, struct.error, ValueError, MemoryError)  # the last: a damaged length

REPAIRED = "steadyhand_repaired"  # MCAP metadata: what the episode was called before it was repaired
Record = tuple[Schema | None, Channel, Message]


class State(StrEnum):
    """How an episode ended."""

    FINISHED = "finished"
    CUT_OFF = "cut off"  # by a crash; what is there can be read
    RECORDING = "recording"  # at this moment


class Received(NamedTuple):
    """A message of a journal: topic, name of its type, stamp of its arrival in ns, CDR."""

    topic: str
    type: str
    received: int
    data: bytes


@dataclass
class Episode:
    """What is known about an episode without reading its messages.

    Attributes:
        name: Of its folder, or of its file if others have written it.
        file: The MCAP file.
        state: Whether it is complete.
        metadata: What the recorder knew at its beginning; empty if others have written it.
        label: What it knew at the end, and what was decided later.
        formerly: Its identity before it was repaired.
    """

    name: str
    file: Path
    state: State
    metadata: dict = field(default_factory=dict)
    label: dict = field(default_factory=dict)
    formerly: str = ""

    @property
    def identity(self) -> str:
        """Tells it from every other episode, of other journals too."""
        return self.formerly or identity(self.name, self.metadata.get("begun", self.file.stat().st_size))

    @property
    def lost(self) -> str:
        """How many messages the recorder left out, in words; "" for none."""
        count = self.label.get("lost_messages")
        return f"the recorder lost {count} messages" if count else ""


def identity(name: str, begun: int) -> str:
    """What an episode is called in a dataset, from its name and the time of its beginning (ns)."""
    return f"{name}@{begun}"


def episodes(folder: Path) -> list[Episode]:
    """Return the episodes of a journal, of a folder of bags or of one MCAP file, in order."""
    if not folder.exists():
        raise SteadyhandError(f"'{folder}' does not exist; give the folder of a journal, or an MCAP file")
    files = sorted(folder.rglob("*.mcap")) if folder.is_dir() else [folder]
    if not files and not (folder / ".lock").exists():
        raise SteadyhandError(f"'{folder}' holds no MCAP file; give the folder of a journal, or an MCAP file")
    later = functools.cache(_later)
    return [_episode(file.resolve(), later) for file in files]


def find(path: Path, given: str) -> Episode:
    """Return the one episode of that name, or number, in a journal, a folder of bags or an MCAP file."""
    known, name = episodes(path), episode_name(int(given)) if given.isdecimal() else given
    found = [episode for episode in known if episode.name == name]
    if not found:
        raise unknown("episode", name, dict.fromkeys(episode.name for episode in known))
    if len(found) > 1:
        raise SteadyhandError(f"'{path}' holds {len(found)} episodes {name}; give one journal")
    return found[0]


def _later(journal: Path) -> dict[str, dict]:
    """What was decided afterwards in a journal, by episode; the last word counts."""
    file = journal / LABELS
    decided: dict[str, dict] = {}
    for number, line in enumerate(file.read_text().splitlines() if file.exists() else [], 1):
        try:
            entry = json.loads(line)
            changes = {key: entry[key] for key in LATER if key in entry}
            decided.setdefault(entry["episode"], {}).update(changes)
        except (ValueError, TypeError, KeyError):
            log.warning("%s:%d is no label and is left out", file, number)
    return decided


def _episode(file: Path, later: Callable[[Path], dict[str, dict]]) -> Episode:
    locked = _is_locked(file)  # asked first: what nobody holds any more is read as it stays
    notes, finished = _notes(file)
    ours = METADATA in notes
    name = file.parent.name if ours else file.stem
    state = State.FINISHED if finished else State.RECORDING if locked else State.CUT_OFF
    label = notes.get(LABEL, {"success": None, "end_reason": "cut_off" if state is State.CUT_OFF else ""})
    if ours:
        label = label | later(file.parent.parent).get(name, {})
    formerly = notes.get(REPAIRED, {}).get("identity", "")
    return Episode(name, file, state, notes.get(METADATA, {}), label, formerly)


def _notes(file: Path) -> tuple[dict[str, dict], bool]:
    """The metadata records by name, and whether the file is complete."""
    with file.open("rb") as stream:
        if not MCAP0_MAGIC.startswith(stream.read(len(MCAP0_MAGIC))):  # what a crash leaves may be shorter
            raise SteadyhandError(f"'{file}' is no MCAP file; give the folder of a journal, or an MCAP file")
        stream.seek(0)
        try:
            reader = SeekingReader(stream, record_size_limit=_size(file))
            if reader.get_summary() is not None:
                return {note.name: _values(note, file) for note in reader.iter_metadata()}, True
        except (*_BROKEN, OSError):  # OSError: shorter than a footer
            stream.seek(0)
        notes = {}
        try:
            for record in StreamReader(stream, emit_chunks=True, record_size_limit=_size(file)).records:
                if isinstance(record, Metadata):
                    notes[record.name] = _values(record, file)
        except _BROKEN:
            return notes, False
        return notes, True


def _size(file: Path) -> int:
    """Bytes: no record is larger, whatever a damaged one says."""
    return file.stat().st_size


def _values(note: Metadata, file: Path) -> dict:
    if note.name not in (METADATA, LABEL, REPAIRED):
        return dict(note.metadata)
    try:
        return {key: json.loads(value) for key, value in note.metadata.items()}
    except ValueError as error:
        raise SteadyhandError(f"'{file}' has metadata that nobody can read: {error}; restore it from a copy") from None


def _is_locked(file: Path) -> bool:
    with file.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class Messages:
    """The messages of an episode, in the order of their arrival; after them ``lost`` says what is missing."""

    def __init__(self, episode: Episode) -> None:
        """Nothing is read yet."""
        self._episode = episode
        self.lost = ""

    def __iter__(self) -> Iterator[Received]:
        """Read from the beginning."""
        for schema, channel, message in self.records():
            yield Received(channel.topic, schema.name if schema else "", message.log_time, message.data)

    def records(self) -> Iterator[Record]:
        """The same as MCAP has it."""
        self.lost = ""
        with self._episode.file.open("rb") as stream:
            ours, finished = bool(self._episode.metadata), self._episode.state is State.FINISHED
            # Others may have written in any order; ours is the order in which everything came.
            yield from self._ordered(stream) if finished and not ours else self._streamed(stream)

    def _ordered(self, stream) -> Iterator[Record]:
        try:
            reader = SeekingReader(stream, validate_crcs=True, record_size_limit=_size(self._episode.file))
            yield from reader.iter_messages(log_time_order=True)
        except _BROKEN as error:
            raise SteadyhandError(f"cannot read '{self._episode.file}': {one_line(error)}") from None

    def _streamed(self, stream) -> Iterator[Record]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        complete = 0  # bytes up to which everything could be read
        size = _size(self._episode.file)
        records = StreamReader(stream, validate_crcs=True, record_size_limit=size).records
        while True:
            try:
                record = next(records, None)
            except _BROKEN as error:
                why = "" if isinstance(error, EndOfFile) else f" ({one_line(error)})"
                self.lost = f"the file breaks off: what came after {complete} of its {size} bytes is lost{why}"
                return
            if record is None:
                return
            complete = stream.tell()
            match record:
                case Schema():
                    schemas[record.id] = record
                case Channel():
                    channels[record.id] = record
                case Message() if record.channel_id in channels:
                    channel = channels[record.channel_id]
                    yield schemas.get(channel.schema_id), channel, record
                case Footer():
                    return
