// Part of a small stand-in for ros2_control's interfaces, so that the adapter compiles and runs in CI: rclcpp.
//
// No threads and no middleware: publishing calls the subscribers, a test sets the time and fires the timers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "ros_messages.hpp"

namespace rclcpp {

class Duration {
 public:
  explicit Duration(double seconds) : seconds_(seconds) {}
  double seconds() const { return seconds_; }

 private:
  double seconds_;
};

class Time {
 public:
  explicit Time(double seconds = 0.0) : seconds_(seconds) {}
  double seconds() const { return seconds_; }

 private:
  double seconds_;
};

class Clock {
 public:
  using SharedPtr = std::shared_ptr<Clock>;
  Time now() const { return Time(time); }
  double time = 0.0;  // s, set by the test
};

struct Logger {
  std::shared_ptr<std::vector<std::string>> lines;
};
template <typename... Arguments>
void log(const Logger& logger, const char* format, Arguments... arguments) {
  char line[512];
  std::snprintf(line, sizeof line, format, arguments...);
  logger.lines->push_back(line);
}
#define RCLCPP_WARN(logger, ...) rclcpp::log(logger, __VA_ARGS__)
#define RCLCPP_ERROR(logger, ...) rclcpp::log(logger, __VA_ARGS__)

struct QoS {
  explicit QoS(std::size_t) {}
  QoS& best_effort() { return *this; }
  QoS& transient_local() { return *this; }
};
struct SensorDataQoS : QoS {
  SensorDataQoS() : QoS(5) {}
};

/// Who listens and who speaks, by the name of the topic.
struct Bus {
  struct Topic {
    std::vector<std::function<void(const void*)>> listeners;
    std::size_t publishers = 0;
  };
  std::map<std::string, Topic> topics;
};

class SubscriptionBase {
 public:
  using SharedPtr = std::shared_ptr<SubscriptionBase>;
  SubscriptionBase(std::shared_ptr<Bus> bus, std::string topic) : bus_(std::move(bus)), topic_(std::move(topic)) {}
  std::size_t get_publisher_count() const { return bus_->topics[topic_].publishers; }

 private:
  std::shared_ptr<Bus> bus_;
  std::string topic_;
};

template <typename Message>
class Publisher {
 public:
  using SharedPtr = std::shared_ptr<Publisher>;
  Publisher(std::shared_ptr<Bus> bus, std::string topic) : bus_(std::move(bus)), topic_(std::move(topic)) {
    ++bus_->topics[topic_].publishers;
  }
  ~Publisher() { --bus_->topics[topic_].publishers; }
  Publisher(const Publisher&) = delete;
  void publish(const Message& message) {
    for (const auto& listener : bus_->topics[topic_].listeners) listener(&message);
  }

 private:
  std::shared_ptr<Bus> bus_;
  std::string topic_;
};

struct TimerBase {
  using SharedPtr = std::shared_ptr<TimerBase>;
  std::function<void()> callback;
};

using ParameterValue = std::variant<bool, double, std::string, std::vector<double>, std::vector<std::string>>;

class Parameter {
 public:
  Parameter(std::string name, ParameterValue value) : name_(std::move(name)), value_(std::move(value)) {}
  const std::string& get_name() const { return name_; }
  const ParameterValue& value() const { return value_; }

 private:
  std::string name_;
  ParameterValue value_;
};

namespace node_interfaces {
struct OnSetParametersCallbackHandle {
  using SharedPtr = std::shared_ptr<OnSetParametersCallbackHandle>;
  std::function<rcl_interfaces::msg::SetParametersResult(const std::vector<Parameter>&)> callback;
};
struct PostSetParametersCallbackHandle {
  using SharedPtr = std::shared_ptr<PostSetParametersCallbackHandle>;
  std::function<void(const std::vector<Parameter>&)> callback;
};
}  // namespace node_interfaces

}  // namespace rclcpp

namespace rclcpp_lifecycle {

struct State {};

namespace node_interfaces {
class LifecycleNodeInterface {
 public:
  enum class CallbackReturn : std::uint8_t { SUCCESS = 97, FAILURE = 98, ERROR = 99 };
  virtual ~LifecycleNodeInterface() = default;
  virtual CallbackReturn on_configure(const State&) { return CallbackReturn::SUCCESS; }
  virtual CallbackReturn on_cleanup(const State&) { return CallbackReturn::SUCCESS; }
  virtual CallbackReturn on_activate(const State&) { return CallbackReturn::SUCCESS; }
  virtual CallbackReturn on_deactivate(const State&) { return CallbackReturn::SUCCESS; }
};
}  // namespace node_interfaces

class LifecycleNode {
 public:
  using SharedPtr = std::shared_ptr<LifecycleNode>;
  using WeakPtr = std::weak_ptr<LifecycleNode>;
  using Values = std::map<std::string, rclcpp::ParameterValue>;
  using OnSet = rclcpp::node_interfaces::OnSetParametersCallbackHandle;
  using PostSet = rclcpp::node_interfaces::PostSetParametersCallbackHandle;

