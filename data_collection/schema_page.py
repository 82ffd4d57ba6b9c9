"""docs/schema.md, made of the schema: `python -m steadyhand.data_collection.schema_page > docs/schema.md`."""

import pyarrow as pa

from steadyhand.data_collection.labels import MODES, UNKNOWN, segment_names
from steadyhand.data_collection.schema import STAMP, features
from steadyhand.data_collection.sidecar import ROW

COLUMNS = {
    "observation.state": "pose of the tool in the base frame (position m, rotation 6-D), opening of the gripper "
    "(0 closed .. 1 open), what the world exerts on the tool (N, Nm; base axes)",
    "observation.joints": "joint positions (rad), joint velocities (rad/s)",
    "observation.reference": "pose that the controller tracks now (position m, rotation 6-D)",
    "observation.environment_state": "what may be seen of the task's objects; twin only",
    "observation.images.<camera>": "video, if the camera was recorded; RGB",
    "observation.images.<camera>_depth": "mm along the optical axis, 0 where nothing was measured; 16-bit images",
    "action": "requested pose of the tool in the base frame (position m, rotation 6-D), gripper (0 closed .. 1 open)",
    "action_applied": "what the controller tracked at the end of the period, after its checks and interpolation",
    "segment": f"who decided: {', '.join(f'{i} {name}' for i, name in enumerate(segment_names()))}",
    "intervention": "true in recovery and correction",
    "subtask": "how many sub-tasks were done before: marked by the operator; in episodes that the twin makes without "
    "ROS, those that the task saw completed",
    "chunk_index": f"place of the action in the chunk that the policy decided at once, from 0; {UNKNOWN}: no chunk. "
    "On ROS from `policy/decision`, which `steadyhand policy` publishes",
    "controller_status": "what the controller was doing when the observation was taken: "
    f"{', '.join(f'{i} {name}' for i, name in enumerate(MODES))}, {UNKNOWN} unknown",
    STAMP: "when the decision was taken, s since the first of the episode; LeRobot's own `timestamp` is frame / rate",
}
EPISODE = {
    "episode_index": "as in LeRobot's own files",
    "success": "whether the task was done; empty: nobody judged it",
    "end_reason": "why it ended: success, failure, operator (discarded, then kept after all), timeout, ...",
    "operator": "who demonstrated or helped",
    "policy_version": "of the policy that decided; empty: none did",
    "robot": "its name",
    "task": "what was to be done, in words",
    "seed": "of the twin's episode; empty on a real arm",
    "rules": "in force, as JSON: those of the session by name; `safety`: the limits of the controllers, by node and "
    "parameter",
    "dropped_frames": "frames that are missing",
    "human_frames": "frames that a human decided",
    "source": "the journal's episode that it was made of",
    "note": "what the operator remarked",
    "subtasks": "names of the sub-tasks that were done, as a JSON list along which `subtask` counts: as the operator "
    "gave them; in episodes that the twin makes without ROS, those of its task",
    "configuration": "what it was recorded with, as JSON: kind -> file in `meta/steadyhand/configuration`; `changes`: "
    "what changed while it ran (s since the first decision, kind, file)",
}


def page() -> str:
    """The text of the page."""
    columns = features(7, ["..."], {"<camera>": (2, 2)}, depths={"<camera>": (2, 2)})
    lines = [
        "# The columns of a dataset",
        "",
        "Made from `data_collection/schema_page.py`. Shapes are those of an arm with 7 joints; with two arms the",
        "values of both follow each other, and their names begin with `left_` and `right_`. One row is one decision",
        "(10 Hz); the observation is taken before the action it belongs to. Rotation 6-D is the first two columns of",
        "the rotation matrix. Training reads the observations, `action`, `segment` and the sidecar's `success`.",
        "",
        "| column | shape | type | values | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, column in columns.items():
        names, shape = ", ".join(column["names"]), ", ".join(map(str, column["shape"]))
        if "." in names:
            names, shape = "the task's", "task"
        if column["dtype"] in ("video", "image"):
            names, shape = ", ".join(column["names"]), f"H, W, {column['shape'][-1]}"
        lines.append(f"| `{name}` | {shape} | {column['dtype']} | {names} | {COLUMNS[name]} |")
    lines += [
        "",
        "Further sensors (`record --arrays`) are columns `observation.<name>` of their own. `data convert",
        "--clouds` adds `observation.point_cloud` (points, 3) float32: x, y, z in the base frame, m.",
        "",
        "`meta/steadyhand/schema.json` holds the schema's version and the names of segments and controller modes.",
        "",
        "Not there, because no message of ROS says it: which node published a decision. Who decided is in `segment`, "
        "`operator` and",
        "`policy_version`; a row with a `chunk_index` other than -1 was decided by that policy.",
        "",
        "# The columns of the sidecar",
        "",
        "`meta/steadyhand/episodes.parquet` has a row per episode.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{field.name}` | {_type(field.type)} | {EPISODE[field.name]} |" for field in ROW]
    return "\n".join(lines) + "\n"


def _type(type_: pa.DataType) -> str:
    return "text" if type_ == pa.string() else str(type_)


if __name__ == "__main__":
    print(page(), end="")
