// steadyhand.bench._control: the timing loops for Python. The process must preload libcounting, or nothing is counted.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <mutex>

#include "control_timing.hpp"
#include "crisp_control/cartesian_admittance.hpp"
#include "crisp_control/gravity_compensation.hpp"
#include "crisp_control/joint_impedance.hpp"
#include "crisp_control/torque_feedback.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace crisp_control;
using namespace steadyhand::bench;

namespace {

void add_state(Trace& trace, const Eigen::VectorXd& q, const Eigen::VectorXd& dq, const Eigen::VectorXd& tau,
               double time, const Eigen::VectorXd& bare_q, const Eigen::VectorXd& bare_dq) {
  if (q.size() > kMaxJoints || dq.size() != q.size() || tau.size() != q.size() || bare_dq.size() != q.size() ||
      bare_q.size() < q.size() || trace.references.empty()) {
    throw std::invalid_argument("a state needs q, dq and tau of one length, at most 8, and references before it");
  }
  trace.states.push_back({q, dq, tau, time});
  trace.bare_q.push_back(bare_q);
  trace.bare_dq.push_back(bare_dq);
  trace.references_at.push_back(trace.references.size() - 1);
}

// One allocation and one lock: whether they are seen at all.
Counts count_one_of_each() {
  std::mutex mutex;
  steadyhand_counting_start();
  void* volatile block = std::malloc(1);
  mutex.lock();
  const Counts counts = steadyhand_counting_stop();
  mutex.unlock();
  std::free(block);
  return counts;
}

template <typename C, typename P>
void def_paced(nb::module_& m) {
  m.def("paced", &paced<C, P>, "controller"_a, "first"_a, "second"_a, "trace"_a, "ticks"_a, "stretch"_a,
        nb::call_guard<nb::gil_scoped_release>(),
        "Ticks at 1 kHz; in every second stretch of ticks parameters arrive 100 times a second.");
}

}  // namespace

NB_MODULE(_control, m) {
  nb::module_::import_("steadyhand.crisp_control._core");  // the types of controllers, parameters and references
  m.doc() = "Times controllers without Python in the loop.";
  nb::class_<Counts>(m, "Counts").def_ro("allocations", &Counts::allocations).def_ro("locks", &Counts::locks);
  nb::class_<BareTerms>(m, "BareTerms", "Pinocchio's terms alone.")
      .def(nb::init<const std::string&, const std::vector<std::string>&, const std::string&>(), "urdf_xml"_a,
           "joints"_a, "tool_frame"_a);
  nb::class_<Trace>(m, "Trace", "A recorded motion.")
      .def(nb::init<double>(), "dt"_a)
      .def(
          "add_references", [](Trace& s, const References& references) { s.references.push_back(references); },
          "references"_a, "What the controller is asked from the next state on.")
      .def("add_state", &add_state, "q"_a, "dq"_a, "tau"_a, "time"_a, "bare_q"_a, "bare_dq"_a,
           "bare_*: the same in Pinocchio's coordinates.");
  nb::class_<Timing>(m, "Timing")
      .def_ro("update_us", &Timing::update_us)
      .def_ro("bare_us", &Timing::bare_us)
      .def_ro("counts", &Timing::counts);
  nb::class_<PacedTiming>(m, "PacedTiming")
      .def_ro("quiet_us", &PacedTiming::quiet_us)
      .def_ro("with_sets_us", &PacedTiming::with_sets_us)
      .def_ro("counts", &PacedTiming::counts)
      .def_ro("sets", &PacedTiming::sets)
      .def_ro("fifo", &PacedTiming::fifo);
  m.def("count_one_of_each", &count_one_of_each, "Counts of one allocation and one lock.");
  m.def("back_to_back", &back_to_back, "controller"_a, "bare"_a, "trace"_a, "passes"_a,
        nb::call_guard<nb::gil_scoped_release>(), "Every update and every bare computation on its own, us.");
  def_paced<CartesianAdmittance, CartesianAdmittanceParams>(m);  // before its base class
  def_paced<CartesianImpedance, CartesianImpedanceParams>(m);
  def_paced<JointImpedance, JointImpedanceParams>(m);
  def_paced<GravityCompensation, GravityCompensationParams>(m);
  def_paced<TorqueFeedback, TorqueFeedbackParams>(m);
}
