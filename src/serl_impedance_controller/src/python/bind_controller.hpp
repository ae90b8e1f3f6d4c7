// SPDX-License-Identifier: Apache-2.0
/// \file
/// Binding of the controller and its state.
#ifndef PYTHON__BIND_CONTROLLER_HPP_
#define PYTHON__BIND_CONTROLLER_HPP_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "bind_config.hpp"
#include "serl_impedance_controller/controller.hpp"
#include "serl_impedance_controller/stability.hpp"

namespace serl_impedance_controller::python
{

/// The controller with frame names, and with room for one measurement so that a tick allocates only its result.
template <int N>
class PythonController
{
public:
  PythonController(std::string base_frame, std::string tool_frame)
  : base_frame_(std::move(base_frame)), tool_frame_(std::move(tool_frame)),
    controller(frame_hash(base_frame_), frame_hash(tool_frame_))
  {
  }

  py::array_t<double> update(
    py::handle q, py::handle dq, py::handle pose, py::handle jacobian, py::handle bias, py::handle mass,
    double time)
  {
    measure(q, dq, pose, jacobian, bias, mass, time);
    return to_array(controller.update(measurement_));
  }

  /// Whether gains, rate and declared delay are stable with an arm at rest at a posture.
  Stability stability(py::handle pose, py::handle jacobian, py::handle mass) const
  {
    Measurement<N> m;
    m.pose = read_pose(pose, "pose");
    read(jacobian, "jacobian", m.jacobian);
    read(mass, "mass_matrix", m.mass);
    m.has_mass = true;
    return check_stability(controller.config(), m);
  }

  void measure(
    py::handle q, py::handle dq, py::handle pose, py::handle jacobian, py::handle bias, py::handle mass,
    double time)
  {
    read(q, "q", measurement_.q);
    read(dq, "dq", measurement_.dq);
    measurement_.pose = read_pose(pose, "pose");
    read(jacobian, "jacobian", measurement_.jacobian);
    read(bias, "bias", measurement_.bias);
    measurement_.has_mass = !mass.is_none();
    if (measurement_.has_mass) {
      read(mass, "mass_matrix", measurement_.mass);
    }
    measurement_.time = time;
  }

  void set_target_pose(py::handle pose, double stamp, const std::optional<std::string> & frame)
  {
    controller.set_target_pose(read_pose(pose, "pose"), stamp, frame_hash(frame.value_or(base_frame_)));
  }

  void set_target_wrench(py::handle wrench, double stamp, const std::optional<std::string> & frame)
  {
    Vector6 value;
    read(wrench, "wrench", value);
    controller.set_target_wrench(value, stamp, frame_hash(frame.value_or(tool_frame_)));
  }

  void configure(const Config<N> & config)
  {
    if (const auto error = controller.configure(config)) {
      throw py::value_error(describe(*error));
    }
  }

  /// Change some fields of the configuration, all or none.
  void set(const py::kwargs & fields)
  {
    py::object config = py::cast(Config<N>(controller.config()));
    for (const auto & [name, value] : fields) {
      if (!py::hasattr(config, name)) {
        throw py::attribute_error("no configuration field " + std::string(py::str(name)));
      }
      config.attr(name) = value;
    }
    configure(config.cast<const Config<N> &>());
  }

