"""`python -m projections` is `appointments`."""

from projections.cli.app import main

main()
