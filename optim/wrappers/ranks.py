"""What the processes of an MPI communicator, its ranks, say to each other."""

from functools import partial
from time import sleep
from typing import Any

import numpy as np

from minigrad.backend import Array, current, synchronize, to_host, xp
from minigrad.errors import install, one_line


class Ranks:
    """The ranks of `comm`, of which this process is one; None: of all that mpiexec has started.

    Every rank calls the same methods in the same order. Raises RuntimeError where there is no MPI.
    """

    def __init__(self, comm: Any = None):
        try:
            from mpi4py import MPI  # here: whoever imports it, starts MPI
        except (ImportError, RuntimeError) as error:
            raise RuntimeError(
                f"several processes need MPI ({one_line(error)}); {install('mpi')}, and an MPI "
                "library, which `pip install mpich` brings where there is none."
            ) from error
        self._comm, self._own = MPI.COMM_WORLD if comm is None else comm, MPI.IN_PLACE
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()

    def abort(self) -> None:
        """End the processes of all ranks."""
        self._comm.Abort(1)

    def wait(self) -> None:
        """Wait for all ranks, asleep: MPI itself would keep the cores busy."""
        request = self._comm.Ibarrier()
        while not request.Test():
            sleep(0.01)

    def objects(self, one: Any) -> list[Any]:
        """What every rank has given, small and picklable."""
        every: list[Any] = self._comm.allgather(one)
        return every

    def numbers(self, row: list[float]) -> Any:
        """The row of every rank, in float64 on the host; all are of one length."""
        rows = np.empty((self.size, len(row)))
        self._comm.Allgather(np.array(row, "float64"), rows)
        return rows

    def rows(self, rows: Array) -> None:
        """Fill rows, on the host, of which each rank has filled an equal part, in their order."""
        self._comm.Allgather(self._own, rows)

    def broadcast(self, array: Array) -> None:
        """Make a flat array that of rank 0."""
        self._in_place(self._comm.Bcast, array)

    def sum(self, array: Array) -> None:
        """Make a flat array the sum of those of all ranks: the same bits on each."""
        self._in_place(partial(self._comm.Allreduce, self._own), array)

    def _in_place(self, function: Any, array: Array) -> None:
        """Call it with the array, of a device with a copy: an MPI may not know of devices, and
        must not see what they still compute."""
        if current().on_host:
            function(array)
            return
        synchronize()
        copy = to_host(array)
        function(copy)
        array[...] = xp.asarray(copy)


def weights_of(counts: Any) -> list[float]:
    """The counts over their sum; raises ValueError where only some are given, or all are 0."""
    lacking = np.isnan(counts)
    if lacking.all():
        counts = np.ones(len(counts))
    elif lacking.any():
        raise ValueError(
            f"parts {np.flatnonzero(lacking).tolist()} of {len(counts)} have no `samples`, and the "
            "others do; give it to every step, or to none."
        )
    elif not counts.any():
        raise ValueError("samples=0 in every part; leave that batch out, on all ranks.")
    shares: list[float] = (counts / counts.sum()).tolist()
    return shares
