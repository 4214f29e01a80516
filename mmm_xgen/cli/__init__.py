"""The command ``mmm-xgen``: it parses, calls the library and writes; it computes nothing."""

from mmm_xgen.cli.app import app, main

__all__ = ["app", "main"]
