"""SQL scripts with several statements, cut into what is executed one by one."""

from __future__ import annotations

import re
from typing import Final

_STATEMENT: Final = re.compile(r"((?:\$\$.*?\$\$|.)+?)(?:;\n|\Z)", re.DOTALL)


def statements_of(script: str) -> list[str]:
    """The statements of a script, each without comment lines and without its semicolon; `$$` quotes functions."""
    statements = _STATEMENT.findall(re.sub(r"(?m)^--.*\n", "", script))
    return [statement.strip() for statement in statements if statement.strip()]
