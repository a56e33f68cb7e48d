"""The workers of a Dask cluster, as an executor."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Final

from domain.errors import StorageUnavailable, UsageError

_CONNECT_SECONDS_MAX: Final = 10
_ADDRESS: Final = re.compile(r"[a-z]+://\S+:\d+")


@contextmanager
def executor_at(address: str | None) -> Iterator[Executor | None]:
    """Connects to the scheduler at an address such as `tcp://host:8786`; without one there is no executor.

    The scheduler gives the partitions of a killed worker to the others.

    Raises:
        UsageError: the `distributed` library is not installed, or this is no address.
        StorageUnavailable: the scheduler does not answer, or has no workers.
    """
    if address is None:
        yield None
        return
    if _ADDRESS.fullmatch(address) is None:
        raise UsageError(f"expected a Dask scheduler's address, such as tcp://host:8786, found {address!r}")
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--dask needs the distributed library: pip install 'appointments[dask]'") from None
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs a traceback for a scheduler that ends
    try:
        client = Client(address, timeout=_CONNECT_SECONDS_MAX, set_as_default=False)
    except (OSError, ValueError):
        raise StorageUnavailable(f"no Dask scheduler answers at {address}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise StorageUnavailable(f"the Dask scheduler at {address} has no workers")
        yield client.get_executor(pure=False)
