// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where arm_state's external wrench is from: a force-torque sensor, joint torques, or nowhere.
#ifndef PLUGIN__EXTERNAL_WRENCH_HPP_
#define PLUGIN__EXTERNAL_WRENCH_HPP_

#include <memory>
#include <string>
#include <vector>

#include <hardware_interface/loaned_state_interface.hpp>
#include <semantic_components/force_torque_sensor.hpp>

#include "arm_sample.hpp"
#include "momentum_observer.hpp"
#include "robot_model.hpp"
#include "settings.hpp"

namespace serl_impedance_controller
{

/// Force and torque that the environment exerts on the tool at the tcp, in the base frame.
class ExternalWrench
{
public:
  /// \throws std::invalid_argument  sensor without a name, or in a frame that is not fixed to the tcp
  ExternalWrench(const Params::ExternalWrench & params, const RobotModel & model, const std::string & tcp_frame);

  /// State interfaces that it reads, besides those of the joints.
  std::vector<std::string> interfaces() const;

  void assign(std::vector<hardware_interface::LoanedStateInterface> & interfaces);
  void release();

  /// Begin anew, with no external torque.
  void reset();

  /// One tick; neither allocates nor locks.
  ///
  /// \param torque  joint torques during the tick before, gravity compensation included [Nm]
  /// \param period  [s]
  void step(const ArmSample & sample, const Eigen::VectorXd & torque, double period);

  /// [N, Nm]; NaN where there is no source.
  Vector6 value(const ArmSample & sample) const;

private:
  std::unique_ptr<MomentumObserver> observer_;
  std::unique_ptr<semantic_components::ForceTorqueSensor> sensor_;
  Pose sensor_in_tcp_;
  double sign_ = 1.0;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__EXTERNAL_WRENCH_HPP_
