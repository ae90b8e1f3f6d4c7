// SPDX-License-Identifier: Apache-2.0
#include "arm_control.hpp"

#include <cmath>

#include "serl_impedance_controller/controller.hpp"

namespace serl_impedance_controller
{

namespace
{

template <int N>
class LawControl : public ArmControl
{
public:
  LawControl(std::uint64_t base_frame, std::uint64_t tcp_frame)
  : ArmControl(base_frame, tcp_frame), law_(base_frame, tcp_frame), torque_(Eigen::VectorXd::Zero(N))
  {
  }

  std::optional<ConfigError> set(const Settings & settings) override
  {
    Orders orders;
    orders.config = config_of(settings);
    orders.has_posture = settings.nullspace_posture.size() == N;
    if (orders.has_posture) {
      orders.posture = settings.nullspace_posture;
    }
    orders.mode = settings.mode;
    orders.hold_when_stale = settings.hold_when_stale;
    const auto error = validate(orders.config);
    if (!error) {
      const std::lock_guard<std::mutex> lock(writers_);
      orders_.write(orders);
    }
    return error;
  }

  void activate() override
  {
    take_orders();
    forget_targets();  // what came before is not for this activation
    resets_ = reset_requests_.load();
    law_.reset_fault();
    law_.activate();
  }

  const Eigen::VectorXd & tick(const ArmSample & sample, const Eigen::VectorXd & bias, double time) override
  {
    take_orders();
    if (const auto requested = reset_requests_.load(); requested != resets_) {
      resets_ = requested;
      forget_targets();  // the reset is of the state before it: a bad target must not fault again
      law_.reset_fault();
    }
    take_conflict(time);
    take_targets(time);
    measure(sample, bias, time);
    torque_ = law_.update(measurement_);
    publish_status(time);
    return torque_;
  }

  const Pose & limited_target() const override {return law_.state().limited;}
  const Fault & fault() const override {return law_.fault();}

  const char * senders() const override
  {
    return law_.fault().code == FaultCode::kTwoSenders ? conflict_.value().senders.data() : "";
  }

  Stability stability(const Settings & settings, const ArmSample & sample) const override
  {
    Measurement<N> m;
    m.pose = sample.pose;
    m.jacobian = sample.jacobian;
    m.mass = sample.mass;
    m.has_mass = true;
    return check_stability(config_of(settings), m);
  }

private:
  struct Orders
  {
    Config<N> config;
    JointVector<N> posture = JointVector<N>::Zero();
    bool has_posture = false;
    Mode mode = Mode::kPose;
    bool hold_when_stale = false;
  };

  static Config<N> config_of(const Settings & settings)
  {
    Config<N> config;
    static_cast<TaskConfig &>(config) = settings.task;
    config.nullspace_stiffness = settings.nullspace_stiffness;
    config.nullspace_damping = settings.nullspace_damping;
    config.torque_rate = settings.torque_rate;
    config.torque_limit = settings.torque_limit;
    if (settings.joint_low.size() == N && settings.joint_high.size() == N) {
      config.joint_low = settings.joint_low;
      config.joint_high = settings.joint_high;
    }
    if (settings.joint_speed.size() == N) {
      config.joint_speed = settings.joint_speed;
    }
    return config;
  }

  void forget_targets()
  {
    pose_target_.read();
    wrench_target_.read();
    bad_pose_target_.read();
    bad_wrench_target_.read();
    conflict_.read();
  }

  void take_orders()
  {
    if (!orders_.read()) {
      return;
    }
    const Orders & orders = orders_.value();
    law_.configure(orders.config);
    if (orders.has_posture) {
      law_.set_nullspace_posture(orders.posture);
    }
    law_.set_mode(orders.mode);
    hold_when_stale_ = orders.hold_when_stale;
  }

  /// A fault keeps what it was raised by, so that a later conflict waits for its end.
  void take_conflict(double time)
  {
    if (!law_.fault() && conflict_.read()) {
      law_.fail(Fault{FaultCode::kTwoSenders, conflict_.value().input, time, 0.0});
    }
  }

