// SPDX-License-Identifier: Apache-2.0
/// \file
/// The arm of test_arm.urdf.
#ifndef PLUGIN__TEST_ARM_HPP_
#define PLUGIN__TEST_ARM_HPP_

#include <fstream>
#include <iterator>
#include <string>

#include "robot_model.hpp"

namespace serl_impedance_controller::test
{

constexpr Eigen::Index kJoints = 7;

inline std::string urdf()
{
  std::ifstream file(std::string(TEST_FOLDER) + "/test_arm.urdf");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline ArmDescription arm()
{
  ArmDescription description;
  for (Eigen::Index i = 1; i <= kJoints; ++i) {
    description.joints.push_back("joint" + std::to_string(i));
  }
  description.base_frame = "arm_base";
  description.tcp_frame = "tool";
  return description;
}

/// A posture away from singularities [rad].
inline Eigen::VectorXd bent_posture()
{
  Eigen::VectorXd q(kJoints);
  q << 0.2, -0.6, 0.3, -2.1, 0.1, 1.7, 0.5;
  return q;
}

}  // namespace serl_impedance_controller::test

#endif  // PLUGIN__TEST_ARM_HPP_
