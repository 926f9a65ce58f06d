"""The pipeline: one module a DVC stage; run each as ``python -m stages.<name>`` in the repository's root."""
