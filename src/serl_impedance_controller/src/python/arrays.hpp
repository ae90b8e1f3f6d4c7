// SPDX-License-Identifier: Apache-2.0
/// \file
/// NumPy float64 arrays as Eigen values: checked shapes, named errors, no temporary arrays.
#ifndef PYTHON__ARRAYS_HPP_
#define PYTHON__ARRAYS_HPP_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller::python
{

namespace py = pybind11;

inline std::string shape_text(const py::array & array)
{
  std::string text = "(";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    text += std::to_string(array.shape(i)) + (array.ndim() == 1 ? "," : i + 1 < array.ndim() ? ", " : "");
  }
  return text + ")";
}

/// The object as a float64 array. Raises TypeError, naming the argument, if it is not one.
inline py::array float64_array(py::handle object, const char * name)
{
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(std::string(name) + ": expected a numpy float64 array, got " +
            std::string(py::str(py::type::handle_of(object).attr("__name__"))));
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  if (!array.dtype().is(py::dtype::of<double>()) && !py::isinstance<py::array_t<double>>(object)) {
    throw py::type_error(std::string(name) + ": expected dtype float64, got " +
            std::string(py::str(array.dtype())) + "; convert it once, outside the control loop");
  }
  return array;
}

/// Copy an array of shape (Rows,) or (Rows, Cols), whatever its strides, into a fixed-size Eigen value.
/// Raises TypeError (not float64) or ValueError (shape), naming the argument.
template <int Rows, int Cols>
void read(py::handle object, const char * name, Eigen::Matrix<double, Rows, Cols> & out)
{
  const py::array array = float64_array(object, name);
  const py::ssize_t ndim = Cols == 1 ? 1 : 2;
  if (array.ndim() != ndim || array.shape(0) != Rows || (ndim == 2 && array.shape(1) != Cols)) {
    const std::string expected = Cols == 1 ? "(" + std::to_string(Rows) + ",)" :
      "(" + std::to_string(Rows) + ", " + std::to_string(Cols) + ")";
    throw py::value_error(std::string(name) + ": expected shape " + expected + ", got " + shape_text(array));
  }
  const auto * base = static_cast<const char *>(array.data());
  const py::ssize_t row_stride = array.strides(0);
  const py::ssize_t col_stride = ndim == 2 ? array.strides(1) : 0;
  for (int j = 0; j < Cols; ++j) {
    for (int i = 0; i < Rows; ++i) {
      out(i, j) = *reinterpret_cast<const double *>(base + i * row_stride + j * col_stride);
    }
  }
}

/// Pose as seven numbers: position [m], quaternion xyzw.
inline Pose read_pose(py::handle object, const char * name)
{
  Eigen::Matrix<double, 7, 1> values;
  read(object, name, values);
  Pose pose;
  pose.position = values.head<3>();
  pose.orientation.coeffs() = values.tail<4>();  // Eigen keeps xyzw
  return pose;
}

template <typename Vector>
py::array_t<double> to_array(const Vector & vector)
{
  py::array_t<double> array(vector.size());
  double * data = array.mutable_data();
  for (Eigen::Index i = 0; i < vector.size(); ++i) {
    data[i] = vector[i];
  }
  return array;
}

inline py::array_t<double> to_array(const Pose & pose)
{
  Eigen::Matrix<double, 7, 1> values;
  values << pose.position, pose.orientation.coeffs();
  return to_array(values);
}

}  // namespace serl_impedance_controller::python

#endif  // PYTHON__ARRAYS_HPP_
