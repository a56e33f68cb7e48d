"""A real pgbouncer in front of the tests' server, where the machine has one (Debian's package `pgbouncer`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.postgres_server import PostgresServer

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")

SERVER_CONNECTIONS = 4

SETTINGS = """
[databases]
postgres = {target}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = any
pool_mode = {mode}
default_pool_size = {connections}
max_client_conn = 500
query_wait_timeout = 30
pidfile = {folder}/pid
"""


@contextmanager
def pooler(server: PostgresServer, mode: str) -> Iterator[str]:
    """The URL of a pgbouncer with few connections to the server; it ends with the block."""
    assert PGBOUNCER is not None
    parameters = conninfo_to_dict(server.url)
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as folder:
        file = Path(folder) / "pgbouncer.ini"
        target = make_conninfo("", **parameters)
        file.write_text(SETTINGS.format(target=target, folder=folder, mode=mode, connections=SERVER_CONNECTIONS))
        user = _user(str(parameters.get("host", "")))
        if user is not None:
            os.chown(folder, user, -1)
            file.chmod(0o644)
        command = [PGBOUNCER, "-q", str(file)]
        program = subprocess.Popen(command, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            _wait_for(f"{folder}/.s.PGSQL.6432", program)
            yield f"postgresql://{parameters['user']}@/postgres?host={quote(folder, safe='')}&port=6432"
        finally:
            program.terminate()
            program.communicate()


def _user(host: str) -> int | None:
    """Who runs it: pgbouncer refuses root, and the server's socket is for its owner only."""
    if os.geteuid() != 0:
        return None
    return (Path(host).stat().st_uid if host.startswith("/") else 0) or 65534


def _wait_for(path: str, program: subprocess.Popen[str]) -> None:
    while program.poll() is None:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(path) == 0:
                return
    raise RuntimeError(f"pgbouncer ended: {program.communicate()[0]}")
