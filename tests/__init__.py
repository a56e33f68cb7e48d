"""The tests: one folder for each room of the source, and `support` for what they share."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
"""The folder of the project."""

DATA: Final = ROOT / "tests" / "data"
"""The publisher's contract and example, and other files that tests read."""
