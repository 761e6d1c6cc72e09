"""Our speed beside that of other libraries and of plain NumPy: `python -m benchmarks`."""
