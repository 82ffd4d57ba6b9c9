#include "senses.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

namespace steadyhand {

using namespace crisp_control;

namespace {

void check(const SensorModel& model) {
  for (const auto& [name, value] : {std::pair{"q_step", model.q_step},
                                    {"q_noise", model.q_noise},
                                    {"dq_noise", model.dq_noise},
                                    {"tau_step", model.tau_step},
                                    {"tau_noise", model.tau_noise},
                                    {"force_noise", model.force_noise},
                                    {"torque_noise", model.torque_noise}}) {
    if (!(value >= 0.0) || !std::isfinite(value)) {
      throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + "; give a number from 0");
    }
  }
  for (const auto& [name, value] :
       {std::pair{"measurement_delay", model.measurement_delay}, {"command_delay", model.command_delay}}) {
    if (value < 0 || value > kMaxDelay) {
      throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + " ticks; allowed: 0 to " +
                                  std::to_string(kMaxDelay));
    }
  }
}

/// Stores a value as the newest of a ring and gives the one of `delay` stores before it.
template <typename Ring, typename Value>
const Value& delayed(Ring& ring, int& newest, const Value& value, int delay) noexcept {
  const int size = static_cast<int>(ring.size());
  newest = (newest + 1) % size;
  ring[newest] = value;
  return ring[(newest - delay + size) % size];
}

}  // namespace

Senses::Senses(const SensorModel& model) : model_(model) {
  check(model);
  exact_ = model.q_step + model.q_noise + model.dq_noise + model.tau_step + model.tau_noise + model.force_noise +
               model.torque_noise + model.measurement_delay ==
           0.0;
}

void Senses::reset(const ArmState& state, std::uint64_t seed) noexcept {
  random_.seed(seed);
  normal_.reset();
  measured_.fill(state);
  commanded_.fill(state.tau);
}

void Senses::disturb(JointVector& values, double noise, double step) noexcept {
  for (double& value : values) {
    if (noise > 0.0) value += noise * normal_(random_);
    if (step > 0.0) value = step * std::round(value / step);
  }
}

void Senses::measure(ArmState& state) noexcept {
  if (exact_) return;
  disturb(state.q, model_.q_noise, model_.q_step);
  disturb(state.dq, model_.dq_noise, 0.0);
  disturb(state.tau, model_.tau_noise, model_.tau_step);
  for (int i = 0; i < 6 && state.has_wrench; ++i) {
    state.wrench[i] += (i < 3 ? model_.force_noise : model_.torque_noise) * normal_(random_);
  }
  if (model_.measurement_delay > 0) {
    const ArmState now = state;
    state = delayed(measured_, newest_measured_, now, model_.measurement_delay);
  }
}

const JointVector& Senses::act(const JointVector& tau) noexcept {
  if (model_.command_delay == 0) return tau;
  return delayed(commanded_, newest_commanded_, tau, model_.command_delay);
}

}  // namespace steadyhand
