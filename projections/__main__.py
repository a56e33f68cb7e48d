"""`python -m projections` is `appointments`."""

from projections.cli import main

main()
