# SPDX-License-Identifier: Apache-2.0
"""Reading plain data out of a pickle; a hostile one gets nothing called."""

import collections
import os
import pickle

import numpy as np
import pytest

from hil_serl_datasets.pickled import UnsafePickleError, read_plain_pickle


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class WithState:
    """Pickles as an object of a class of the user's."""

    def __init__(self):
        self.x = 1


class Slots:
    """Pickles with __setstate__."""

    def __reduce__(self):
        return (dict, (), {"a": 1})


@pytest.fixture
def read(tmp_path):
    def write_and_read(value, protocol=4, raw=False):
        path = tmp_path / "file.pkl"
        path.write_bytes(value if raw else pickle.dumps(value, protocol=protocol))
        return read_plain_pickle(path)

    return write_and_read


def same(one, other):
    """Equal in value and type, arrays included."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype.newbyteorder("=")  # NumPy swaps bytes when it loads an array
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("protocol", [3, 4])
def test_plain_data_comes_back_as_it_was(read, protocol):
    shared = np.arange(6, dtype=np.float32).reshape(2, 3)
    value = [
        {"a": shared, "again": shared, "fortran": np.asfortranarray(np.arange(6).reshape(2, 3))},
        {
            "u8": np.full((1, 4, 4, 3), 200, np.uint8),
            "bool": np.array([True, False]),
            "big": np.arange(3, dtype=">i4"),
        },
        (1, 2**70, -3, 300, 70000, 1.5, True, False, None, "text", "ü" * 300, b"bytes", b"x" * 300),
        {
            "scalars": [np.float64(2.5), np.bool_(True), np.int64(-4)],
            "empty": [np.zeros((0, 3)), np.array(7.0)],
        },
        [(), (1,), (1, 2), (1, 2, 3), [], {}],
    ]
    found = read(value, protocol)
    same(found, value)
    assert found[0]["a"] is found[0]["again"]


def test_nothing_that_it_names_is_called(read, tmp_path):
    target = tmp_path / "owned"
    hostile = {
        "posix.system": Calls(os.system, f"touch {target}"),
        "builtins.eval": Calls(eval, f"open({str(target)!r}, 'w')"),
        "builtins.exec": Calls(exec, f"open({str(target)!r}, 'w')"),
        "builtins.getattr": Calls(getattr, "text", "upper"),
        "builtins.open": Calls(open, str(target), "w"),
        "os.PathLike": os.PathLike,
        "collections.OrderedDict": collections.OrderedDict(a=1),
        "test_dataset_pickled.WithState": WithState(),
        "builtins.dict": Slots(),
        "numpy.fromfile": Calls(np.fromfile, "/etc/passwd"),
        "numpy.load": Calls(np.load, str(target)),
    }
    for name, thing in hostile.items():
        for value in (thing, [{"observations": thing}], [{"infos": {"deep": [1, (2, thing)]}}]):
            for protocol in (3, 4):
                with pytest.raises(UnsafePickleError, match="asks for '.*" + name.rsplit(".", 1)[1]):
                    read(value, protocol)
    assert not target.exists()


def test_arrays_of_objects_and_records_are_refused(read, tmp_path):
    target = tmp_path / "owned"
    objects = np.array([1, Calls(os.system, f"touch {target}")], dtype=object)
    with pytest.raises(UnsafePickleError, match=r"an array of objects|posix.system"):
        read([{"observations": objects}])
    with pytest.raises(UnsafePickleError, match="an array of objects"):
        read(np.array([1, None], dtype=object))
    with pytest.raises(UnsafePickleError, match="only numbers are taken"):
        read(np.zeros(2, dtype=[("a", "f4"), ("b", "O")]))
    for odd in (
        np.array(["text"]),
        np.array([b"bytes"]),
        np.array(["2026-01-01"], "M8[D]"),
        np.zeros(1, complex),
    ):
        with pytest.raises(UnsafePickleError, match="only numbers are taken"):
            read(odd)
    assert not target.exists()


def test_numpy_names_are_of_no_use_to_a_liar(read):
    from numpy._core.multiarray import _reconstruct, scalar

    for thing in (
        Calls(_reconstruct, list, (0,), b"b"),
        Calls(scalar, np.dtype("f8"), "text"),
        Calls(np.dtype, ("f8", 3)),
        Calls(np.ndarray, (10**9,)),
    ):
        with pytest.raises(UnsafePickleError):
            read([thing])
    good = pickle.dumps(np.zeros(4, np.uint8), protocol=4)
    assert good.count(b"K\x04\x85") == 1
    with pytest.raises(UnsafePickleError, match=r"4 bytes as the data of an array \(5,\) of uint8"):
        read(good.replace(b"K\x04\x85", b"K\x05\x85"), raw=True)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no whole pickle"),
        (b"not a pickle", "refused|no whole pickle"),
        (pickle.dumps(np.zeros(100), protocol=4)[:-50], "no whole pickle"),
        (pickle.dumps([1], protocol=4) + b"more", "something follows behind its end"),
        (pickle.dumps([1], protocol=2), "of pickle protocol 2; write it again with"),
        (pickle.dumps([np.zeros(3)], protocol=5), "_frombuffer"),
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "asks for 'os.system'"),
        (b"\x80\x04(S'true'\nios\nsystem\n.", "operation STRING"),
        (b"\x80\x04(I1\nios\nsystem\n.", "operation INT"),
        (b"\x80\x04K\x01Q.", "operation BINPERSID"),
        (b"\x80\x04\x82\x01.", "operation EXT1"),
        (b"\x80\x04)\x81.", "operation NEWOBJ"),
        (b"\x80\x04]K\x01b.", "sets the state of a list"),
        (b"\x80\x04K\x01K\x02a.", "appended to a int"),
        (b"\x80\x04}K\x01K\x02s.", "has a int as a key"),
        (b"\x80\x04e.", "no whole pickle|without a begin"),
        (b"\x80\x04h\x07.", "no whole pickle"),
    ],
)
def test_anything_else_is_refused_by_name(read, raw, message):
    with pytest.raises(UnsafePickleError, match=message):
        read(raw, raw=True)
