"""Measures Tieline beside its peers in one run. `python -m bench --help`; what and how is in README.md."""
