"""Between ROS messages and NumPy arrays.

Positions in metres, quaternions xyzw, stamps in seconds of the system clock (Unix time, as float; exact to 0.3 us).
"""

import array
from collections.abc import Mapping, Sequence

import numpy as np

from steadyhand.errors import SteadyhandError
from steadyhand.ros import (
    Bool,
    CameraInfo,
    Clock,
    CompressedImage,
    DiagnosticArray,
    Float64MultiArray,
    Image,
    JointState,
    PoseStamped,
    TransformStamped,
    TwistStamped,
    WrenchStamped,
)

try:
    from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
except ImportError as error:  # steadyhand.ros has imported the package already
    raise SteadyhandError(f"diagnostic_msgs is incomplete ({error}); install it again") from error


Numbers = Sequence[float] | np.ndarray


def set_stamp(header, stamp: float) -> None:
    """Write seconds into a header."""
    set_time(header.stamp, stamp)


def set_time(time, stamp: float) -> None:
    """Write seconds into a builtin_interfaces/Time."""
    seconds = int(stamp)
    nanoseconds = round((stamp - seconds) * 1e9)
    time.sec, time.nanosec = seconds + nanoseconds // 10**9, nanoseconds % 10**9


def get_stamp(message) -> float:
    """Seconds in the header of a message."""
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def pose(position: Numbers, quaternion: Numbers, stamp: float, frame: str) -> PoseStamped:
    """Pose message from a position (3) and a quaternion (4, xyzw)."""
    message = PoseStamped()
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    p, o = message.pose.position, message.pose.orientation
    p.x, p.y, p.z = map(float, position)
    o.x, o.y, o.z, o.w = map(float, quaternion)
    return message


def pose_arrays(message: PoseStamped) -> tuple[np.ndarray, np.ndarray]:
    """Position (3) and quaternion (4, xyzw) of a pose message."""
    p, o = message.pose.position, message.pose.orientation
    return np.array([p.x, p.y, p.z]), np.array([o.x, o.y, o.z, o.w])


def transform(parent: str, child: str, position: Numbers, quaternion: Numbers, stamp: float) -> TransformStamped:
    """Pose of the frame ``child`` in the frame ``parent``: position (3), quaternion (4, xyzw)."""
    message = TransformStamped(child_frame_id=child)
    set_stamp(message.header, stamp)
    message.header.frame_id = parent
    p, o = message.transform.translation, message.transform.rotation
    p.x, p.y, p.z = map(float, position)
    o.x, o.y, o.z, o.w = map(float, quaternion)
    return message


def twist(velocity: Numbers, stamp: float, frame: str) -> TwistStamped:
    """Twist message from (6): linear m/s, angular rad/s."""
    message = TwistStamped()
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = map(float, velocity)
    return message


def wrench(values: Numbers, stamp: float, frame: str) -> WrenchStamped:
    """Wrench message from (6): force N, torque Nm."""
    message = WrenchStamped()
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    force, torque = message.wrench.force, message.wrench.torque
    force.x, force.y, force.z, torque.x, torque.y, torque.z = map(float, values)
    return message


def wrench_array(message: WrenchStamped) -> np.ndarray:
    """Force and torque (6) of a wrench message."""
    force, torque = message.wrench.force, message.wrench.torque
    return np.array([force.x, force.y, force.z, torque.x, torque.y, torque.z])


def joints(
    names: Sequence[str],
    position: Numbers,
    stamp: float,
    velocity: Numbers = (),
    effort: Numbers = (),
) -> JointState:
    """Joint state message; also used for any list of named numbers that needs a stamp."""
    message = JointState()
    set_stamp(message.header, stamp)
    message.name = list(names)
    for field, values in (("position", position), ("velocity", velocity), ("effort", effort)):
        setattr(message, field, array.array("d", values))
    return message