  /// overrides: what a parameter file gives.
  LifecycleNode(std::string name, Values overrides) : name_(std::move(name)), overrides_(std::move(overrides)) {}

  const char* get_name() const { return name_.c_str(); }
  std::string get_fully_qualified_name() const { return "/" + name_; }
  rclcpp::Logger get_logger() const { return logger_; }
  rclcpp::Clock::SharedPtr get_clock() const { return clock_; }

  template <typename Message, typename Callback>
  rclcpp::SubscriptionBase::SharedPtr create_subscription(const std::string& topic, const rclcpp::QoS&, Callback call) {
    const auto subscription = std::make_shared<rclcpp::SubscriptionBase>(bus, topic);
    const std::weak_ptr<rclcpp::SubscriptionBase> weak = subscription;
    bus->topics[topic].listeners.push_back([weak, call](const void* message) {
      if (weak.lock()) call(*static_cast<const Message*>(message));
    });
    return subscription;
  }
  rclcpp::TimerBase::SharedPtr create_wall_timer(std::chrono::nanoseconds, std::function<void()> callback) {
    const auto timer = std::make_shared<rclcpp::TimerBase>();
    timer->callback = std::move(callback);
    timers_.push_back(timer);
    return timer;
  }
  void fire_timers() {
    for (const auto& weak : timers_) {
      if (const auto timer = weak.lock()) timer->callback();
    }
  }

  OnSet::SharedPtr add_on_set_parameters_callback(decltype(OnSet::callback) callback) {
    const auto handle = std::make_shared<OnSet>(OnSet{std::move(callback)});
    on_set_.insert(on_set_.begin(), handle);  // newest first, as rclcpp documents
    return handle;
  }
  PostSet::SharedPtr add_post_set_parameters_callback(decltype(PostSet::callback) callback) {
    const auto handle = std::make_shared<PostSet>(PostSet{std::move(callback)});
    post_set_.push_back(handle);
    return handle;
  }
  rclcpp::Parameter declare(const std::string& name, const rclcpp::ParameterValue& value, bool read_only) {
    if (read_only) read_only_.push_back(name);
    values_[name] = overrides_.count(name) ? overrides_.at(name) : value;
    return {name, values_[name]};
  }
  std::vector<rclcpp::Parameter> get_parameters(const std::vector<std::string>& names) const {
    std::vector<rclcpp::Parameter> found;
    for (const auto& name : names) found.emplace_back(name, values_.at(name));
    return found;
  }
  rcl_interfaces::msg::SetParametersResult set_parameters_atomically(const std::vector<rclcpp::Parameter>& proposed) {
    for (const auto& parameter : proposed) {
      const auto& name = parameter.get_name();
      if (std::count(read_only_.begin(), read_only_.end(), name)) return {false, name + " is read-only"};
    }
    for (const auto& handle : on_set_) {
      if (const auto result = handle->callback(proposed); !result.successful) return result;
    }
    for (const auto& parameter : proposed) values_[parameter.get_name()] = parameter.value();
    for (const auto& handle : post_set_) handle->callback(proposed);
    return {true, ""};
  }

  std::shared_ptr<rclcpp::Bus> bus = std::make_shared<rclcpp::Bus>();

 private:
  std::string name_;
  Values overrides_, values_;
  rclcpp::Logger logger_{std::make_shared<std::vector<std::string>>()};
  rclcpp::Clock::SharedPtr clock_ = std::make_shared<rclcpp::Clock>();
  std::vector<std::weak_ptr<rclcpp::TimerBase>> timers_;
  std::vector<OnSet::SharedPtr> on_set_;
  std::vector<PostSet::SharedPtr> post_set_;
  std::vector<std::string> read_only_;
};

}  // namespace rclcpp_lifecycle

namespace rclcpp {
template <typename Message>
typename Publisher<Message>::SharedPtr create_publisher(rclcpp_lifecycle::LifecycleNode& node, const std::string& topic,
                                                        const QoS&) {
  return std::make_shared<Publisher<Message>>(node.bus, topic);
}
}  // namespace rclcpp
