"""Where an installation is: one SQLite file, one schema of a PostgreSQL database, or a name in memory."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from typing_extensions import override

from domain.arguments import text
from domain.errors import UsageError

URL_DEFAULT: Final = "sqlite:///appointments.db"
SCHEMA_DEFAULT: Final = "appointments"

_SCHEMA_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")


_SECRETS: Final = {"password", "sslpassword", "oauth_client_secret"}

READ_OPTIONS: Final = ("read_host", "read_port")
"""The parameters of a PostgreSQL URL that name replicas for questions; as libpq's `host` and `port`."""

BackendName = Literal["memory", "sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Location:
    """Where one installation is.

    Attributes:
        backend: which adapter serves it.
        target: a file path (sqlite), a libpq connection URL (postgresql), or a name (memory). It may hold a
            password, so it never belongs in a message; `str(location)` does.
        schema: the PostgreSQL schema that holds the installation; ignored elsewhere.
    """

    backend: BackendName
    target: str = field(repr=False)
    schema: str

    def replica(self) -> Location | None:
        """The servers named by `read_host` and `read_port`, of several the first standby; None without any."""
        place, _, query = self.target.partition("?")
        options = [one.partition("=") for one in query.split("&")] if self.backend == "postgresql" else []
        there = {name.removeprefix("read_"): value for name, _, value in options if name in READ_OPTIONS}
        if "host" not in there:
            return None
        ours = {name: value for name, _, value in options if name not in (*READ_OPTIONS, "hostaddr")}
        chosen = ours | {"target_session_attrs": "prefer-standby"} | there
        return replace(self, target=f"{place}?" + "&".join(map("=".join, chosen.items())))

    def from_elsewhere(self) -> Location:
        """The same place for another process: a file by its whole path, a database without passwords.

        Whoever connects there has passwords of their own in libpq's usual places.
        """
        if self.backend == "sqlite":
            return replace(self, target=str(Path(self.target).absolute()))
        if self.backend == "memory":
            return self
        parts = urlsplit(self.target)
        user, at, server = parts.netloc.rpartition("@")
        options = (one for one in parts.query.split("&") if one.partition("=")[0] not in _SECRETS)
        plain = parts._replace(netloc=user.partition(":")[0] + at + server, query="&".join(options))
        return replace(self, target=plain.geturl())

    @override
    def __str__(self) -> str:
        """The place, without a password."""
        match self.backend:
            case "sqlite":
                return self.target
            case "memory":
                return f"memory:{self.target}"
            case "postgresql":
                return f"the schema {self.schema} of the PostgreSQL database"


def locate(url: str | None = None, *, schema: str | None = None) -> Location:
    """Parses a database URL and a schema name; what is None is taken from the environment, or else the default.

    Refuses an empty text: an unset shell variable would otherwise select another database.

    Raises:
        UsageError: the URL is of no known form, or the schema is not a plain SQL name.
    """
    if url is None:
        url = os.environ.get("APPOINTMENTS_DB") or URL_DEFAULT
    if schema is None:
        schema = os.environ.get("APPOINTMENTS_SCHEMA") or SCHEMA_DEFAULT
    url, schema = text("url", url), text("schema", schema)
    if _SCHEMA_NAME.fullmatch(schema) is None:
        raise UsageError(f"expected a schema of letters, digits and underscores, at most 48, found {schema[:60]!r}")
    if url.startswith(("postgresql://", "postgres://")):
        return Location("postgresql", url, schema)
    if url.startswith("memory:") and len(url) > len("memory:"):
        return Location("memory", url.removeprefix("memory:"), schema)
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return Location("sqlite", str(Path(url.removeprefix("sqlite:///"))), schema)
    # Whatever is wrong with it, the URL may hold a password: it is not repeated.
    raise UsageError(
        "expected a database URL: sqlite:///relative.db, sqlite:////absolute.db, "
        "postgresql://user@host/dbname or memory:NAME"
    )
