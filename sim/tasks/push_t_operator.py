"""The scripted human of push_t: chooses a push by a model of sliding, makes it, looks, chooses the next.

Model of a push at one point that does not slip: the block's twist is normal to an ellipsoidal limit surface (Goyal,
Ruina and Papadopoulos, "Planar sliding with dry friction", Wear 143, 1991), with c the ratio of the largest moment to
the largest force that the table's friction resists.
"""

from dataclasses import dataclass

import numpy as np

from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.operator import Goal, Skill, smallest
from steadyhand.sim.tasks.tip import TipHand

BARS = (
    (0.0, 0.0274, 0.064, 0.016),
    (0.0, -0.0366, 0.016, 0.048),
)  # m: x y of the centre, half sizes; origin: their mass's
C = 0.066  # m; for a block on three feet, sum of their loads times their distances
LENGTH = 0.06  # m per rad: what a turn is worth
STEP, STEPS = 0.005, 24  # m; a push is at most STEP STEPS long
GRIP = 0.6  # of the force along the normal that may act across it, or the tip slips
TIP_RADIUS = 0.011  # m; of fingers or stick
CLEARANCE = 0.028  # m between the tip's middle and the block where it comes down
PUSH_HEIGHT = 0.020  # m
CORNER, NOOK = 0.010, 0.030  # m kept from the ends of an edge, and from the corners inside
BEAM = 16  # first pushes whose second push is thought of
REACH = (0.43, 0.70)  # m from the base, where the tip can come down
KEPT = (0.50, 0.61)  # m from the base, where the block is kept
ARRIVED = 0.004  # m
BACK = 0.010  # m
STUCK = 12  # decisions near the end of a push before it is given up


@dataclass(frozen=True)
class Push:
    """Where the tip comes down, where it goes, and where the block was."""

    begin: np.ndarray  # (2,) m
    end: np.ndarray  # (2,)
    angle: float  # rad, of the way between them
    block: np.ndarray  # (3,) x y yaw


def pose_error(truth: np.ndarray) -> np.ndarray:
    """Goal minus block: x y (m) and yaw (rad), (3,)."""
    turn = np.arctan2(truth[12], truth[11]) - np.arctan2(truth[7], truth[6])
    return np.array([*(truth[9:11] - truth[3:5]), wrap(turn)])


