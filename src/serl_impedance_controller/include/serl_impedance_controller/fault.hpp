// SPDX-License-Identifier: Apache-2.0
/// \file
/// Latched faults and the checks that raise them.
#ifndef SERL_IMPEDANCE_CONTROLLER__FAULT_HPP_
#define SERL_IMPEDANCE_CONTROLLER__FAULT_HPP_

#include <cmath>
#include <cstdint>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

enum class FaultCode : std::uint8_t
{
  kNone = 0,
  kNotFinite = 1,       ///< NaN or infinity in a measurement, a target or the time
  kStaleTarget = 2,     ///< the target's stamp is further from the current time than the configured age
  kBadFrame = 3,        ///< a target in another frame than the configured one
  kBadQuaternion = 4,   ///< an orientation whose norm is not 1 within 1e-3
  kBadInertia = 5,      ///< a mass matrix that is not positive definite
  kOutsideWorkspace = 6,  ///< in wrench mode the tcp left the box by more than the margin, or by half of it for long
  kTooFast = 7,           ///< a joint, or in wrench mode the tcp, faster than its speed limit by a quarter
  kOscillation = 8,       ///< a joint swings to and fro, and the swings do not become smaller
  kImplausible = 9,       ///< a measurement that is a number, but that no arm can have
  kNoStamp = 10,          ///< a target whose stamp is zero, which is no time
  kTwoSenders = 11        ///< two nodes send the same kind of target
};

/// What each code means and what to do, for people.
inline const char * fault_text(FaultCode code)
{
  switch (code) {
    case FaultCode::kNone:
      return "no fault";
    case FaultCode::kNotFinite:
      return "not a finite number; check the sender of this input";
    case FaultCode::kStaleTarget:
      return "no fresh target within the configured age; check that its sender runs and that both use one clock";
    case FaultCode::kBadFrame:
      return "target given in another frame than the controller's; transform it before sending";
    case FaultCode::kBadQuaternion:
      return "orientation is not a unit quaternion (xyzw)";
    case FaultCode::kBadInertia:
      return "mass matrix is not symmetric positive definite; check the arm's model";
    case FaultCode::kOutsideWorkspace:
      return "tcp far outside the workspace box, or outside it for long; move the arm back, then reset";
    case FaultCode::kTooFast:
      return "faster than its speed limit; look what drives it (is its load set?), then reset";
    case FaultCode::kOscillation:
      return "the arm oscillates and is held softly; lower stiffness and damping or raise the control rate, then reset";
    case FaultCode::kImplausible:
      return "no arm has such a value; check the units and the driver of this input";
    case FaultCode::kNoStamp:
      return "the target's stamp is zero; its sender has to set header.stamp to the time of sending";
    case FaultCode::kTwoSenders:
      return "two nodes send it; end one, or give each its own ROS_DOMAIN_ID or namespace, then reset";
  }
  return "unknown fault";
}

/// The first fault since the last reset.
struct Fault
{
  FaultCode code = FaultCode::kNone;
  const char * input = "";   ///< which input raised it
  double time = 0.0;         ///< controller time of the tick that acted on it [s]; the stamp if raised by a target
  double value = 0.0;        ///< age [s], quaternion norm, depth [m, rad], speed [m/s, rad/s] or the input, by code

  explicit operator bool() const {return code != FaultCode::kNone;}
};

/// Keeps the first fault until it is reset; later ones do not replace it.
class FaultLatch
{
public:
  void raise(FaultCode code, const char * input, double time, double value = 0.0)
  {
    if (!fault_) {
      fault_ = Fault{code, input, time, value};
    }
  }

  void reset() {fault_ = Fault{};}
  const Fault & fault() const {return fault_;}
  explicit operator bool() const {return static_cast<bool>(fault_);}

private:
  Fault fault_;
};

inline bool is_unit(const Eigen::Quaterniond & q)
{
  return std::abs(q.norm() - 1.0) <= 1e-3;
}

/// What is wrong with a target that needs no clock to see it.
///
/// \param input      its name
/// \param frame_ok   it is in the frame that it has to be in
inline Fault check_target(const char * input, bool finite, double stamp, bool frame_ok)
{
  if (!frame_ok) {
    return {FaultCode::kBadFrame, input, stamp, 0.0};
  }
  if (!finite || !std::isfinite(stamp)) {
    return {FaultCode::kNotFinite, input, stamp, 0.0};
  }
  return {};
}

inline Fault check_target(const Pose & pose, double stamp, bool frame_ok)
{
  const bool finite = pose.position.allFinite() && pose.orientation.coeffs().allFinite();
  const Fault fault = check_target("target pose", finite, stamp, frame_ok);
  if (!fault && !is_unit(pose.orientation)) {
    return {FaultCode::kBadQuaternion, "target pose", stamp, pose.orientation.norm()};
  }
  return fault;
}

inline Fault check_target(const Vector6 & wrench, double stamp, bool frame_ok)
{
  return check_target("target wrench", wrench.allFinite(), stamp, frame_ok);
}

/// Name of the first input that is not finite, or nullptr.
template <int N>
const char * first_not_finite(const Measurement<N> & m)
{
  if (!std::isfinite(m.time)) {return "time";}
  if (!m.q.allFinite()) {return "joint positions";}
  if (!m.dq.allFinite()) {return "joint velocities";}
  if (!m.pose.position.allFinite() || !m.pose.orientation.coeffs().allFinite()) {return "measured pose";}
  if (!m.jacobian.allFinite()) {return "jacobian";}
  if (!m.bias.allFinite()) {return "bias torque";}
  if (m.has_mass && !m.mass.allFinite()) {return "mass matrix";}
  return nullptr;
}

/// What no arm exceeds, with room to spare: a value beyond is a wrong unit or a broken driver. Of the joints it is
/// their speed that counts, since positions of a joint without limits may have any size.
constexpr double kPlausibleJointSpeed = 100.0;  // [rad/s]
constexpr double kPlausibleReach = 100.0;       // [m], of the pose and of the Jacobian
constexpr double kPlausibleTorque = 1e4;        // [Nm]
constexpr double kPlausibleInertia = 1e5;       // [kg m^2]

/// An input, and its largest value.
struct Suspect
{
  const char * input = nullptr;
  double value = 0.0;
};

/// The first input that is beyond what an arm can have; nullptr if none is.
template <int N>
Suspect first_implausible(const Measurement<N> & m)
{
  const auto most = [](const auto & values) {return values.cwiseAbs().maxCoeff();};
  if (const double v = most(m.dq); v > kPlausibleJointSpeed) {return {"joint velocities", v};}
  if (const double v = most(m.pose.position); v > kPlausibleReach) {return {"measured pose", v};}
  if (const double v = most(m.jacobian); v > kPlausibleReach) {return {"jacobian", v};}
  if (const double v = most(m.bias); v > kPlausibleTorque) {return {"bias torque", v};}
  if (const double v = m.has_mass ? most(m.mass) : 0.0; v > kPlausibleInertia) {return {"mass matrix", v};}
  return {};
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__FAULT_HPP_