def image(pixels: np.ndarray, stamp: float, frame: str) -> Image:
    """Image message from (height, width, 3) uint8, rgb8."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"an image is (height, width, 3) uint8, not {pixels.shape} {pixels.dtype}")
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8", step=pixels.shape[1] * 3)
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    # the setter checks every element of anything but array.array: 139 ms for an ndarray, 53 ms for a list
    data = array.array("B")
    data.frombytes(pixels.tobytes())
    message.data = data
    return message


def image_array(message: Image) -> np.ndarray:
    """Pixels (height, width, 3) uint8 rgb of an image message."""
    if message.encoding not in ("rgb8", "bgr8"):
        raise SteadyhandError(f"camera image with encoding '{message.encoding}'; allowed: rgb8, bgr8")
    pixels = _rows(message, 3).reshape(message.height, message.width, 3)
    return pixels if message.encoding == "rgb8" else pixels[..., ::-1]


def depth_image(depth: np.ndarray, stamp: float, frame: str) -> Image:
    """16UC1 message, mm, from metres (height, width) along the optical axis; 0: nothing measured (REP 118)."""
    height, width = depth.shape
    message = Image(height=height, width=width, encoding="16UC1", step=2 * width)
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    data = array.array("B")  # as for pictures
    data.frombytes(_millimetres(depth).astype("<u2").tobytes())
    message.data = data
    return message


def depth_array(message: Image) -> np.ndarray:
    """Depth (height, width, 1) uint16 in mm of 16UC1 (mm) or 32FC1 (m), as REP 118 has them.

    0 is where nothing was measured, and where 16 bits do not hold the distance.
    """
    types = {"16UC1": "u2", "32FC1": "f4"}
    if message.encoding not in types:
        raise SteadyhandError(f"depth image with encoding '{message.encoding}'; allowed: {', '.join(types)}")
    dtype = np.dtype((">" if message.is_bigendian else "<") + types[message.encoding])
    rows = np.ascontiguousarray(_rows(message, dtype.itemsize))
    values = rows.view(dtype).reshape(message.height, message.width, 1)
    return values.astype(np.uint16) if message.encoding == "16UC1" else _millimetres(values)


def _millimetres(metres: np.ndarray) -> np.ndarray:
    """The same shape, uint16; 0 where it is not finite, not positive or beyond 65.535 m."""
    rounded = np.rint(1e3 * metres.astype(np.float64))
    return np.where((rounded > 0) & (rounded <= np.iinfo(np.uint16).max), rounded, 0).astype(np.uint16)


def _rows(message: Image, size: int) -> np.ndarray:
    """The bytes (height, width * size) of an image message with so many bytes a pixel."""
    if len(message.data) != message.height * message.step or message.step < message.width * size:
        raise SteadyhandError(
            f"image of {message.height}x{message.width} pixels {message.encoding} with {len(message.data)} bytes, "
            f"{message.step} a row; needed: at least {message.width * size} a row; mend what publishes it"
        )
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, : message.width * size]


def compressed(pixels: np.ndarray, stamp: float, frame: str, quality: int = 90) -> CompressedImage:
    """JPEG message from (height, width, 3) uint8 rgb."""
    import cv2  # 0.1 s to import, and only needed where somebody watches

    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image {pixels.shape} as JPEG")
    message = CompressedImage(format="jpeg")
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    message.data = array.array("B", data.tobytes())
    return message


def decompressed(message: CompressedImage) -> np.ndarray | None:
    """Pixels (height, width, 3) uint8 rgb of a JPEG or PNG message; None if they cannot be decoded."""
    import cv2  # as above

    if not message.data:
        return None
    pixels = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def decompressed_depth(message: CompressedImage) -> np.ndarray | None:
    """Depth (height, width, 1) uint16 in mm of a message of image_transport's compressedDepth; None if it is broken.

    A header of 12 bytes, then a PNG. That of 32FC1 holds rounded inverse distances: refused.
    """
    import cv2  # as above

    if not message.format.startswith("16UC1") or "rvl" in message.format:
        raise SteadyhandError(
            f"compressed depth with format '{message.format}'; allowed: 16UC1 as PNG; let the camera send 16UC1, or "
            "record the raw topic with NAME:depth"
        )
    data = np.frombuffer(message.data, np.uint8)[12:]
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    return None if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2 else pixels[..., None]


def array_values(message) -> tuple[list[str], np.ndarray]:
    """Names and values of a WrenchStamped, a JointState (positions), a Float32MultiArray or a Float64MultiArray."""
    if isinstance(message, WrenchStamped):
        return ["fx", "fy", "fz", "tx", "ty", "tz"], wrench_array(message)
    if isinstance(message, JointState):
        return list(message.name), np.asarray(message.position)
    return [str(i) for i in range(len(message.data))], np.asarray(message.data)


def camera_info(width: int, height: int, K: np.ndarray, stamp: float, frame: str) -> CameraInfo:
    """Pinhole camera without distortion, from its camera matrix (3, 3)."""
    message = CameraInfo(height=height, width=width, distortion_model="plumb_bob")
    set_stamp(message.header, stamp)
    message.header.frame_id = frame
    message.d = array.array("d", [0.0] * 5)
    message.k = K.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([K, np.zeros((3, 1))]).ravel()
    return message


def numbers(values: Numbers) -> Float64MultiArray:
    """Plain list of numbers."""
    return Float64MultiArray(data=array.array("d", values))


def clock(stamp: float) -> Clock:
    """What time it is, s."""
    message = Clock()
    set_time(message.clock, stamp)
    return message


def flag(value: bool) -> Bool:
    """One truth value."""
    return Bool(data=bool(value))


def diagnostics(name: str, level: int, text: str, values: Mapping[str, object], stamp: float) -> DiagnosticArray:
    """One status (level 0 ok, 1 warning, 2 error) with its numbers."""
    status = DiagnosticStatus(
        level=bytes([level]), name=name, message=text, values=[KeyValue(key=k, value=str(v)) for k, v in values.items()]
    )
    message = DiagnosticArray(status=[status])
    set_stamp(message.header, stamp)
    return message


def diagnostics_values(message: DiagnosticArray) -> dict[str, str]:
    """Numbers of the first status, as text by name, with ``level`` and ``message`` added."""
    status = message.status[0]
    values = {item.key: item.value for item in status.values}
    return values | {"level": str(status.level[0]), "message": status.message}
