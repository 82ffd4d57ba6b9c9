// steadyhand.sim._native: the twin for Python. Python decides at the policy's rate and never runs per tick.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <numeric>
#include <optional>

#include "realtime_twin.hpp"
#include "twin_batch.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace steadyhand;
using crisp_control::Controller;
using crisp_control::Pose;
using crisp_control::References;
using crisp_control::Vector3;
using crisp_control::Vector6;
using Vector4 = Eigen::Vector4d;

namespace {

Eigen::VectorXd as_vector(const double* values, int size) { return Eigen::Map<const Eigen::VectorXd>(values, size); }

/// The command `before`, with a new pose and opening.
Command with_pose(Command before, const Vector3& position, const Vector4& quaternion_xyzw, double stamp,
                  double gripper) {
  auto& pose = before.references.pose;
  pose = {{position, Eigen::Quaterniond(quaternion_xyzw)}, {stamp, pose.decision.sequence + 1}};
  before.gripper = gripper;
  return before;
}

/// Throws std::invalid_argument if there is no such arm.
Arm& arm_of(Twin& twin, int arm) {
  if (arm < 0 || arm >= twin.size()) {
    throw std::invalid_argument("arm " + std::to_string(arm) + " of a twin with " + std::to_string(twin.size()));
  }
  return twin.arm(arm);
}

int body_id(const Twin& twin, const std::string& name) {
  const int id = mj_name2id(&twin.model(), mjOBJ_BODY, name.c_str());
  if (id < 0) throw std::invalid_argument("the scene has no body '" + name + "'");
  return id;
}

/// Sum of the normal forces between two bodies, N.
double contact_force(Twin& twin, const std::string& a, const std::string& b) {
  const mjModel& model = twin.model();
  const mjData& data = twin.data();
  const int first = body_id(twin, a), second = body_id(twin, b);
  double total = 0.0;
  for (int i = 0; i < data.ncon; ++i) {
    const int one = model.geom_bodyid[data.contact[i].geom[0]], two = model.geom_bodyid[data.contact[i].geom[1]];
    if ((one == first && two == second) || (one == second && two == first)) {
      mjtNum force[6];
      mj_contactForce(&model, &data, i, force);
      total += force[0];
    }
  }
  return total;
}

void apply_wrench(Twin& twin, const std::string& body, const Vector6& wrench) {
  Eigen::Map<Vector6>(twin.data().xfrc_applied + 6 * body_id(twin, body)) = wrench;
}

void reset_twin(Twin& twin, const Eigen::VectorXd& qpos, const std::optional<Eigen::VectorXd>& mocap, double gripper,
                std::uint64_t seed) {
  const Eigen::VectorXd placed = mocap ? *mocap : mocap_state(twin.data(), twin.model());
  twin.check_state(qpos, placed);
  twin.reset(qpos.data(), placed.data(), gripper, seed);
}

void bind_observation(nb::module_& m) {
  const auto vector = [](const auto& value) { return Eigen::VectorXd(value); };
  nb::class_<Observation>(m, "Observation", "What the robot measures at one instant; poses in the base frame.")
      .def_ro("time", &Observation::time)
      .def_prop_ro("q", [vector](const Observation& o) { return vector(o.q); })
      .def_prop_ro("dq", [vector](const Observation& o) { return vector(o.dq); })
      .def_prop_ro(
          "tau", [vector](const Observation& o) { return vector(o.tau); }, "Applied joint torque, Nm.")
      .def_prop_ro(
          "tau_ext", [vector](const Observation& o) { return vector(o.tau_external); },
          "External joint torque estimated by the momentum observer, Nm.")
      .def_prop_ro("position", [](const Observation& o) { return o.T_base_ee.position; })
      .def_prop_ro("quaternion", [](const Observation& o) { return Vector4(o.T_base_ee.orientation.coeffs()); })
      .def_ro("twist", &Observation::twist)
      .def_ro("wrench", &Observation::wrench, "Estimated external wrench on the tool, base axes, N and Nm.")
      .def_ro("force_peak", &Observation::force_peak, "Largest force of the wrench at any tick since the reset, N.")
      .def_ro("gripper", &Observation::gripper, "0 closed .. 1 open, measured.")
      .def_prop_ro("reference_position", [](const Observation& o) { return o.T_base_reference.position; })
      .def_prop_ro("reference_quaternion",
                   [](const Observation& o) { return Vector4(o.T_base_reference.orientation.coeffs()); })
      .def_ro("status", &Observation::status);
}

void bind_sensors(nb::module_& m) {
  nb::class_<SensorModel>(m, "SensorModel", "How an arm's own senses and drives err; all zero: not at all.")
      .def(nb::init<>())
      .def_rw("q_step", &SensorModel::q_step, "Resolution of the encoders, rad.")
      .def_rw("q_noise", &SensorModel::q_noise, "Standard deviation at every tick, as all noise here, rad.")
      .def_rw("dq_noise", &SensorModel::dq_noise, "rad/s")
      .def_rw("tau_step", &SensorModel::tau_step, "Resolution of the joint torque sensors, Nm.")
      .def_rw("tau_noise", &SensorModel::tau_noise, "Nm")
      .def_rw("force_noise", &SensorModel::force_noise, "Of the force/torque sensor, N.")
      .def_rw("torque_noise", &SensorModel::torque_noise, "Nm")
      .def_rw("measurement_delay", &SensorModel::measurement_delay, "Ticks between an instant and its measurement.")
      .def_rw("command_delay", &SensorModel::command_delay, "Ticks between a torque's command and its effect.");
  m.attr("MAX_DELAY") = kMaxDelay;
}

void bind_twin(nb::module_& m) {
  nb::class_<Twin>(m, "Twin", "MuJoCo physics and the controller core in one loop.")
      .def(
          "__init__",
          [](Twin* self, std::uintptr_t model_address, const Controller& controller, const SensorModel& sensors) {
            new (self) Twin(reinterpret_cast<const mjModel*>(model_address), {{"", &controller, sensors}});
          },
          "model_address"_a, "controller"_a, "sensors"_a = SensorModel{},
          "model_address: mujoco.MjModel._address; all are copied.")
      .def(
          "__init__",
          [](Twin* self, std::uintptr_t model_address,
             const std::vector<std::tuple<std::string, const Controller*, SensorModel>>& arms) {
            std::vector<ArmSetup> setups;
            for (const auto& [prefix, controller, sensors] : arms) setups.push_back({prefix, controller, sensors});
            new (self) Twin(reinterpret_cast<const mjModel*>(model_address), setups);
          },
          "model_address"_a, "arms"_a, "arms: prefix of the arm's names in the scene, controller, sensors of each.")
      .def("reset", &reset_twin, "qpos"_a, "mocap"_a = nb::none(), "gripper"_a = 1.0, "seed"_a = 0,
           "Starts at rest; mocap: (7 nmocap) positions and quaternions (wxyz), as they are if None; seed: of sensors.")
      .def(
          "set_reference",
          [](Twin& s, const Vector3& position, const Vector4& quaternion_xyzw, double stamp, double gripper, int arm,
             double latency) {
            Arm& one = arm_of(s, arm);
            const double due = latency > 0.0 ? s.data().time + latency : 0.0;
            one.set_command(with_pose(one.requested(), position, quaternion_xyzw, stamp, gripper), due);
          },
          "position"_a, "quaternion_xyzw"_a, "stamp"_a, "gripper"_a, "arm"_a = 0, "latency"_a = 0.0,
          "Requests a tool pose in the arm's base frame; stamp on the twin's clock; latency: s until it acts.")
      .def(
          "set_references",
          [](Twin& s, const References& references, double gripper, int arm) {
            arm_of(s, arm).set_command({references, gripper});
          },
          "references"_a, "gripper"_a = 1.0, "arm"_a = 0,
          "Requests whatever the controller takes; replaces set_reference.")
      .def("step", &Twin::step, "ticks"_a, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "observe",
          [](Twin& s, int arm) {
            arm_of(s, arm);
            return s.observe(arm);
          },
          "arm"_a = 0)
      .def("__len__", &Twin::size, "Number of arms.")
      .def_prop_ro("time", [](const Twin& s) { return s.data().time; })
      .def_prop_ro("timestep", [](const Twin& s) { return s.model().opt.timestep; })
      .def_prop_ro("qpos", [](const Twin& s) { return as_vector(s.data().qpos, s.model().nq); })
      .def_prop_ro("qvel", [](const Twin& s) { return as_vector(s.data().qvel, s.model().nv); })
      .def_prop_ro("mocap", [](const Twin& s) { return mocap_state(s.data(), s.model()); })
      .def_prop_ro("contacts", [](const Twin& s) { return s.data().ncon; })
      .def(
          "body_pose",
          [](const Twin& s, const std::string& name) {
            const int id = body_id(s, name);
            const mjtNum* q = s.data().xquat + 4 * id;
            return std::make_pair(Vector3(s.data().xpos + 3 * id), Vector4(q[1], q[2], q[3], q[0]));
          },
          "name"_a, "Position and orientation (xyzw) of a body in the world, as of the last step.")
      .def("contact_force", &contact_force, "body_a"_a, "body_b"_a)
      .def("apply_wrench", &apply_wrench, "body"_a, "wrench"_a,
           "Force and torque on a body (world axes, at its centre of mass) until changed.");
}

/// A batch that keeps Python's twins alive: the list they came in may be changed or dropped.
struct PythonBatch {
  PythonBatch(const std::vector<Twin*>& twins, int threads) : batch(twins, threads) {
    for (Twin* twin : twins) owners.push_back(nb::find(twin));
  }

