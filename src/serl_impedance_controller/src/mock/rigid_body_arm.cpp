// SPDX-License-Identifier: Apache-2.0
#include "rigid_body_arm.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

// pinocchio's Boost types must be configured before anything else of it is included.
#include "../plugin/urdf_joints.hpp"

#include <pinocchio/algorithm/aba.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/rnea.hpp>

namespace serl_impedance_controller
{

namespace pin = pinocchio;

namespace
{

using Vector = Eigen::Ref<const Eigen::VectorXd>;  // what pinocchio's algorithms come compiled for

constexpr double kLongestStep = 0.25e-3;    // [s]
constexpr double kStickingSpeed = 1e-3;     // below it Coulomb friction falls to zero linearly [rad/s]

std::vector<std::string> names_of(const std::vector<SimulatedJoint> & joints)
{
  std::vector<std::string> names;
  for (const auto & joint : joints) {
    names.push_back(joint.name);
  }
  return names;
}

void check(const SimulatedJoint & joint)
{
  const auto refuse = [&joint](const std::string & what) {
      throw std::invalid_argument("joint '" + joint.name + "': " + what);
    };
  for (const double value : {joint.armature, joint.damping, joint.friction}) {
    if (!(value >= 0.0 && std::isfinite(value))) {
      refuse("armature, damping and friction have to be finite and not negative");
    }
  }
  if (!(joint.effort_limit >= 0.0)) {
    refuse("its effort limit is negative");
  }
  if (!(joint.position >= joint.lower && joint.position <= joint.upper && std::isfinite(joint.position))) {
    refuse(
      "starts at " + std::to_string(joint.position) + ", outside its limits " + std::to_string(joint.lower) +
      " to " + std::to_string(joint.upper) + "; set initial_value of its position");
  }
}

}  // namespace

struct RigidBodyArm::Impl
{
  Impl(
    const std::string & urdf, const std::vector<SimulatedJoint> & arm_joints, bool compensates,
    const Eigen::Vector3d & gravity)
  : joints(arm_joints), compensates_gravity(compensates), model(model_of_joints(urdf, names_of(arm_joints))),
    data(model), axes(axes_of(model, names_of(arm_joints))), configuration(pin::neutral(model)),
    tangent(Eigen::VectorXd::Zero(model.nv)), torque(Eigen::VectorXd::Zero(model.nv)),
    own_armature(Eigen::VectorXd::Zero(model.nv)), position(Eigen::VectorXd::Zero(model.nv)),
    velocity(Eigen::VectorXd::Zero(model.nv)), effort(Eigen::VectorXd::Zero(model.nv))
  {
    model.gravity.linear(gravity);
    for (std::size_t i = 0; i < joints.size(); ++i) {
      check(joints[i]);
      own_armature[axes[i].v] = joints[i].armature;
    }
    restart();
  }

  void restart()
  {
    for (std::size_t i = 0; i < joints.size(); ++i) {
      position[index(i)] = joints[i].position;
    }
    stop();
  }

  void stop()
  {
    velocity.setZero();
    write_state();
    pin::computeGeneralizedGravity(model, data, Vector(configuration));
    for (std::size_t i = 0; i < joints.size(); ++i) {
      effort[index(i)] = data.g[axes[i].v];
    }
  }

  static Eigen::Index index(std::size_t i) {return static_cast<Eigen::Index>(i);}

  void write_state()
  {
    for (std::size_t i = 0; i < joints.size(); ++i) {
      axes[i].set_position(position[index(i)], configuration);
      tangent[axes[i].v] = velocity[index(i)];
    }
  }

  void drive(const Eigen::VectorXd & command)
  {
    if (compensates_gravity) {
      pin::computeGeneralizedGravity(model, data, Vector(configuration));
    }
    for (std::size_t i = 0; i < joints.size(); ++i) {
      const double wanted = command[index(i)] + (compensates_gravity ? data.g[axes[i].v] : 0.0);
      effort[index(i)] = std::clamp(wanted, -joints[i].effort_limit, joints[i].effort_limit);
    }
  }

  /// One step: friction at the new velocity is an armature of duration x coefficient.
  void step(const Eigen::VectorXd & command, double duration)
  {
    write_state();
    drive(command);
    for (std::size_t i = 0; i < joints.size(); ++i) {
      const int v = axes[i].v;
      const double speed = std::max(std::abs(velocity[index(i)]), kStickingSpeed);
      const double coefficient = joints[i].damping + joints[i].friction / speed;
      torque[v] = effort[index(i)] - coefficient * velocity[index(i)];
      model.armature[v] = own_armature[v] + duration * coefficient;
    }
    const Vector q_now(configuration);
    const Vector dq_now(tangent);
    const Vector tau(torque);
    const auto & acceleration = pin::aba(model, data, q_now, dq_now, tau, pin::Convention::LOCAL);
    for (std::size_t i = 0; i < joints.size(); ++i) {
      double & q = position[index(i)];
      double & dq = velocity[index(i)];
      dq += duration * acceleration[axes[i].v];
      q += duration * dq;
      const double stopped = std::clamp(q, joints[i].lower, joints[i].upper);
      if (stopped != q) {
        q = stopped;
        dq = 0.0;
      }
    }
  }

  std::vector<SimulatedJoint> joints;
  bool compensates_gravity;
  pin::Model model;
  pin::Data data;
  std::vector<JointAxis> axes;
  Eigen::VectorXd configuration;  // pinocchio's order, as are the next three
  Eigen::VectorXd tangent;
  Eigen::VectorXd torque;
  Eigen::VectorXd own_armature;
  Eigen::VectorXd position;       // order of the joints, as are the next two
  Eigen::VectorXd velocity;
  Eigen::VectorXd effort;
};

RigidBodyArm::RigidBodyArm(
  const std::string & urdf, const std::vector<SimulatedJoint> & joints, bool compensates_gravity,
  const Eigen::Vector3d & gravity)
: impl_(std::make_unique<Impl>(urdf, joints, compensates_gravity, gravity))
{
}

RigidBodyArm::~RigidBodyArm() = default;
RigidBodyArm::RigidBodyArm(RigidBodyArm &&) noexcept = default;
RigidBodyArm & RigidBodyArm::operator=(RigidBodyArm &&) noexcept = default;

void RigidBodyArm::step(const Eigen::VectorXd & command, double duration)
{
  const auto steps = static_cast<int>(std::ceil(duration / kLongestStep - 1e-9));
  for (int i = 0; i < steps; ++i) {
    impl_->step(command, duration / steps);
  }
}

void RigidBodyArm::stop() {impl_->stop();}

void RigidBodyArm::restart() {impl_->restart();}

const Eigen::VectorXd & RigidBodyArm::position() const {return impl_->position;}

const Eigen::VectorXd & RigidBodyArm::velocity() const {return impl_->velocity;}

const Eigen::VectorXd & RigidBodyArm::effort() const {return impl_->effort;}

}  // namespace serl_impedance_controller
