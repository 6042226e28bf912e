"""Where a report was made: versions, platform and device, for its first line and for its JSON.

Guarded by `tests/reporting/test_text.py`.
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

import jax
import numpy as np

__all__ = ["environment", "headline", "version"]


def version() -> str:
    """The installed version of jaxsoftmax.

    Example:
        >>> from jaxsoftmax.reporting.environment import version
        >>> version()[0].isdigit()
        True
    """
    return _version_of("jaxsoftmax") or "not installed"


def environment() -> dict[str, Any]:
    """Versions, platform and device, for the record.

    Example:
        >>> from jaxsoftmax.reporting.environment import environment
        >>> sorted(environment())
        ['device', 'jax', 'jaxlib', 'numpy', 'platform', 'python', 'python_flint']
    """
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "jax": _version_of("jax"),
        "jaxlib": _version_of("jaxlib"),
        "numpy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "device": f"{jax.device_count()} {device.device_kind} device{'s' * (jax.device_count() > 1)}",
        "python_flint": _version_of("python-flint"),
    }


def headline(version: str, e: dict[str, Any]) -> str:
    """The first line of a report.

    Example:
        >>> from jaxsoftmax.reporting.environment import environment, headline
        >>> headline("0.1", environment())[:15]
        'jaxsoftmax 0.1:'
    """
    return (
        f"jaxsoftmax {version}: Python {e['python']}, JAX {e['jax']} (jaxlib {e['jaxlib']}), "
        f"NumPy {e['numpy']}, {e['platform']}, {e['device']}"
    )


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
