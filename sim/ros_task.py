"""The topics of a twin's task."""

from steadyhand import ros, ros_messages
from steadyhand.sim.realtime import Instant, RealtimeWorld


class TaskTopics:
    """What only a twin knows: where things are, what is asked for, whether it is done. A bare arm has none."""

    def __init__(self, node: ros.Node, world: RealtimeWorld) -> None:
        """Advertise, and say what the running episode asks for."""
        task = world.world.task
        self._world, self._names = world, task.environment_names if task else ()
        names = ("environment_state", "truth", "success", "instruction") if task else ()
        self._out = {name: ros.publisher(node, f"task/{name}") for name in names}
        self._success: bool | None = None
        self.begin()

    def begin(self) -> None:
        """An episode has begun."""
        if self._out:
            self._out["instruction"].publish(ros.String(data=self._world.instruction))

    def publish(self, instant: Instant) -> None:
        """The task as of an instant; its success when that changes."""
        view = self._world.look(instant)
        if view is None:
            return
        stamp = instant.observation.time
        self._out["environment_state"].publish(ros_messages.joints(self._names, view.seen, stamp))
        self._out["truth"].publish(ros_messages.joints(self._names, view.truth, stamp))
        if view.success != self._success:
            self._success = view.success
            self._out["success"].publish(ros_messages.flag(view.success))
