// SPDX-License-Identifier: Apache-2.0
#include "robot_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

// pinocchio's Boost types must be configured before anything else of it is included.
#include "urdf_joints.hpp"

#include <pinocchio/algorithm/crba.hpp>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/kinematics.hpp>
#include <pinocchio/algorithm/rnea.hpp>
#include <pinocchio/config.hpp>

namespace serl_impedance_controller
{

namespace pin = pinocchio;

namespace
{

Eigen::VectorXd limits_of(const pin::Model & model)
{
#if PINOCCHIO_MAJOR_VERSION >= 4
  return model.upperEffortLimit;
#else
  return model.effortLimit;
#endif
}

Eigen::VectorXd speeds_of(const pin::Model & model)
{
#if PINOCCHIO_MAJOR_VERSION >= 4
  return model.upperVelocityLimit;
#else
  return model.velocityLimit;
#endif
}

Pose pose_of(const pin::SE3 & placement)
{
  Pose pose;
  pose.position = placement.translation();
  pose.orientation = Eigen::Quaterniond(placement.rotation());
  return pose;
}

}  // namespace

struct RobotModel::Impl
{
  Impl(const std::string & urdf, const ArmDescription & arm)
  : model(model_of_joints(urdf, arm.joints)), data(model), base(frame(arm.base_frame, "base_frame")),
    tcp(frame(arm.tcp_frame, "tcp_frame")), q(pin::neutral(model)), v(Eigen::VectorXd::Zero(model.nv)),
    jacobian(Eigen::Matrix<double, 6, Eigen::Dynamic>::Zero(6, model.nv))
  {
    model.gravity.linear(arm.gravity);
    check_chain(arm);
    to_base = model.frames[base].placement.inverse();
    const Eigen::VectorXd limits = limits_of(model);
    effort_limits.resize(model.nv);
    axes = axes_of(model, arm.joints);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const double limit = limits[axes[i].v];
      effort_limits[static_cast<Eigen::Index>(i)] = std::isfinite(limit) ? limit : 0.0;
    }
    read_ranges();
  }

  /// Position and speed limits; a joint that may turn for ever has no position limits.
  void read_ranges()
  {
    constexpr double none = std::numeric_limits<double>::infinity();
    const Eigen::VectorXd speeds = speeds_of(model);
    lower_limits = Eigen::VectorXd::Constant(model.nv, -none);
    upper_limits = speed_limits = Eigen::VectorXd::Constant(model.nv, none);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto k = static_cast<Eigen::Index>(i);
      const double low = model.lowerPositionLimit[axes[i].q], high = model.upperPositionLimit[axes[i].q];
      if (!axes[i].circle && low < high) {
        lower_limits[k] = low;
        upper_limits[k] = high;
      }
      if (speeds[axes[i].v] > 0.0) {
        speed_limits[k] = speeds[axes[i].v];
      }
    }
  }

  pin::FrameIndex frame(const std::string & link, const std::string & parameter) const
  {
    if (!model.existFrame(link)) {
      std::vector<std::string> links;
      for (const auto & frame : model.frames) {
        if (frame.type == pin::BODY) {
          links.push_back(frame.name);
        }
      }
      throw std::invalid_argument(
        parameter + ": robot_description has no link '" + link + "'; it has " + listed(links));
    }
    return model.getFrameId(link);
  }

  void check_chain(const ArmDescription & arm) const
  {
    const pin::JointIndex base_joint = model.frames[base].parentJoint;
    if (base_joint != 0) {
      throw std::invalid_argument(
        "base_frame: '" + arm.base_frame + "' moves with joint " + model.names[base_joint]);
    }
    const auto & chain = model.supports[model.frames[tcp].parentJoint];
    for (const auto & name : arm.joints) {
      if (std::find(chain.begin(), chain.end(), model.getJointId(name)) == chain.end()) {
        throw std::invalid_argument("joints: '" + name + "' does not move tcp_frame '" + arm.tcp_frame + "'");
      }
    }
  }

  pin::Model model;
  pin::Data data;
  pin::FrameIndex base;
  pin::FrameIndex tcp;
  pin::SE3 to_base;       // root link -> base
  std::vector<JointAxis> axes;
  Eigen::VectorXd effort_limits;
  Eigen::VectorXd lower_limits;
  Eigen::VectorXd upper_limits;
  Eigen::VectorXd speed_limits;
  Eigen::VectorXd q;
  Eigen::VectorXd v;
  Eigen::Matrix<double, 6, Eigen::Dynamic> jacobian;
};

