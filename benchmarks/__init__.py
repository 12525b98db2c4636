"""This project beside what a user would pick instead, in one sitting: `python -m benchmarks`."""
