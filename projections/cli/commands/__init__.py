"""The commands, each in the module of its name; `projections.cli.app` lists them."""