  void take_targets(double time)
  {
    if (bad_pose_target_.read()) {
      const PoseTarget & target = bad_pose_target_.value();
      law_.set_target_pose(target.pose, target.stamp, target.frame);
    }
    if (bad_wrench_target_.read()) {
      const WrenchTarget & target = bad_wrench_target_.value();
      law_.set_target_wrench(target.wrench, target.stamp, target.frame);
    }
    if (pose_target_.read()) {
      const PoseTarget & target = pose_target_.value();
      if (!(hold_when_stale_ && is_old(target.stamp, law_.config().pose_timeout, time))) {
        law_.set_target_pose(target.pose, target.stamp, target.frame);
      } else {
        ++stale_targets_;
      }
    }
    if (wrench_target_.read()) {
      const WrenchTarget & target = wrench_target_.value();
      if (!(hold_when_stale_ && is_old(target.stamp, law_.config().wrench_timeout, time))) {
        law_.set_target_wrench(target.wrench, target.stamp, target.frame);
      } else {
        ++stale_targets_;
      }
    }
    if (hold_when_stale_ && !law_.fault() && law_.target_is_stale(time)) {
      law_.clear_target();
      ++stale_targets_;
    }
  }

  static bool is_old(double stamp, double limit, double time)
  {
    return std::abs(time - stamp) > limit;  // false for NaN, which the law refuses
  }

  void measure(const ArmSample & sample, const Eigen::VectorXd & bias, double time)
  {
    measurement_.q = sample.q;
    measurement_.dq = sample.dq;
    measurement_.pose = sample.pose;
    measurement_.jacobian = sample.jacobian;
    measurement_.mass = sample.mass;
    measurement_.has_mass = true;
    measurement_.bias = bias;
    measurement_.time = time;
  }

  void publish_status(double time)
  {
    ControlStatus status;
    status.tick = ++ticks_;
    status.resets = resets_;
    status.stale_targets = stale_targets_;
    status.time = time;
    status.mode = law_.state().mode;
    status.holding = law_.state().holding;
    status.fault = law_.fault();
    if (status.fault.code == FaultCode::kTwoSenders) {
      status.senders = conflict_.value().senders;
    }
    status_.write(status);
  }

  Controller<N> law_;
  Measurement<N> measurement_;
  Eigen::VectorXd torque_;
  LatestValue<Orders> orders_;
  bool hold_when_stale_ = false;
  std::uint64_t ticks_ = 0;
  std::uint32_t resets_ = 0;
  std::uint32_t stale_targets_ = 0;
};

}  // namespace

std::unique_ptr<ArmControl> ArmControl::make(
  Eigen::Index joints, std::uint64_t base_frame, std::uint64_t tcp_frame)
{
  switch (joints) {
    case 6:
      return std::make_unique<LawControl<6>>(base_frame, tcp_frame);
    case 7:
      return std::make_unique<LawControl<7>>(base_frame, tcp_frame);
    default:
      return nullptr;
  }
}

void ArmControl::set_target(const PoseTarget & target)
{
  const bool bad = static_cast<bool>(check_target(target.pose, target.stamp, target.frame == base_frame_));
  const std::lock_guard<std::mutex> lock(writers_);
  (bad ? bad_pose_target_ : pose_target_).write(target);
}

void ArmControl::set_target(const WrenchTarget & target)
{
  const bool bad = static_cast<bool>(check_target(target.wrench, target.stamp, target.frame == tcp_frame_));
  const std::lock_guard<std::mutex> lock(writers_);
  (bad ? bad_wrench_target_ : wrench_target_).write(target);
}

void ArmControl::refuse_senders(const char * input, const std::string & senders)
{
  SenderConflict conflict;
  conflict.input = input;
  senders.copy(conflict.senders.data(), SenderConflict::kRoom - 1);
  const std::lock_guard<std::mutex> lock(writers_);
  conflict_.write(conflict);
}

}  // namespace serl_impedance_controller
