"""What a recording was made with: robot, controllers, calibration. A text is kept once, in a file named by its hash.

meta/steadyhand/configuration/<sha256>.yaml   beside the sidecar, whose column `configuration` names the files
MCAP metadata `steadyhand`: configuration     in a journal: the texts themselves, so that every bag stands alone
"""

import functools
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from steadyhand.crisp_control.schema import safety_names
from steadyhand.data_collection.schema import FOLDER
from steadyhand.errors import SteadyhandError

CONFIGURATION = FOLDER / "configuration"
CHANGES = "changes"
_SUFFIXES = ("urdf", "xml", "yaml")
_FILE_NAME = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(_SUFFIXES)})")
PARAMETERS = "ros__parameters"  # as a ROS parameter file has it


@dataclass(frozen=True)
class Document:
    """A text, and the kind of file it is: urdf, xml or yaml."""

    text: str
    suffix: str

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{hashlib.sha256(self.text.encode()).hexdigest()}.{self.suffix}"


@dataclass(frozen=True)
class Configuration:
    """What an episode was recorded with.

    Attributes:
        documents: Kind ("description", "controller", "calibration", ...) -> what held when the episode began.
        changes: What came to hold while it ran: s since its first decision, kind, document.
    """

    documents: Mapping[str, Document] = field(default_factory=dict)
    changes: tuple[tuple[float, str, Document], ...] = ()

    def __iter__(self) -> Iterator[Document]:
        """All documents."""
        yield from self.documents.values()
        yield from (document for _, _, document in self.changes)

    def row(self) -> dict:
        """For the sidecar: names of files. JSON types."""
        names: dict = {kind: document.name for kind, document in self.documents.items()}
        if self.changes:
            names[CHANGES] = [[stamp, kind, document.name] for stamp, kind, document in self.changes]
        return names

    def safety(self) -> dict[str, dict]:
        """The limits that the controllers enforced when the episode began: node -> parameter -> value.

        What is infinite is the text "inf" or "-inf".
        """
        document = self.documents.get("controller")
        return _limits(document.text) if document else {}


@functools.lru_cache(maxsize=8)
def _limits(text: str) -> dict:
    """The parameters that limit something, of a file with those of all nodes."""
    limits = {
        node: {name: _finite(value) for name, value in told[PARAMETERS].items() if name in safety_names()}
        for node, told in yaml.safe_load(text).items()
        if told is not None
    }
    return {node: values for node, values in limits.items() if values}


def _finite(value: object) -> object:
    """JSON knows no infinity."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class _Lines(yaml.SafeDumper):
    """A line for every value: lists of numbers stay together."""


for _type in (list, tuple):
    _Lines.add_representer(
        _type, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
    )


def yaml_document(content: Mapping) -> Document:
    """The same content gives the same text."""
    return Document(yaml.dump(dict(content), Dumper=_Lines, default_flow_style=False, width=1000), "yaml")


def parameters_document(nodes: Mapping[str, Mapping | None]) -> Document:
    """Parameters of nodes by their full names, as a file that ROS reads; None: the node has not told them."""
    told = {node: {PARAMETERS: dict(values)} if values is not None else None for node, values in nodes.items()}
    return yaml_document(told)


def to_metadata(configuration: Configuration) -> dict[str, list[str]]:
    """For the beginning of a journal's episode; JSON types."""
    return {kind: [document.suffix, document.text] for kind, document in configuration.documents.items()}


def changes_to_label(configuration: Configuration) -> list[list]:
    """For its end."""
    return [[stamp, kind, document.suffix, document.text] for stamp, kind, document in configuration.changes]


