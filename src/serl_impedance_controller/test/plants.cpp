// SPDX-License-Identifier: Apache-2.0
#include "plants.hpp"

#include <Eigen/Cholesky>

#include <array>
#include <cmath>

template class serl_impedance_controller::Controller<6>;
template class serl_impedance_controller::Controller<7>;

namespace plants
{

namespace
{

law::Jacobian<7> jacobian_at(
  const law::Vector3 & point, int last, const std::array<law::Vector3, 7> & origins,
  const std::array<law::Vector3, 7> & axes)
{
  law::Jacobian<7> j = law::Jacobian<7>::Zero();
  for (int i = 0; i <= last; ++i) {
    const auto k = static_cast<std::size_t>(i);
    j.col(i).head<3>() = axes[k].cross(point - origins[k]);
    j.col(i).tail<3>() = axes[k];
  }
  return j;
}

}  // namespace

law::Vector3 Wall::force(const law::Vector3 & point) const
{
  const double depth = normal.dot(point) - offset;
  return depth > 0.0 ? law::Vector3(-stiffness * depth * normal) : law::Vector3(law::Vector3::Zero());
}

law::Measurement<6> Gantry::measure(double time) const
{
  law::Measurement<6> m;
  m.q << position, law::rotation_vector(orientation);
  m.dq = velocity;
  m.pose = law::Pose{position, orientation};
  m.jacobian.setIdentity();
  m.bias = bias;
  m.mass = inertia.asDiagonal();
  m.has_mass = true;
  m.time = time;
  return m;
}

void Gantry::step(const law::JointVector<6> & torque)
{
  const double dt = 1e-3 / kSubsteps;
  for (int i = 0; i < kSubsteps; ++i) {
    law::Vector6 wrench = torque - bias;
    wrench.head<3>() += wall.force(position);
    velocity += dt * wrench.cwiseQuotient(inertia);
    position += dt * velocity.head<3>();
    orientation = (law::quaternion_of(dt * velocity.tail<3>()) * orientation).normalized();
  }
}

SevenJointArm::SevenJointArm()
{
  q << 0.0, -0.3, 0.0, -2.2, 0.0, 2.0, 0.785;
  update();
}

law::Measurement<7> SevenJointArm::measure(double time) const
{
  law::Measurement<7> m;
  m.q = q;
  m.dq = dq;
  m.pose = pose;
  m.jacobian = jacobian;
  m.bias = gravity;
  m.mass = mass;
  m.has_mass = true;
  m.time = time;
  return m;
}

void SevenJointArm::step(const Vector7 & torque)
{
  const double dt = 1e-3 / kSubsteps;
  for (int i = 0; i < kSubsteps; ++i) {
    const law::Vector3 contact = wall.force(pose.position);
    const Vector7 total = torque - gravity + jacobian.topRows<3>().transpose() * contact;
    dq += dt * mass.llt().solve(total);
    q += dt * dq;
    update();
  }
}

void SevenJointArm::update()
{
  constexpr std::array<double, 7> a{0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088};
  constexpr std::array<double, 7> d{0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0};
  constexpr std::array<double, 7> twist{0.0, -M_PI_2, M_PI_2, M_PI_2, -M_PI_2, M_PI_2, M_PI_2};
  constexpr std::array<double, 7> masses{3.0, 3.0, 3.0, 2.5, 3.0, 1.5, 1.7};
  std::array<law::Vector3, 7> origins, axes;
  Eigen::Isometry3d frame = Eigen::Isometry3d::Identity();
  for (std::size_t i = 0; i < 7; ++i) {
    frame.rotate(Eigen::AngleAxisd(twist[i], law::Vector3::UnitX()));
    frame.translate(law::Vector3(a[i], 0.0, 0.0));
    frame.rotate(Eigen::AngleAxisd(q[static_cast<int>(i)], law::Vector3::UnitZ()));
    frame.translate(law::Vector3(0.0, 0.0, d[i]));
    origins[i] = frame.translation();
    axes[i] = frame.linear().col(2);
  }
  frame.translate(law::Vector3(0.0, 0.0, 0.21));
  pose.position = frame.translation();
  pose.orientation = Eigen::Quaterniond(frame.linear()).normalized();
  mass = 0.05 * law::JointMatrix<7>::Identity();
  gravity.setZero();
  for (std::size_t link = 0; link < 7; ++link) {
    const law::Vector3 centre = link == 6 ? pose.position : origins[link];
    const law::Jacobian<7> j = jacobian_at(centre, static_cast<int>(link), origins, axes);
    mass += masses[link] * j.topRows<3>().transpose() * j.topRows<3>();
    mass += 0.01 * j.bottomRows<3>().transpose() * j.bottomRows<3>();
    gravity += j.topRows<3>().transpose() * law::Vector3(0.0, 0.0, 9.81 * masses[link]);
  }
  jacobian = jacobian_at(pose.position, 6, origins, axes);
}

}  // namespace plants
