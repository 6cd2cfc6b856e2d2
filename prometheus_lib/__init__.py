"""The thin library behind the Prometheus 2 notebooks: one module per step, none imports a model until it must."""

__version__ = "0.2.0"
