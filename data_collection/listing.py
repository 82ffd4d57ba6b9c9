"""`steadyhand data ls|show|label`: what journals and datasets hold, and judging an episode afterwards."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from tyro.conf import Positional

from steadyhand.data_collection.configuration import from_journal
from steadyhand.data_collection.journal import relabel
from steadyhand.data_collection.journal_reading import Episode, Messages, State, episodes, find
from steadyhand.data_collection.reading import describe
from steadyhand.data_collection.schema import INFO, read_info
from steadyhand.errors import SteadyhandError


@dataclass
class PlaceConfig:
    """A journal or a LeRobot dataset."""

    path: Positional[Path]
    """Folder of a journal or dataset, a folder that holds some, or an MCAP file."""


@dataclass
class LabelConfig:
    """Judge an episode of a journal, discard it, or take that back. The recording itself stays as it is."""

    journal: Positional[Path]
    """Folder of the journal."""
    episode: Positional[str]
    """Its number, or its name, e.g. episode_000003."""
    success: Literal["yes", "no", "unknown"] | None = None
    """Whether the task was done."""
    discarded: bool | None = None
    """Leave it out of datasets, or not."""
    task: str | None = None
    """What was done, in words."""
    operator: str | None = None
    """Who demonstrated."""
    note: str | None = None
    """Anything else worth knowing."""


def label(config: LabelConfig) -> None:
    """Append to the journal's labels what is given."""
    given = {name: getattr(config, name) for name in ("discarded", "task", "operator", "note")}
    changes = {name: value for name, value in given.items() if value is not None}
    if config.success is not None:
        changes["success"] = {"yes": True, "no": False, "unknown": None}[config.success]
    if not changes:
        raise SteadyhandError("nothing to decide; give --success, --discarded, --task, --operator or --note")
    relabel(config.journal, find(config.journal, config.episode).name, **changes)


def ls(config: PlaceConfig) -> None:
    """One line for every journal, bag of others and dataset at or below the path."""
    if not config.path.is_dir():
        raise SteadyhandError(f"'{config.path}' is no folder; give one that holds journals or datasets")
    infos = {info.parent.parent for info in config.path.rglob(str(INFO)) if ".recording" not in info.parts}
    journals = {lock.parent for lock in config.path.rglob(".lock")}
    lines = {folder: _dataset_line for folder in infos} | {folder: _journal_line for folder in journals}
    bags = {file.parent for file in config.path.rglob("*.mcap")}
    lines |= {bag: _bag_line for bag in bags if not journals & {bag, *bag.parents}}
    for folder, line in sorted(lines.items()):
        print(f"{folder}  {line(folder)}")
    if not lines:
        print(f"no journal, no bag and no dataset in {config.path}")


def _bag_line(folder: Path) -> str:
    found = episodes(folder)
    size = sum(episode.file.stat().st_size for episode in found) / 1e6
    return f"bag: {len(found)} MCAP files ({_counts(Counter(str(episode.state) for episode in found))}), {size:.1f} MB"


def _dataset_line(folder: Path) -> str:
    info = read_info(folder)
    return f"dataset: {info['total_episodes']} episodes, {info['total_frames']} frames, {info['fps']} Hz"


def _journal_line(folder: Path) -> str:
    found = episodes(folder)
    states = Counter("discarded" if episode.label.get("discarded") else str(episode.state) for episode in found)
    size = sum(episode.file.stat().st_size for episode in found) / 1e6
    lost = sum(episode.label.get("lost_messages") or 0 for episode in found)
    missing = f", {lost} messages lost" if lost else ""
    return f"journal: {len(found)} episodes ({_counts(states) or 'none yet'}), {size:.1f} MB{missing}"


def _counts(counts: Counter) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def show(config: PlaceConfig) -> None:
    """Describe a dataset, or a journal with every episode."""
    if (config.path / INFO).exists():
        print(yaml.safe_dump(describe(config.path), sort_keys=False, allow_unicode=True), end="")
    else:
        found = episodes(config.path)
        print("\n".join(map(_episode_line, found)) or f"{config.path} holds no episode yet")


def _episode_line(episode: Episode) -> str:
    known = episode.label
    judged = {True: "success", False: "failure", None: "not judged"}[known.get("success")]
    facts = [str(episode.state), "discarded" if known.get("discarded") else judged]
    facts += [str(known[key]) for key in ("task", "note") if known.get(key)]
    if episode.state is State.RECORDING:
        return f"{episode.name}  {', '.join(facts)}"
    messages, topics, start = Messages(episode), Counter[str](), episode.metadata.get("begun", 0)
    end = start
    for message in messages:
        topics[message.topic] += 1
        start, end = start or message.received, message.received
    facts.append(f"{1e-9 * (end - start):.1f} s, {topics.total()} messages on {len(topics)} topics")
    made_with = from_journal(episode.metadata, known)
    facts += [f"{kind} {document.name[:8]}" for kind, document in made_with.documents.items()]
    facts += [f"{kind} changed after {stamp:.1f} s" for stamp, kind, _ in made_with.changes]
    facts += filter(None, (episode.lost, messages.lost))
    return f"{episode.name}  {', '.join(facts)}"
