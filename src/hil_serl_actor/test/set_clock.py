# SPDX-License-Identifier: Apache-2.0
"""Processes whose clock a test can set: a library that is loaded first shifts what they see as the time of day.

Waits of the middleware are by the steady clock, as in a ROS that is built for a C library of 2020 or later. (That of the
wheels waits until a time of day, hence for an hour where the clock is set back by one while it waits.)
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from contextlib import contextmanager

import pytest

from hil_serl_core.testing.waiting import PATIENCE

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile long long *shift; /* ns */
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void start(void)
{
  int file = open(getenv("SET_CLOCK_FILE"), O_RDONLY);
  void *shared = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, file, 0);
  if (shared != MAP_FAILED) shift = shared;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME && shift) {
    long long ns = time->tv_sec * 1000000000LL + time->tv_nsec + *shift;
    time->tv_sec = ns / 1000000000LL;
    time->tv_nsec = ns % 1000000000LL;
  }
  return result;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
  struct timespec now, steady;
  if (until->tv_sec < 1000000000) return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_MONOTONIC, &steady);
  long long left = (until->tv_sec - now.tv_sec) * 1000000000LL + until->tv_nsec - now.tv_nsec;
  long long end = steady.tv_sec * 1000000000LL + steady.tv_nsec + (left > 0 ? left : 0);
  struct timespec deadline = {end / 1000000000LL, end % 1000000000LL};
  return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &deadline);
}
"""


class SetClock:
    """Starts processes by a clock that is so many seconds off the test's own."""

    def __init__(self, folder, offset):
        self._file, self._library = folder / "shift", folder / "libset_clock.so"
        self.set(offset)
        (folder / "set_clock.c").write_text(_SOURCE)
        command = ["cc", "-shared", "-fPIC", "-o", str(self._library), str(folder / "set_clock.c"), "-ldl"]
        subprocess.run(command, check=True)

    def set(self, offset):
        """The clock is so many seconds off from now on."""
        mode = "r+b" if self._file.exists() else "wb"
        with self._file.open(mode) as file:  # the same file: it is mapped
            file.write(struct.pack("<q", round(1e9 * offset)))

    @contextmanager
    def process(self, module, arguments, log):
        """A node in a process of its own, which writes to a file; ended afterwards."""
        environment = {**os.environ, "LD_PRELOAD": str(self._library), "SET_CLOCK_FILE": str(self._file)}
        command = [sys.executable, "-m", module, *arguments]
        with log.open("w") as output:
            child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            try:
                yield child
            finally:
                child.terminate()
                child.wait(timeout=PATIENCE)


@pytest.fixture
def set_clock(tmp_path):
    """``set_clock(offset)``: see ``SetClock``."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    return lambda offset: SetClock(tmp_path, offset)
