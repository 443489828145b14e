"""Panels to use by hand in JupyterLab."""
