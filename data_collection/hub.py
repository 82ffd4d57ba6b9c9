"""`steadyhand data push|pull`: datasets to and from the Hugging Face Hub, or a server like it (HF_ENDPOINT)."""

import contextlib
import glob
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from steadyhand.data_collection import publish
from steadyhand.data_collection.durable import publish_folder
from steadyhand.data_collection.reading import describe
from steadyhand.data_collection.schema import SCHEMA, read_info
from steadyhand.errors import SteadyhandError, one_line

# What a dataset folder may hold beside the dataset: stages, locks, images that LeRobot had not encoded, caches.
NOT_PUSHED = [f"{publish.STAGE}/**", "meta/steadyhand/lock", "images/**", ".cache/**", "**/.*"]
DATASET = ["data/**", "videos/**", "meta/**"]  # what a new version replaces
CARD = """---
license: {license}
task_categories: [robotics]
tags: [LeRobot, steadyhand]
configs:
- config_name: default
  data_files: data/*/*.parquet
---
A [LeRobot](https://github.com/huggingface/lerobot) v3 dataset.

| | |
|---|---|
| robot | {robot} |
| tasks | {tasks} |
| episodes | {episodes} ({outcome}) |
| frames | {frames} at {fps} Hz, {seconds:.0f} s |

| column | type |
|---|---|
{columns}
"""


@dataclass
class PushConfig:
    """Copy a dataset to the Hub; what an earlier push has brought there is replaced."""

    dataset: Positional[Path]
    """Folder of a LeRobot v3 dataset."""
    repo_id: Positional[str]
    """Where to: user/name."""
    private: bool = False
    """Make a new repository private; an existing one stays as it is."""
    tag: str | None = None
    """Name this version, beside the tag v3.0 that LeRobot looks for."""
    license: str = "other"
    """Of the data, by the Hub's names, e.g. apache-2.0; said on its page."""


@dataclass
class PullConfig:
    """Copy a dataset from the Hub. If it is interrupted, repeat it: it goes on."""

    repo_id: Positional[str]
    """Where from: user/name."""
    output: Path
    """Folder to create."""
    revision: str = "main"
    """Branch, tag or commit."""


@contextlib.contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    """Say what the Hub or the way to it refuses, on one line."""
    import httpx
    from huggingface_hub import errors

    refused = (errors.HfHubHTTPError, errors.HFValidationError, errors.LocalEntryNotFoundError)
    try:
        yield
    except (*refused, errors.OfflineModeIsEnabled, httpx.HTTPError) as error:
        reason = one_line(error)[:300] or type(error).__name__
        raise SteadyhandError(f"{what}: {reason}; is the name right, the network there and HF_TOKEN allowed?") from None


def _require_full_name(repo_id: str) -> None:
    if repo_id.count("/") != 1:
        raise SteadyhandError(f"'{repo_id}' is no name on the Hub; allowed: user/name")


def push(config: PushConfig) -> int:
    """Upload a dataset, its page and its tags."""
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    _require_full_name(config.repo_id)
    info = read_info(config.dataset)
    if not info["total_episodes"]:
        raise SteadyhandError(f"dataset '{config.dataset}' has no finished episode; record one first")
    if not get_token():
        raise SteadyhandError("there is no Hugging Face token; log in with `hf auth login`, or set HF_TOKEN")
    api, repo, kind = HfApi(), config.repo_id, "dataset"
    with contextlib.ExitStack() as stack:
        stack.enter_context(_one_line_errors(f"cannot push to '{repo}'"))
        if (config.dataset / SCHEMA).exists():
            stack.enter_context(publish.lock(config.dataset))  # nobody records while we copy
        api.create_repo(repo, repo_type=kind, private=config.private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            repo_type=kind,
            folder_path=config.dataset,
            ignore_patterns=NOT_PUSHED,
            delete_patterns=DATASET,
            commit_message=f"{info['total_episodes']} episodes",
        )
        if not (config.dataset / "README.md").exists():
            text = card(config.dataset, config.license).encode()
            api.upload_file(path_or_fileobj=text, path_in_repo="README.md", repo_id=repo, repo_type=kind)
        for tag in filter(None, (info["codebase_version"], config.tag)):
            with contextlib.suppress(HfHubHTTPError):  # there is none yet
                api.delete_tag(repo, tag=tag, repo_type=kind)
            api.create_tag(repo, tag=tag, repo_type=kind)
    print(f"{config.dataset}: {info['total_episodes']} episodes pushed to {api.endpoint}/datasets/{config.repo_id}")
    return 0


def card(dataset: Path, license_: str) -> str:
    """The text of the dataset's page."""
    known = describe(dataset)
    failures = known["episodes"] - known["successes"]
    outcome = f"{known['successes']} successes, {failures} others" if known["end_reasons"] else "not judged"
    columns = "\n".join(f"| `{name}` | {kind} |" for name, kind in known["columns"].items())
    facts = known | {"columns": columns, "tasks": "; ".join(known["tasks"]), "license": license_, "outcome": outcome}
    return CARD.format(**facts)


def pull(config: PullConfig) -> int:
    """Download a dataset; it appears complete or not at all."""
    from huggingface_hub import HfApi, snapshot_download

    _require_full_name(config.repo_id)
    if config.output.exists():
        raise SteadyhandError(f"output folder '{config.output}' exists; choose another folder or remove it")
    with _one_line_errors(f"cannot pull '{config.repo_id}'"):
        commit = str(HfApi().dataset_info(config.repo_id, revision=config.revision).sha)
        begun = f".{config.output.name}.{config.repo_id.replace('/', '--')}."
        partial = config.output.with_name(begun + commit)  # another version must not go on there
        snapshot_download(config.repo_id, repo_type="dataset", revision=commit, local_dir=partial)
    try:
        info = read_info(partial)
    except SteadyhandError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    publish_folder(partial, config.output)
    for left in config.output.parent.glob(f"{glob.escape(begun)}*"):  # of other versions
        shutil.rmtree(left, ignore_errors=True)
    print(f"{config.output}: {info['total_episodes']} episodes, {info['total_frames']} frames")
    return 0