  void set_nullspace_posture(py::handle posture)
  {
    JointVector<N> value;
    read(posture, "posture", value);
    if (!controller.set_nullspace_posture(value)) {
      throw py::value_error("posture: not a finite number");
    }
  }

private:
  std::string base_frame_;
  std::string tool_frame_;
  Measurement<N> measurement_;

public:
  Controller<N> controller;
};

template <int N>
void bind_state(py::module_ & module, const char * name)
{
  using S = State<N>;
  py::class_<S> cls(module, name, "What the last tick did. Poses (7,): position [m] and quaternion xyzw, in base.");
  cls.def_readonly("mode", &S::mode);
  cls.def_readonly("active", &S::active);
  cls.def_readonly("holding", &S::holding, "A held pose is the reference: no target yet, or a fault.");
  cls.def_readonly("time", &S::time, "[s]");
  const auto pose = [&cls](const char * field, Pose S::* member, const char * doc) {
      cls.def_property_readonly(field, [member](const S & s) {return to_array(s.*member);}, doc);
    };
  pose("measured", &S::measured, "Measured pose.");
  pose("commanded", &S::commanded, "Target as received, inside the workspace box; the held pose while holding.");
  pose("smoothed", &S::smoothed, "Target after low-pass and slerp.");
  pose("limited", &S::limited, "Target after the reference limit |e| <= Delta.");
  const auto six_vector = [&cls](const char * field, Vector6 S::* member, const char * doc) {
      cls.def_property_readonly(field, [member](const S & s) {return to_array(s.*member);}, doc);
    };
  six_vector("error", &S::error, "e = p - p_ref before the limit (6,), gain frame [m, rad].");
  six_vector("limited_error", &S::limited_error, "e after the limit (6,), gain frame [m, rad].");
  six_vector("damping", &S::damping, "D used (6,), gain frame [Ns/m, Nms/rad].");
  six_vector("wrench", &S::wrench, "Wanted tcp wrench before the torque limits (6,), base axes [N, Nm].");
  cls.def_property_readonly("torque", [](const S & s) {return to_array(s.torque);},
    "Commanded torque, bias included (N,) [Nm].");
}

template <int N>
void bind_controller(py::module_ & module, const char * name)
{
  using P = PythonController<N>;
  py::class_<P> cls(module, name,
    "Cartesian impedance and feed-forward wrench control of an arm with 7 joints.\n\n"
    "Arrays are float64; other dtypes and shapes raise TypeError or ValueError. Faults never raise: they latch,\n"
    "the arm holds its pose, and `fault` says why until reset_fault().");
  cls.def(py::init<std::string, std::string>(), py::arg("base_frame") = "base", py::arg("tool_frame") = "tcp");
  cls.def("update", &P::update, py::arg("q"), py::arg("dq"), py::arg("pose"), py::arg("jacobian"), py::arg("bias"),
    py::arg("mass_matrix").none(true), py::arg("time"),
    "One tick: torque (7,) [Nm], bias included.\n\n"
    "Args:\n    q, dq: joints (7,) [rad, rad/s].\n    pose: tcp in base (7,) [m, xyzw].\n"
    "    jacobian: geometric, at the tcp, base axes, linear rows first (6, 7).\n"
    "    bias: gravity + Coriolis torques (7,) [Nm].\n    mass_matrix: (7, 7) [kg m^2] or None.\n"
    "    time: [s], on the clock of the targets' stamps.");
  cls.def("set_target_pose", &P::set_target_pose, py::arg("pose"), py::arg("stamp"),
    py::arg("frame_id") = py::none(), "Target of the tcp in base (7,); another frame_id than base latches a fault.");
  cls.def("set_target_wrench", &P::set_target_wrench, py::arg("wrench"), py::arg("stamp"),
    py::arg("frame_id") = py::none(), "Wrench at the tcp, tool frame (6,) [N, Nm]; F_ff of eq. (7) in Mode.POSE.");
  cls.def("clear_target", [](P & p) {p.controller.clear_target();}, "Hold the pose measured at the next tick.");
  cls.def("activate", [](P & p) {p.controller.activate();},
    "Forget targets and torque history, e.g. after the arm was moved by other means. Faults stay latched.");
  cls.def("reset_fault", [](P & p) {p.controller.reset_fault();}, "End a fault; hold the measured pose.");
  cls.def("set_nullspace_posture", &P::set_nullspace_posture, py::arg("posture"), "(7,) [rad].");
  cls.def("configure", &P::configure, py::arg("config"), "Take over a Config; ValueError if out of range.");
  cls.def("set", &P::set, "Change configuration fields by keyword, all or none; ValueError if out of range.");
  cls.def("stability", &P::stability, py::arg("pose"), py::arg("jacobian"), py::arg("mass_matrix"),
    "Stability of the loop with an arm at rest there, with the configured rate, gains and delay; for set-up, slow.");
  cls.def_property_readonly("soft_bandwidth", [](const P & p) {return p.controller.soft_bandwidth();},
    "Of the soft hold after an oscillation [rad/s]; 0: there is none.");
  cls.def_property_readonly("config", [](const P & p) {return Config<N>(p.controller.config());}, "A copy.");
  cls.def_property("mode", [](const P & p) {return p.controller.state().mode;},
    [](P & p, Mode mode) {p.controller.set_mode(mode);});
  cls.def_property_readonly("fault", [](const P & p) {return Fault(p.controller.fault());});
  cls.def("state", [](const P & p) {return State<N>(p.controller.state());}, "A copy of the last tick's state.");
  cls.def("force_bound", [](const P & p) {
      return to_array(force_bound(p.controller.config(), p.controller.state().damping));
    }, "k_p Delta + k_d (clip_pos + clip_neg) f with the last tick's damping (6,), gain frame [N, Nm].");
  cls.def_property_readonly_static("joints", [](const py::object &) {return N;});
}

}  // namespace serl_impedance_controller::python

#endif  // PYTHON__BIND_CONTROLLER_HPP_
