"""Parses a PostgreSQL URL: the parameters of libpq, and a timeout of our own."""

from __future__ import annotations

import math
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from domain.errors import StorageError
from domain.storage.location import READ_OPTIONS
from domain.storage.time_limit import TIMEOUT_SECONDS_DEFAULT

CONNECT_SECONDS_MAX: Final = 10

_DEFAULTS: Final = {
    "application_name": "appointments",
    "connect_timeout": str(CONNECT_SECONDS_MAX),
    # A dead network is noticed within about a minute, whether it was being written to or only listened to.
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


class PostgresUrl(NamedTuple):
    """The libpq parameters, completed by this product's defaults, and the time limit of a query in seconds."""

    parameters: dict[str, str]
    timeout_seconds: float

    @classmethod
    def read(cls, url: str) -> PostgresUrl:
        """Parses a URL. All parameters are libpq's but `timeout=SECONDS`, 0 meaning no limit, and `READ_OPTIONS`.

        Raises:
            StorageError: the URL cannot be parsed; the message repeats nothing of it.
        """
        place, _, query = url.partition("?")
        options = [option.partition("=") for option in query.split("&") if option]
        seconds = [unquote(value) for name, _, value in options if name == "timeout"]
        theirs = "&".join("".join(option) for option in options if option[0] not in ("timeout", *READ_OPTIONS))
        parameters = _libpq_parameters(f"{place}?{theirs}" if theirs else place)
        return cls(_DEFAULTS | parameters, _timeout(seconds[-1]) if seconds else TIMEOUT_SECONDS_DEFAULT)

    @property
    def place(self) -> str:
        """The URL reduced to server and database, without user and password."""
        host = self.parameters.get("host", self.parameters.get("hostaddr", ""))
        port = f":{self.parameters['port']}" if "port" in self.parameters else ""
        server, socket = ("", f"?host={host}") if "/" in host else (host, "")
        return f"postgresql://{server}{port}/{self.parameters.get('dbname', '')}{socket}"

    def connecting_within(self, seconds: float) -> dict[str, str]:
        """The parameters with a connect timeout of at most so many seconds; libpq accepts no less than two."""
        own = self.parameters["connect_timeout"]
        if own.isdecimal() and 0 < int(own) <= seconds:
            return self.parameters
        return self.parameters | ({} if seconds == math.inf else {"connect_timeout": str(max(math.ceil(seconds), 2))})


def _libpq_parameters(url: str) -> dict[str, str]:
    try:
        parts = urlsplit(url)
        is_readable = parts.netloc.count("@") <= 1 and "@" not in parts.path + parts.query and not parts.fragment
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except (psycopg.Error, ValueError):
        is_readable, parameters = False, {}
    if not is_readable:
        # The driver's own message may repeat a part of a password that was not percent-encoded.
        raise StorageError(
            "the PostgreSQL URL cannot be read; special characters in the user and the password are percent-encoded"
        )
    return parameters


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise StorageError("the PostgreSQL URL has a timeout that is not a number of seconds, as in ?timeout=30")
    return seconds or math.inf