def wrap(angle: np.ndarray | float) -> np.ndarray:
    """The same angle within -pi and pi."""
    return (np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi


def _edges() -> tuple[np.ndarray, np.ndarray]:
    """Points (K, 2) on the outline that can be pushed, and the normals (K, 2) into the block."""
    (_, top_y, top_x, top_h), (_, stem_y, stem_x, stem_h) = BARS
    high, low, foot = top_y + top_h, top_y - top_h, stem_y - stem_h
    corners = [(-top_x, high), (-top_x, low), (-stem_x, low), (-stem_x, foot), (stem_x, foot), (stem_x, low)]
    corners += [(top_x, low), (top_x, high)]
    points, normals = [], []
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        along = np.subtract(b, a)
        length = float(np.linalg.norm(along))
        along = along / length
        kept = [NOOK if corner in ((-stem_x, low), (stem_x, low)) else CORNER for corner in (a, b)]
        for s in np.arange(kept[0], length - kept[1] + 1e-9, 0.008):
            points.append(np.add(a, s * along))
            normals.append([-along[1], along[0]])  # the outline goes round counter-clockwise
    return np.array(points), np.array(normals)


POINTS, NORMALS = _edges()


def _turned(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)


def predict(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every push of every point: block poses (B, 3) to poses (STEPS, B, K, 3), and whether the tip holds (STEPS, B, K).

    Pushes go straight along the normal that the point has at their beginning.
    """
    pose = np.repeat(blocks[:, None, :], len(POINTS), axis=1)
    arm = _turned(POINTS, pose[..., 2])  # from the centre of mass to the point
    push = _turned(NORMALS, pose[..., 2])
    ends, holds = [], []
    held = np.ones(pose.shape[:2], bool)
    for _ in range(STEPS):
        x, y = arm[..., 0] / C, arm[..., 1] / C
        # Inverse of the mobility [[1 + y y, -x y], [-x y, 1 + x x]] of the point.
        inverse = STEP / (1.0 + x * x + y * y)
        force = np.stack(
            [
                inverse * ((1.0 + x * x) * push[..., 0] + x * y * push[..., 1]),
                inverse * (x * y * push[..., 0] + (1.0 + y * y) * push[..., 1]),
            ],
            axis=-1,
        )
        turn = (x * force[..., 1] - y * force[..., 0]) / C
        normal = _turned(NORMALS, pose[..., 2])
        along = np.sum(force * normal, axis=-1)
        held = held & (np.abs(force[..., 0] * normal[..., 1] - force[..., 1] * normal[..., 0]) < GRIP * along)
        pose = pose + np.concatenate([force, turn[..., None]], axis=-1)
        arm = _turned(arm, turn)
        ends.append(pose)
        holds.append(held)
    return np.array(ends), np.array(holds)


def cost(poses: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Squared distance (m^2) of poses (..., 3) from the goal (3,), turns weighted by LENGTH."""
    across = np.sum((poses[..., :2] - goal[:2]) ** 2, axis=-1)
    return across + (LENGTH * wrap(poses[..., 2] - goal[2])) ** 2


def _worth(poses: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Cost of poses (..., 3) to come to; where the tip cannot come behind the block they lead nowhere."""
    distance = np.linalg.norm(poses[..., :2], axis=-1)
    return cost(poses, goal) + 20.0 * (distance - np.clip(distance, *KEPT)) ** 2


def _reachable(blocks: np.ndarray) -> np.ndarray:
    """Whether the tip can come down beside each point of blocks (B, 3): (B, K)."""
    begin = blocks[:, None, :2] + _turned(POINTS - CLEARANCE * NORMALS, blocks[:, None, 2])
    distance = np.linalg.norm(begin, axis=-1)
    return (distance > REACH[0]) & (distance < REACH[1])


def choose(block: np.ndarray, goal: np.ndarray) -> Push:
    """The first of the two pushes after which the block (3,) is nearest to the goal (3,)."""
    ends, holds = predict(block[None])
    first = np.where(holds & _reachable(block[None]), _worth(ends, goal), np.inf)[:, 0]
    ends = ends[:, 0]
    best = np.argsort(first, axis=None)[:: max(1, first.size // 400)][:BEAM]
    best[0] = int(np.argmin(first))
    second_ends, second_holds = predict(ends.reshape(-1, 3)[best])
    second = np.where(second_holds & _reachable(ends.reshape(-1, 3)[best]), _worth(second_ends, goal), np.inf)
    total = 0.3 * first.ravel()[best] + np.minimum(second.min(axis=(0, 2)), first.ravel()[best])
    steps, point = np.unravel_index(best[int(np.argmin(total))], first.shape)
    start, normal = _turned(POINTS[point], block[2]), _turned(NORMALS[point], block[2])
    touch, angle = block[:2] + start, float(np.arctan2(normal[1], normal[0]))
    return Push(touch - CLEARANCE * normal, touch + ((steps + 1) * STEP - TIP_RADIUS) * normal, angle, block)


class PushOperator(TipHand):
    """Truth: PushT's (13,)."""

    safe_height = 0.09
    margin = 0.01
    no_progress = 10.0

    def __init__(self, rng: np.random.Generator, skill: Skill | None = None) -> None:
        super().__init__(rng, skill)
        self._push: Push | None = None
        self._pushing = False
        self._waited = 0
        self._square: float | None = None  # rad, the tool's yaw at the beginning, to the next quarter turn

    def remaining(self, state: np.ndarray, truth: np.ndarray) -> float:
        """Distance from the goal, m."""
        return float(np.sqrt(cost(np.zeros(3), pose_error(truth))))

    def take_over(self, state: np.ndarray) -> None:
        """No push is under way."""
        super().take_over(state)
        self._push = self._square = None

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Come down beside the block, push, and think again."""
        error = pose_error(truth)
        if np.linalg.norm(error[:2]) < 0.006 and abs(error[2]) < 0.09:
            self._push = None
            return self.up(state, truth)
        block = np.array([*truth[3:5], np.arctan2(truth[7], truth[6])])
        moved = self._push is not None and not self._pushing and cost(block, self._push.block) > 0.006**2
        if self._push is None or moved:
            self._push, self._pushing, self._waited = choose(block, block + error), False, 0
        return self._make(self._push, state, truth)

    def _make(self, push: Push, state: np.ndarray, truth: np.ndarray) -> Goal:
        if self._square is None:
            self._square = float(np.round(self._hand[3] / (np.pi / 2)) * np.pi / 2)
        # The flat side of the fingers ahead, which of the two does not matter.
        yaw = self._square + smallest(push.angle - self._square, np.pi)
        if not self._pushing:
            to = np.array([*push.begin, PUSH_HEIGHT])
            turned = abs(wrap(yaw - yaw_of(state[3:9]))) < 0.1
            self._pushing = bool(turned and np.linalg.norm(to - truth[:3]) < 2 * ARRIVED)
            goal = self.travel(state, truth, to)
        else:
            to = np.array([*push.end, PUSH_HEIGHT])
            left = float(np.linalg.norm(to[:2] - truth[:2]))
            self._waited += left < 4 * ARRIVED
            if left < ARRIVED or self._waited > STUCK:
                self._push = None
                # First off the block, so that the fingers do not drag it along on their way up.
                self._hand[:2] = state[:2] - BACK * np.array([np.cos(push.angle), np.sin(push.angle)])
                return self.up(state, truth)
            goal = self.move(state, truth, to, self.skill.fine_speed)
        goal.hand[3] = yaw
        return goal
