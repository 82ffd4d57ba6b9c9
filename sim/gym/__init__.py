"""The twin's tasks as Gymnasium environments: importing this package registers one per task.

Gymnasium looks for no entry points, but imports the module that is named before a colon, also in worker processes:
`gymnasium.make("steadyhand.sim.gym:steadyhand/PegInsertion-v0")`.
"""

import gymnasium

from steadyhand.sim.tasks import make_task, task_names
from steadyhand.sim.tasks.own import is_own

ENVIRONMENT = "steadyhand.sim.gym.environment:TwinEnv"
OWN = "steadyhand/Twin-v0"  # any task, given as task="path/to/my_task.py:MyTask"


def env_id(task: str) -> str:
    """Gymnasium's name of a task: peg_insertion is steadyhand/PegInsertion-v0; your own ones share one name."""
    make_task(task)
    if is_own(task):
        return OWN
    return f"steadyhand/{''.join(word.capitalize() for word in task.split('_'))}-v0"


def register_environments() -> None:
    """Register the environments of all tasks; again after adding one."""
    for task in task_names():
        if env_id(task) not in gymnasium.registry:
            gymnasium.register(env_id(task), ENVIRONMENT, kwargs={"task": task})
    if OWN not in gymnasium.registry:
        gymnasium.register(OWN, ENVIRONMENT)


register_environments()
