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
  kOutsideWorkspace = 6,  ///< tcp left the box by more than the margin in wrench mode
  kTooFast = 7            ///< tcp faster than the speed limit of the wrench mode, by a quarter
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
      return "tcp left the workspace box by more than the margin; move the arm back, then reset";
    case FaultCode::kTooFast:
      return "tcp faster than the speed limit of the wrench mode; look what drives it (is its load set?), then reset";
  }
  return "unknown fault";
}

/// The first fault since the last reset.
struct Fault
{
  FaultCode code = FaultCode::kNone;
  const char * input = "";   ///< which input raised it
  double time = 0.0;         ///< controller time of the tick that acted on it [s]; the stamp if raised by a target
  double value = 0.0;        ///< age [s], quaternion norm, depth [m] or speed [m/s, rad/s], by code

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

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__FAULT_HPP_