  std::vector<nb::object> owners;
  TwinBatch batch;  // after the owners: its threads end before they go
};

void bind_batch(nb::module_& m) {
  nb::class_<PythonBatch>(m, "TwinBatch", "Steps many twins on a few threads; the result does not depend on how many.")
      .def(nb::init<const std::vector<Twin*>&, int>(), "twins"_a, "threads"_a)
      .def(
          "step",
          [](PythonBatch& s, int ticks, std::optional<std::vector<int>> which) {
            if (!which) {
              which.emplace(s.batch.size());
              std::iota(which->begin(), which->end(), 0);
            }
            const nb::gil_scoped_release release;
            s.batch.step(ticks, *which);
          },
          "ticks"_a, "which"_a = nb::none());
}

void bind_realtime(nb::module_& m) {
  nb::class_<RealtimeTwin>(m, "RealtimeTwin", "A twin on a thread of its own against the wall clock.")
      .def(nb::init<Twin&, double>(), "twin"_a, "speed"_a = 1.0, nb::keep_alive<1, 2>(),
           "speed: simulated seconds per second, 0.1 to 10; only at 1 the stamps are the system's clock.")
      .def("start", &RealtimeTwin::start)
      .def("stop", &RealtimeTwin::stop, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("running", &RealtimeTwin::running)
      .def(
          "send",
          [](RealtimeTwin& s, const Vector3& position, const Vector4& quaternion_xyzw, double stamp, double gripper,
             int arm) {
            arm_of(s.twin(), arm);
            s.send(with_pose(s.last_sent(arm), position, quaternion_xyzw, stamp, gripper), arm);
          },
          "position"_a, "quaternion_xyzw"_a, "stamp"_a, "gripper"_a, "arm"_a = 0,
          "stamp: s, on the clock of the snapshots.")
      .def(
          "send_references",
          [](RealtimeTwin& s, const References& references, double gripper, int arm) {
            arm_of(s.twin(), arm);
            s.send({references, gripper}, arm);
          },
          "references"_a, "gripper"_a, "arm"_a = 0)
      .def("reset", &RealtimeTwin::request_reset, "qpos"_a, "mocap"_a, "gripper"_a = 1.0, "seed"_a = 0,
           "Asks the loop to restart there; False if it does not take requests.")
      .def("set_paused", &RealtimeTwin::request_pause, "paused"_a)
      .def(
          "snapshot",
          [](RealtimeTwin& s) -> std::optional<std::tuple<std::vector<Observation>, Eigen::VectorXd, Eigen::VectorXd>> {
            const Snapshot* newest = s.snapshot();
            if (!newest) return std::nullopt;
            const mjModel& model = s.twin().model();
            const auto* first = newest->observations.data();
            return std::make_tuple(std::vector<Observation>(first, first + s.twin().size()),
                                   as_vector(newest->qpos.data(), model.nq),
                                   as_vector(newest->mocap.data(), 7 * model.nmocap));
          },
          "(one Observation an arm, qpos, mocap) of the newest tick; None if there is none since the last call.")
      .def("statistics", [](const RealtimeTwin& s) {
        const RealtimeStatistics r = s.statistics();
        nb::dict out;
        out["real_time_factor"] = r.real_time_factor;
        out["ticks"] = r.ticks;
        out["overruns"] = r.overruns;
        out["max_late_us"] = r.max_late_us;
        out["p99_late_us"] = r.p99_late_us;
        out["scheduler"] = r.fifo ? "SCHED_FIFO" : "SCHED_OTHER";
        return out;
      });
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Steadyhand's twin: physics and controller in one C++ loop.";
  nb::module_::import_("steadyhand.crisp_control._core");  // ArmModel and the controller's types
  // MuJoCo's Python module hands MuJoCo a clock for its profiler, which asks it 25 times a step: 3 to 5 % of a twin.
  nb::module_::import_("mujoco");
  mjcb_time = nullptr;
  bind_observation(m);
  bind_sensors(m);
  bind_twin(m);
  bind_batch(m);
  bind_realtime(m);
}
