"""What a service is told when it starts: whom it lets in, and under which names."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import StorageUnavailable, UsageError
from projections.web.signature import PREFIX, key_of

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""The host names under which a service of this machine may always be asked."""

_TOKEN_CHARACTERS_MIN: Final = 16
_SECRET_BYTES_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what.

    Attributes:
        token: the secret that opens everything but health and calendar feeds; None where nothing asks for one.
        intake_token: a secret that only lets its bearer deliver envelopes.
        webhook_secrets: keys of Standard Webhooks, any of which may have signed a delivery.
        hosts: the host names under which the service may be asked, without a port.
    """

    token: str | None = field(default=None, repr=False)
    intake_token: str | None = field(default=None, repr=False)
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    hosts: frozenset[str] = LOOPBACK_NAMES

    def opens(self, presented: str) -> bool:
        """Whether a presented token opens pages, questions and intake."""
        return _is_equal(presented, self.token)

    def opens_intake(self, presented: str) -> bool:
        """Whether a presented token lets its bearer deliver envelopes."""
        return self.opens(presented) or _is_equal(presented, self.intake_token)


def _is_equal(presented: str, secret: str | None) -> bool:
    return secret is not None and hmac.compare_digest(presented.encode(), secret.encode())


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: str) -> str:
    """The token in a file, without the end of its line.

    Raises:
        UsageError: the file cannot be read, or holds no token of at least 16 printable characters.
    """
    token = _read(path, "token")
    if len(token) < _TOKEN_CHARACTERS_MIN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"expected in {path} one token of at least {_TOKEN_CHARACTERS_MIN} letters, digits or signs; "
            "to make one: openssl rand -hex 32"
        )
    return token


def read_webhook_secrets(path: str) -> tuple[str, ...]:
    """The Standard Webhooks secrets in a file, one a line, so that an old one is still good while it is replaced.

    Raises:
        UsageError: the file cannot be read, or a line is not `whsec_` and base64 of 16 bytes or more.
    """
    lines = tuple(line.strip() for line in _read(path, "webhook secret").splitlines() if line.strip())
    if not lines or not all(map(_is_webhook_secret, lines)):
        raise UsageError(
            f"expected in {path} lines of {PREFIX} and base64 of {_SECRET_BYTES_MIN} bytes or more, "
            "as the sender of the webhooks shows them"
        )
    return lines


def _is_webhook_secret(line: str) -> bool:
    try:
        return len(key_of(line)) >= _SECRET_BYTES_MIN
    except ValueError:
        return False


def _read(path: str, what: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"cannot read the {what} in {path}: {reason}") from error


def intake_token_beside(database_file: str) -> tuple[str, str]:
    """A token for deliveries kept beside an SQLite file, made when it is first needed: the token and its file.

    Raises:
        UsageError: there is such a file, and it holds no token.
        StorageUnavailable: the file cannot be made.
    """
    path = f"{database_file}.token"
    if not Path(path).exists():
        try:
            _make_token(path)
        except OSError as error:
            raise StorageUnavailable(f"cannot make the token for deliveries, {path}: {error.strerror}") from error
    return read_token(path), path


def _make_token(path: str) -> None:
    """Writes a file that only its owner can read; whoever finds it finds it whole. Another's stays."""
    made = f"{path}.{secrets.token_hex(8)}"
    descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        Path(made).unlink()
