// SPDX-License-Identifier: Apache-2.0
/// \file
/// Binding of the configuration: attributes, keyword updates, worded range errors.
#ifndef PYTHON__BIND_CONFIG_HPP_
#define PYTHON__BIND_CONFIG_HPP_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "arrays.hpp"
#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/describe.hpp"

namespace serl_impedance_controller::python
{

/// A vector attribute: reads as an array, takes anything array-like of its length, or a number for all elements.
template <typename Class, typename Owner, int Size>
void vector_property(
  Class & cls, const char * name, Eigen::Matrix<double, Size, 1> Owner::* member, const char * doc)
{
  cls.def_property(
    name, [member](const typename Class::type & owner) {return to_array(owner.*member);},
    [member, name](typename Class::type & owner, const py::object & value) {
      const auto array = py::array_t<double, py::array::forcecast>::ensure(value);
      if (!array) {
        throw py::error_already_set();
      }
      if (array.ndim() == 0) {
        (owner.*member).setConstant(*array.data());
      } else {
        read(array, name, owner.*member);
      }
    },
    doc);
}

template <int N>
py::class_<Config<N>> bind_config(py::module_ & module, const char * name)
{
  using C = Config<N>;
  py::class_<C> cls(module, name,
    "Configuration of the law. SI units; six-vectors are (x, y, z, rx, ry, rz) along the gain frame's axes.\n"
    "Attributes take an array-like of the right length, or one number for all elements. Ranges are checked by\n"
    "Controller.configure.");
  cls.def(py::init<>());
  cls.def("__copy__", [](const C & c) {return C(c);});
  cls.def_readwrite("frequency", &C::frequency, "Control rate f [Hz].");
  cls.def_readwrite("gain_frame", &C::gain_frame, "Axes of stiffness, damping and clips: GainFrame.BASE or TCP.");
  vector_property(cls, "stiffness", &C::stiffness, "k_p (6,) [N/m, Nm/rad].");
  vector_property(cls, "damping", &C::damping, "k_d (6,) [Ns/m, Nms/rad], for DampingKind.FIXED.");
  vector_property(cls, "damping_ratio", &C::damping_ratio, "zeta (6,), for DampingKind.RATIO.");
  cls.def_readwrite("damping_kind", &C::damping_kind, "DampingKind.FIXED, or RATIO: D = 2 zeta sqrt(K m), m the inertia shown along each axis.");
  cls.def_readwrite("damped_velocity", &C::damped_velocity,
    "DampedVelocity.MEASURED, or RELATIVE to the moving target.");
  vector_property(cls, "clip_pos", &C::clip_pos, "Largest positive e = p - p_ref (6,) [m, rad].");
  vector_property(cls, "clip_neg", &C::clip_neg, "Largest negative e, as a positive number (6,) [m, rad].");
  cls.def_readwrite("smoothing", &C::smoothing, "Per-tick coefficient of the target's low-pass and slerp, (0, 1].");
  vector_property(cls, "nullspace_stiffness", &C::nullspace_stiffness, "(N,) [Nm/rad].");
  vector_property(cls, "nullspace_damping", &C::nullspace_damping, "(N,) [Nms/rad].");
  vector_property(cls, "torque_rate", &C::torque_rate, "Largest torque change, bias excluded (N,) [Nm/tick].");
  vector_property(cls, "torque_limit", &C::torque_limit, "Largest torque, bias included (N,) [Nm].");
  vector_property(cls, "joint_low", &C::joint_low, "Lower limits of the joints (N,) [rad]; -inf: none.");
  vector_property(cls, "joint_high", &C::joint_high, "Upper limits (N,) [rad]; a joint without both may wrap.");
  vector_property(cls, "joint_speed", &C::joint_speed,
    "Speed that nothing pushes a joint beyond; a quarter faster faults (N,) [rad/s].");
  cls.def_readwrite("joint_margin", &C::joint_margin, "Distance from a limit at which nothing pushes on [rad].");
  cls.def_readwrite("oscillation_speed", &C::oscillation_speed,
    "Swings of a joint below this speed are no oscillation [rad/s].");
  cls.def_readwrite("delay", &C::delay, "From a measurement to its torque, ticks apart; for the checks [s].");
  cls.def_readwrite("pose_linear_speed", &C::pose_linear_speed,
    "Largest speed of the reference and of the tcp it draws, pose mode; inf: none [m/s].");
  cls.def_readwrite("pose_angular_speed", &C::pose_angular_speed, "The same for its turning [rad/s].");
  cls.def_readwrite("pose_timeout", &C::pose_timeout, "Age at which a target pose is stale [s].");
  cls.def_readwrite("wrench_timeout", &C::wrench_timeout, "Age at which a target wrench is stale [s].");
  vector_property(cls, "wrench_limit", &C::wrench_limit, "|target wrench|, tool frame (6,) [N, Nm].");
  vector_property(cls, "wrench_damping", &C::wrench_damping,
    "Viscous term of the wrench mode, tool frame (6,) [Ns/m, Nms/rad].");
  vector_property(cls, "wrench_stiffness", &C::wrench_stiffness,
    "Pull to the pose where the wrench mode began, that pose's axes (6,) [N/m, Nm/rad].");
  cls.def_readwrite("wrench_linear_speed", &C::wrench_linear_speed,
    "Speed of the tcp that the wrench mode does not push beyond; a quarter faster faults [m/s].");
  cls.def_readwrite("wrench_angular_speed", &C::wrench_angular_speed, "The same for its turning [rad/s].");
  vector_property(cls, "workspace_low", &C::workspace_low, "Lower corner of the box, base (3,) [m].");
  vector_property(cls, "workspace_high", &C::workspace_high, "Upper corner of the box, base (3,) [m].");
  cls.def_property("workspace_orientation",
    [](const C & c) {return to_array(c.workspace_orientation.coeffs());},
    [](C & c, const py::object & value) {
      const auto array = py::array_t<double, py::array::forcecast>::ensure(value);
      if (!array) {
        throw py::error_already_set();
      }
      Eigen::Vector4d xyzw;
      read(array, "workspace_orientation", xyzw);
      c.workspace_orientation.coeffs() = xyzw;
    }, "Orientation that workspace_max_rotation is counted from, base, quaternion xyzw (4,).");
  cls.def_readwrite("workspace_max_rotation", &C::workspace_max_rotation, "Largest turn from it [rad]; inf: any.");
  cls.def_readwrite("workspace_stiffness", &C::workspace_stiffness, "Pull back into the box, wrench mode [N/m].");
  cls.def_readwrite("workspace_damping", &C::workspace_damping,
    "The least of its damping; with a mass matrix it is critical [Ns/m].");
  cls.def_readwrite("workspace_rotational_stiffness", &C::workspace_rotational_stiffness,
    "Pull back from a turn beyond the largest, wrench mode [Nm/rad].");
  cls.def_readwrite("workspace_rotational_damping", &C::workspace_rotational_damping, "[Nms/rad].");
  cls.def_readwrite("workspace_margin", &C::workspace_margin, "Depth outside the box that faults, wrench mode [m].");
  cls.def_readwrite("workspace_rotation_margin", &C::workspace_rotation_margin,
    "Turn beyond the largest that faults, wrench mode [rad].");
  cls.def_readwrite("workspace_patience", &C::workspace_patience,
    "Time that the tcp may be outside by more than half of a margin [s].");
  cls.def("validate", [](const C & c) {
      if (const auto error = validate(c)) {
        throw py::value_error(describe(*error));
      }
    }, "Raise ValueError naming the first field out of range, its value and its range.");
  return cls;
}

}  // namespace serl_impedance_controller::python

#endif  // PYTHON__BIND_CONFIG_HPP_
