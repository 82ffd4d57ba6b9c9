"""`steadyhand data split`: some episodes of a dataset as a dataset of their own, and the others as another one."""

import contextlib
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm
from tyro.conf import Positional

from steadyhand.data_collection.assembling import Source, assemble, open_source
from steadyhand.data_collection.durable import new_folder
from steadyhand.data_collection.exclusion import read_exclusions
from steadyhand.errors import SteadyhandError


@dataclass
class SplitConfig:
    """Copy episodes of a dataset into a new one; what is given together must all hold. The dataset stays as it is."""

    dataset: Positional[Path]
    """Folder of a LeRobot v3 dataset."""
    output: Path
    """Folder to create."""
    rest: Path | None = None
    """Folder to create for the other episodes."""
    episodes: str | None = None
    """Only these, e.g. 0-19,25."""
    success: Literal["yes", "no", "unknown"] | None = None
    """Only those that were judged so."""
    fraction: float | None = None
    """Only so many (0..1) of the others, drawn by lot from every task and outcome alike."""
    seed: int = 0
    """Of the lot."""
    exclude: str | None = None
    """Exclude list whose episodes go nowhere: a file, or "auto" for the one in the dataset."""


def main(config: SplitConfig) -> int:
    """Write one or two new datasets."""
    if config.rest is not None:
        output, rest = config.output.resolve(), config.rest.resolve()
        if output.is_relative_to(rest) or rest.is_relative_to(output):
            raise SteadyhandError(f"--rest '{config.rest}' and --output '{config.output}' must be two separate folders")
    source = open_source(config.dataset)
    excluded = read_exclusions(config.exclude, [config.dataset])[0] if config.exclude else []
    candidates = [i for i in range(len(source.rows)) if i not in set(excluded)]
    chosen = _choose(config, source, candidates)
    parts = [(config.output, chosen)]
    if config.rest is not None:
        parts.append((config.rest, [i for i in candidates if i not in set(chosen)]))
    for output, episodes in parts:
        if not episodes:
            raise SteadyhandError(f"no episode of '{config.dataset}' is left for '{output}'; choose others")
    total = sum(len(part) for _, part in parts)
    with contextlib.ExitStack() as stack, tqdm(total=total, unit=" episodes", disable=None) as bar:
        for output, episodes in parts:
            assemble(open_source(config.dataset).only(episodes), stack.enter_context(new_folder(output)), bar)
    for output, episodes in parts:
        print(f"{output}: {len(episodes)} episodes ({_ranges(episodes)})")
    return 0


def _choose(config: SplitConfig, source: Source, candidates: list[int]) -> list[int]:
    chosen = candidates
    if config.episodes is not None:
        wanted = parse_episodes(config.episodes, len(source.rows))
        chosen = [i for i in chosen if i in wanted]
    outcomes = [None if source.sidecar is None else row["success"] for row in source.sidecar or source.rows]
    if config.success is not None:
        if source.sidecar is None:
            raise SteadyhandError(f"'{config.dataset}' does not say which episodes succeeded; leave out --success")
        judged = {"yes": True, "no": False, "unknown": None}[config.success]
        chosen = [i for i in chosen if outcomes[i] is judged]
    if config.fraction is None:
        return chosen
    if not 0.0 < config.fraction < 1.0:
        raise SteadyhandError(f"--fraction {config.fraction:g}; allowed: between 0 and 1, without them")
    groups = defaultdict(list)
    for i in chosen:
        groups[str((source.rows[i]["tasks"], outcomes[i]))].append(i)
    return _draw(list(groups.values()), config.fraction, random.Random(config.seed))


def _draw(groups: list[list[int]], fraction: float, lot: random.Random) -> list[int]:
    """Draw from every group its share; what rounding leaves over goes to the groups that are owed most."""
    shares = [fraction * len(group) for group in groups]
    counts = [int(share) for share in shares]
    owed = sorted(range(len(groups)), key=lambda k: counts[k] - shares[k])
    for k in owed[: round(sum(shares)) - sum(counts)]:
        counts[k] += 1
    return sorted(i for group, count in zip(groups, counts, strict=True) for i in lot.sample(group, count))


def parse_episodes(text: str, total: int) -> set[int]:
    """The episodes that a text like 0-19,25 names."""
    named: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise SteadyhandError(f"'{part}' names no episodes; allowed: numbers and ranges, e.g. 0-19,25")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[-1] >= total:
            raise SteadyhandError(f"there is no episode {part.strip()}; allowed: 0..{total - 1}")
        named |= set(numbers)
    return named


def _ranges(episodes: Iterable[int]) -> str:
    """The reverse of `parse_episodes`."""
    runs: list[list[int]] = []
    for episode in sorted(episodes):
        if runs and episode == runs[-1][1] + 1:
            runs[-1][1] = episode
        else:
            runs.append([episode, episode])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)
