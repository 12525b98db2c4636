"""Whole programs, to be timed from the start of the process beside `kerasmlp.train`."""
