// SPDX-License-Identifier: Apache-2.0
#include "external_wrench.hpp"

#include <limits>
#include <stdexcept>

#include "serl_impedance_controller/rotation.hpp"

namespace serl_impedance_controller
{

ExternalWrench::ExternalWrench(
  const Params::ExternalWrench & params, const RobotModel & model, const std::string & tcp_frame)
: sign_(params.inverted ? -1.0 : 1.0)
{
  if (params.source == "effort") {
    observer_ = std::make_unique<MomentumObserver>(model.joints(), params.observer_gain);
  } else if (params.source == "sensor") {
    if (params.sensor_name.empty()) {
      throw std::invalid_argument("external_wrench.sensor_name is empty; external_wrench.source 'sensor' needs it");
    }
    sensor_ = std::make_unique<semantic_components::ForceTorqueSensor>(params.sensor_name);
    sensor_in_tcp_ = model.fixed_in_tcp(params.sensor_frame.empty() ? tcp_frame : params.sensor_frame);
  }
}

std::vector<std::string> ExternalWrench::interfaces() const
{
  return sensor_ ? sensor_->get_state_interface_names() : std::vector<std::string>{};
}

void ExternalWrench::assign(std::vector<hardware_interface::LoanedStateInterface> & interfaces)
{
  if (sensor_ && !sensor_->assign_loaned_state_interfaces(interfaces)) {
    throw std::invalid_argument("external_wrench.sensor_name: not all of its interfaces were handed over");
  }
}

void ExternalWrench::release()
{
  if (sensor_) {
    sensor_->release_interfaces();
  }
}

void ExternalWrench::reset()
{
  if (observer_) {
    observer_->reset();
  }
}

void ExternalWrench::step(const ArmSample & sample, const Eigen::VectorXd & torque, double period)
{
  if (observer_) {
    observer_->step(sample, torque, period);
  }
}

Vector6 ExternalWrench::value(const ArmSample & sample) const
{
  if (observer_) {
    return observer_->wrench(sample);
  }
  if (!sensor_) {
    return Vector6::Constant(std::numeric_limits<double>::quiet_NaN());
  }
  const auto forces = sensor_->get_forces();
  const auto torques = sensor_->get_torques();
  const Matrix3 to_tcp = sensor_in_tcp_.orientation.toRotationMatrix();
  Vector6 wrench;
  wrench.head<3>() = to_tcp * Eigen::Map<const Vector3>(forces.data());
  wrench.tail<3>() = to_tcp * Eigen::Map<const Vector3>(torques.data());
  wrench.tail<3>() += sensor_in_tcp_.position.cross(wrench.head<3>());  // the same wrench, about the tcp
  return sign_ * rotate(sample.pose.orientation.toRotationMatrix(), wrench);
}

}  // namespace serl_impedance_controller
