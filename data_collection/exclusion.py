"""Exclude lists: episodes that training leaves out. Nothing is ever deleted; whoever edits the file decides.

{"schema": "steadyhand.exclude/1", "lengths": [96, 103, ...], "episodes": [{"episode": 3, "by": "check", "why": "..."}]}

`lengths` are the frames of every episode when the list was written: a list does not fit a dataset whose episodes are
others. Episodes may have been added since.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steadyhand.data_collection.reading import episode_rows
from steadyhand.data_collection.schema import FOLDER, read_info
from steadyhand.errors import SteadyhandError

EXCLUDE = FOLDER / "exclude.json"  # inside a dataset: the list that "auto" means
SCHEMA = "steadyhand.exclude/1"


def write_exclusions(given: str, path: Path, by: str, reasons: Mapping[int, str]) -> Path:
    """Write or update an exclude list; what others wrote into it stays.

    Args:
        given: File, or "auto" for the one inside the dataset.
        path: The dataset.
        by: Who writes: earlier entries of the same name are replaced.
        reasons: Episode -> why it is to be left out.
    """
    file = path / EXCLUDE if given == "auto" else Path(given)
    lengths = _lengths(path)
    kept = [entry for entry in _read(file, path, lengths) if entry["by"] != by] if file.exists() else []
    new = [{"episode": episode, "by": by, "why": why} for episode, why in reasons.items()]
    entries = sorted(kept + new, key=lambda entry: (entry["episode"], entry["by"]))
    rows = ",\n  ".join(json.dumps(entry) for entry in entries)
    text = f'{{"schema": "{SCHEMA}",\n "lengths": {json.dumps(lengths)},\n "episodes": [\n  {rows}]}}\n'
    partial = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        partial.replace(file)
    except OSError as error:
        raise SteadyhandError(f"cannot write '{file}': {error.strerror}; choose another --exclude-list") from None
    return file


def read_exclusions(given: str, paths: Sequence[Path | str]) -> list[list[int]]:
    """For every dataset the episodes to leave out.

    Args:
        given: File, for a single dataset; or "auto" for the list inside each dataset, where there is one.
        paths: Dataset folders.
    """
    folders = [Path(path) for path in paths]
    if given != "auto" and len(folders) > 1:
        raise SteadyhandError(
            f"--exclude {given} is a list for one dataset, {len(folders)} are given; write the lists into the datasets "
            "(steadyhand data score --exclude-list auto) and use --exclude auto"
        )
    files = [path / EXCLUDE for path in folders] if given == "auto" else [Path(given)]
    if not any(file.is_file() for file in files):
        missing = " and ".join(map(str, files))
        raise SteadyhandError(
            f"no exclude list {missing}; write one with `steadyhand data check|score DATASET --exclude-list "
            f"{given}`, or leave out --exclude"
        )
    lists = [
        _read(file, path, _lengths(path)) if file.is_file() else [] for file, path in zip(files, folders, strict=True)
    ]
    return [sorted({entry["episode"] for entry in entries}) for entries in lists]


def _lengths(path: Path) -> list[int]:
    total = int(read_info(path)["total_episodes"])
    return [int(row["length"]) for row in episode_rows(path, total)]


def _read(file: Path, path: Path, lengths: list[int]) -> list[dict[str, Any]]:
    """The entries of a list that fits a dataset."""
    fix = "write it anew with `steadyhand data check|score`, or correct it"
    try:
        content = json.loads(file.read_text())
        schema, known = content["schema"], content["lengths"]
        entries: list[dict[str, Any]] = [
            {"episode": int(e["episode"]), "by": str(e["by"]), "why": str(e["why"])} for e in content["episodes"]
        ]
    except OSError as error:
        raise SteadyhandError(f"cannot read the exclude list '{file}': {error.strerror}; {fix}") from None
    except (ValueError, KeyError, TypeError):
        raise SteadyhandError(f"'{file}' is no exclude list; {fix}") from None
    if schema != SCHEMA:
        raise SteadyhandError(f"'{file}' is a list of schema {schema}; allowed: {SCHEMA}; {fix}")
    if lengths[: len(known)] != known:
        raise SteadyhandError(f"the exclude list '{file}' is of another dataset than '{path}'; {fix}")
    for entry in entries:
        if not 0 <= entry["episode"] < len(known):
            raise SteadyhandError(f"'{file}' names episode {entry['episode']}; allowed: 0..{len(known) - 1}; {fix}")
    return entries
