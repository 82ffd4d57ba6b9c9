// The hand-over of references to the loop, for ThreadSanitizer: one thread asks, another controls.
//
// The exchange is that of sim/native/realtime_twin.hpp and the ROS 2 plug-ins: a whole References in a Mailbox. Only
// this program is instrumented; it contains both sides of the exchange.
#include <atomic>
#include <iostream>
#include <thread>

#include "crisp_control/mailbox.hpp"
#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

constexpr int kMessages = 20'000;
constexpr double kScale = 1e-6;

/// Message number `i`: every part of it says so, so that a torn one can be told.
References message(int i, const Pose& home) {
  References references;
  const double shift = kScale * i;
  const Decision decision{kDt * i, static_cast<std::uint64_t>(i)};
  references.pose = {{home.position + Vector3::Constant(shift), home.orientation}, decision};
  references.chunk.size = PoseChunk::kCapacity;
  for (int k = 0; k < PoseChunk::kCapacity; ++k) references.chunk.poses[k] = {references.pose.T_base_ee, kDt * i + k};
  references.chunk.decision = decision;
  references.joint = {JointVector::Constant(7, shift), JointVector::Constant(7, shift), decision};
  references.wrench = {Vector6::Constant(shift), decision};
  references.stiffness = {Vector6::Constant(500.0 + shift), decision};
  return references;
}

bool whole(const References& r, const Pose& home) {
  const auto number = r.pose.decision.sequence;
  const double shift = kScale * static_cast<double>(number);
  bool same = r.chunk.decision.sequence == number && r.joint.decision.sequence == number &&
              r.wrench.decision.sequence == number && r.stiffness.decision.sequence == number &&
              r.joint.q == JointVector::Constant(7, shift) && r.wrench.wrench == Vector6::Constant(shift) &&
              r.stiffness.stiffness == Vector6::Constant(500.0 + shift);
  for (const TimedPose& pose : r.chunk.poses) {
    same = same && pose.T_base_ee.position == home.position + Vector3::Constant(shift);
  }
  return same;
}

int exchange() {
  ArmModel model = fr3();
  const ArmTerms rest = model.update(fr3_home(), JointVector::Zero(7));
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  ArmState state{fr3_home(), JointVector::Zero(7), rest.gravity, 0.0};
  controller.reset(state);
  Mailbox<References> exchange;
  std::atomic<bool> done{false};
  std::thread producer([&] {
    for (int i = 1; i <= kMessages; ++i) exchange.write(message(i, rest.T_base_ee));
    done = true;
  });
  References received;
  std::uint64_t last = 0;
  int seen = 0, torn = 0, backwards = 0;
  for (bool over = false; !over;) {
    over = done;  // before reading: what was written before is read still
    if (const References* newest = exchange.read()) {
      received = *newest;
      ++seen;
      torn += !whole(received, rest.T_base_ee);
      backwards += received.pose.decision.sequence <= last;
      last = received.pose.decision.sequence;
    }
    state.time = received.pose.decision.stamp;
    controller.update(state, received, kDt);
  }
  producer.join();
  std::cout << seen << " of " << kMessages << " messages seen, " << torn << " torn, " << backwards << " out of order, "
            << controller.status().reference.accepted << " accepted" << std::endl;
  return torn || backwards || last != kMessages || controller.status().reference.accepted == 0;
}

}  // namespace
}  // namespace crisp_control::test

int main() { return crisp_control::test::exchange(); }