def from_journal(metadata: Mapping, label: Mapping) -> Configuration:
    """What ``to_metadata`` and ``changes_to_label`` have written; nothing if others, or older versions, have written.

    Raises:
        SteadyhandError: It is something else.
    """
    try:
        documents = {str(kind): _document(*told) for kind, told in (metadata.get("configuration") or {}).items()}
        changes = tuple(
            (float(stamp), str(kind), _document(*told))
            for stamp, kind, *told in label.get("configuration_changes") or []
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise SteadyhandError(f"the configuration that the journal notes cannot be read: {error}") from None
    return Configuration(documents, changes)


def _document(suffix: object, text: object) -> Document:
    if suffix not in _SUFFIXES or not isinstance(text, str):
        raise ValueError(f"a text of the kind '{suffix}'; allowed: {', '.join(_SUFFIXES)}")
    return Document(text, str(suffix))


def write_documents(configuration: Configuration, stage: Path, dataset: Path) -> None:
    """Put what the dataset does not have yet into its stage."""
    for document in configuration:
        file = CONFIGURATION / document.name
        if not (dataset / file).exists():
            (stage / file).parent.mkdir(parents=True, exist_ok=True)
            (stage / file).write_text(document.text)


def named(row: Mapping) -> list[str]:
    """The files that a row of the sidecar names, as it is stored; names that are none of ours are left out."""
    content = json.loads(row.get("configuration") or "{}")
    names = [name for kind, name in content.items() if kind != CHANGES]
    names += [name for _, _, name in content.get(CHANGES, [])]
    return [name for name in dict.fromkeys(names) if _FILE_NAME.fullmatch(name)]


def read_documents(path: Path, row: Mapping) -> dict[str, Document]:
    """What a row of a dataset's sidecar, as it is stored, says held when the episode began; lost files are left out."""
    content = json.loads(row.get("configuration") or "{}")
    found = {}
    for kind, name in content.items():
        if kind != CHANGES and _FILE_NAME.fullmatch(name) and (path / CONFIGURATION / name).is_file():
            found[kind] = Document((path / CONFIGURATION / name).read_text(), name.rpartition(".")[2])
    return found


def copy_documents(path: Path, rows: Iterable[Mapping], folder: Path) -> None:
    """Copy what rows of a dataset's sidecar name; SteadyhandError if a file is lost or is no longer what it was."""
    for name in dict.fromkeys(name for row in rows for name in named(row)):
        text = intact(path, name)
        if text is None:
            raise SteadyhandError(
                f"'{path}' has lost {CONFIGURATION / name}, which its episodes name; `steadyhand data repair` goes on "
                "without it"
            )
        (folder / CONFIGURATION).mkdir(parents=True, exist_ok=True)
        (folder / CONFIGURATION / name).write_text(text)


def intact(path: Path, name: str) -> str | None:
    """The text of a file of a dataset; None if it is not there or not the one that was written."""
    try:
        text = (path / CONFIGURATION / name).read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return text if Document(text, name.rpartition(".")[2]).name == name else None


def without(row: dict, lost: Container[str]) -> dict:
    """A row as it is stored, without files that are lost."""
    content = json.loads(row.get("configuration") or "{}")
    kept: dict = {kind: name for kind, name in content.items() if kind != CHANGES and name not in lost}
    if changes := [change for change in content.get(CHANGES, []) if change[2] not in lost]:
        kept[CHANGES] = changes
    return row | {"configuration": json.dumps(kept)}


def used(rows: Iterable[Mapping]) -> dict[str, dict[str, int]]:
    """How many episodes of a sidecar (as ``load_sidecar`` gives it) began with which file, by kind."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for kind, name in row["configuration"].items():
            if kind != CHANGES:
                counts.setdefault(kind, Counter())[name] += 1
    return {kind: dict(count) for kind, count in counts.items()}


def differences(before: Mapping[str, Document], now: Mapping[str, Document]) -> list[str]:
    """A line for every kind of document that is not what it was."""
    lines = []
    for kind in sorted(before.keys() | now.keys()):
        old, new = before.get(kind), now.get(kind)
        if old is None or new is None:
            lines.append(f"{kind} {'was unknown' if old is None else 'is unknown now'}")
        elif old != new:
            lines.append(f"{kind}: {_difference(old.text, new.text)}")
    return lines


def _difference(old: str, new: str) -> str:
    """The first line that differs, and how many do."""
    gone, come = ([line.strip() for line in text.splitlines()] for text in (old, new))
    lost, added = Counter(gone) - Counter(come), Counter(come) - Counter(gone)
    first = [next((line for line in lines if line in rest), "") for lines, rest in ((gone, lost), (come, added))]
    more = max(lost.total(), added.total()) - 1
    shown = " -> ".join(f"'{line[:80]}'" for line in first)
    return shown + (f" and {more} more lines" if more > 0 else "")
