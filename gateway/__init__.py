"""Open Cloud Mesh for storage that lacks it."""

__version__ = "0.1.0"