RobotModel::RobotModel(const std::string & urdf, const ArmDescription & arm)
: impl_(std::make_unique<Impl>(urdf, arm))
{
}

RobotModel::~RobotModel() = default;
RobotModel::RobotModel(RobotModel &&) noexcept = default;
RobotModel & RobotModel::operator=(RobotModel &&) noexcept = default;

Eigen::Index RobotModel::joints() const {return static_cast<Eigen::Index>(impl_->axes.size());}

const Eigen::VectorXd & RobotModel::effort_limits() const {return impl_->effort_limits;}

const Eigen::VectorXd & RobotModel::lower_limits() const {return impl_->lower_limits;}

const Eigen::VectorXd & RobotModel::upper_limits() const {return impl_->upper_limits;}

const Eigen::VectorXd & RobotModel::speed_limits() const {return impl_->speed_limits;}

void RobotModel::update(ArmSample & sample)
{
  Impl & m = *impl_;
  const Eigen::Index joints = this->joints();
  for (Eigen::Index i = 0; i < joints; ++i) {
    const auto & axis = m.axes[static_cast<std::size_t>(i)];
    axis.set_position(sample.q[i], m.q);
    m.v[axis.v] = sample.dq[i];
  }
  // As references: pinocchio has these functions compiled for them.
  const Eigen::Ref<const Eigen::VectorXd> q(m.q), v(m.v);
  Eigen::Ref<Eigen::Matrix<double, 6, Eigen::Dynamic>> jacobian(m.jacobian);
  pin::computeJointJacobians(m.model, m.data, q);
  pin::updateFramePlacement(m.model, m.data, m.tcp);
  sample.pose = pose_of(m.to_base * m.data.oMf[m.tcp]);
  jacobian.setZero();
  pin::getFrameJacobian(m.model, m.data, m.tcp, pin::LOCAL_WORLD_ALIGNED, jacobian);
  pin::crba(m.model, m.data, q);  // the upper triangle
  pin::computeGeneralizedGravity(m.model, m.data, q);
  pin::computeCoriolisMatrix(m.model, m.data, q, v);

  const Matrix3 & axes = m.to_base.rotation();
  for (Eigen::Index i = 0; i < joints; ++i) {
    const int from = m.axes[static_cast<std::size_t>(i)].v;
    sample.jacobian.col(i).head<3>().noalias() = axes * m.jacobian.col(from).head<3>();
    sample.jacobian.col(i).tail<3>().noalias() = axes * m.jacobian.col(from).tail<3>();
    sample.gravity[i] = m.data.g[from];
    sample.coriolis[i] = m.data.C.row(from).dot(m.v);
    sample.coriolis_transposed[i] = m.data.C.col(from).dot(m.v);
    for (Eigen::Index k = 0; k < joints; ++k) {
      const int to = m.axes[static_cast<std::size_t>(k)].v;
      sample.mass(i, k) = m.data.M(std::min(from, to), std::max(from, to));
    }
  }
}

Pose RobotModel::fixed_in_tcp(const std::string & link) const
{
  const Impl & m = *impl_;
  const pin::FrameIndex frame = m.frame(link, "external_wrench.sensor_frame");
  if (m.model.frames[frame].parentJoint != m.model.frames[m.tcp].parentJoint) {
    throw std::invalid_argument("external_wrench.sensor_frame: '" + link + "' is not fixed to tcp_frame");
  }
  return pose_of(m.model.frames[m.tcp].placement.inverse() * m.model.frames[frame].placement);
}

}  // namespace serl_impedance_controller
