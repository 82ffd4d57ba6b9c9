#include "fixtures.hpp"

namespace crisp_control::test {

Pose Adversary::near(const Pose& pose) {
  Pose out = pose;
  for (int i = 0; i < 3; ++i) out.position[i] += number(chance(0.1) ? 100.0 : 0.1);
  out.orientation = about({unit(), unit(), unit()}, chance(0.1) ? 3.0 : 0.3) * pose.orientation;
  if (chance(0.1)) out.orientation.coeffs()[rng_() % 4] = number(1.0);
  return out;
}

JointVector Adversary::joints(const JointVector& q) {
  JointVector out = q;
  if (chance(0.05)) out.setZero(static_cast<Eigen::Index>(rng_() % (kMaxJoints + 1)));
  for (auto& value : out) value += number(chance(0.05) ? 100.0 : 0.3);
  return out;
}

PoseReference Adversary::pose(const Pose& around, double now) {
  return {near(around), {stamp(now), chance(0.9) ? ++sequence_ : 0}};
}

const References& Adversary::references(const Pose& around, const JointVector& q, double now) {
  if (chance(0.5)) references_.pose = pose(around, now);
  if (chance(0.1)) {
    PoseChunk& chunk = references_.chunk;
    chunk.size = chance(0.1) ? static_cast<int>(rng_()) : static_cast<int>(rng_() % (PoseChunk::kCapacity + 2));
    double time = now + number(0.2);
    for (TimedPose& pose : chunk.poses) pose = {chance(0.9) ? around : near(around), time += std::abs(number(0.1))};
    chunk.decision = {stamp(now), ++sequence_};
  }
  if (chance(0.2)) references_.joint = {joints(q), joints(JointVector::Zero(q.size())), {stamp(now), ++sequence_}};
  if (chance(0.2)) {
    for (auto& value : references_.wrench.wrench) value = number(chance(0.05) ? 1000.0 : 20.0);
    references_.wrench.decision = {stamp(now), ++sequence_};
  }
  if (chance(0.2)) {
    for (auto& value : references_.stiffness.stiffness) value = std::abs(number(chance(0.05) ? 1e5 : 2000.0));
    references_.stiffness.decision = {stamp(now), ++sequence_};
  }
  return references_;
}

ArmState Adversary::state(const JointVector& q, double time) {
  ArmState out{q, JointVector::Zero(q.size()), JointVector::Zero(q.size()), time};
  for (auto* vector : {&out.q, &out.dq, &out.tau}) {
    for (auto& value : *vector) value += number(chance(0.05) ? 100.0 : 0.3);
  }
  if (chance(0.01)) out.time = number(1e9);
  out.has_wrench = chance(0.5);
  for (auto& value : out.wrench) value = number(chance(0.05) ? 1000.0 : 10.0);
  return out;
}

}  // namespace crisp_control::test
