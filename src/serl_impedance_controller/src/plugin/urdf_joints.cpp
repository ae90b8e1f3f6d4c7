// SPDX-License-Identifier: Apache-2.0
#include "urdf_joints.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/model.hpp>
#include <pinocchio/parsers/urdf.hpp>

namespace serl_impedance_controller
{

namespace pin = pinocchio;

std::string listed(const std::vector<std::string> & names)
{
  std::string text;
  for (const auto & name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

pin::Model model_of_joints(const std::string & urdf, const std::vector<std::string> & joints)
{
  if (urdf.empty()) {
    throw std::invalid_argument(
      "robot_description is empty; start robot_state_publisher, or give the controller manager the description");
  }
  pin::Model whole;
  try {
    pin::urdf::buildModelFromXML(urdf, whole);
  } catch (const std::exception & error) {
    throw std::invalid_argument(std::string("robot_description is not a URDF: ") + error.what());
  }
  for (const auto & name : joints) {
    if (!whole.existJointName(name)) {
      const std::vector<std::string> there(whole.names.begin() + 1, whole.names.end());
      throw std::invalid_argument(
        "joints: robot_description has no movable joint '" + name + "'; it has " + listed(there));
    }
  }
  std::vector<pin::JointIndex> locked;
  for (pin::JointIndex id = 1; id < static_cast<pin::JointIndex>(whole.njoints); ++id) {
    if (std::find(joints.begin(), joints.end(), whole.names[id]) == joints.end()) {
      locked.push_back(id);
    }
  }
  return pin::buildReducedModel(whole, locked, pin::neutral(whole));
}

void JointAxis::set_position(double position, Eigen::VectorXd & configuration) const
{
  if (circle) {
    configuration[q] = std::cos(position);
    configuration[q + 1] = std::sin(position);
  } else {
    configuration[q] = position;
  }
}

std::vector<JointAxis> axes_of(const pin::Model & model, const std::vector<std::string> & joints)
{
  std::vector<JointAxis> axes;
  for (const auto & name : joints) {
    const auto & joint = model.joints[model.getJointId(name)];
    if (joint.nv() != 1) {
      throw std::invalid_argument("joints: '" + name + "' has more than one axis");
    }
    axes.push_back({joint.idx_q(), joint.idx_v(), joint.nq() == 2});
  }
  return axes;
}

}  // namespace serl_impedance_controller
