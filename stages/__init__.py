"""The pipeline: one module for each DVC stage, run as ``python -m stages.<name>`` in the repository's root."""
