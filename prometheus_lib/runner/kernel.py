"""The kernel of the running Python, whatever kernels are registered on this machine.

Jupyter looks for a kernel by name in many folders. A "python3" registered by another Python, or one that is gone, would
run our notebooks without our library.
"""

from __future__ import annotations

import zmq
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

KERNEL_NAME = NATIVE_KERNEL_NAME
ENCRYPTION = "auto" if zmq.has("curve") else "disabled"


class OwnKernels(KernelSpecManager):
    """Knows one kernel, `python3`: the Python that runs now with its own ipykernel."""

    @default("kernel_dirs")
    def _no_folders(self) -> list[str]:
        return []


class OwnKernelManager(AsyncKernelManager):
    """Starts that kernel, and encrypts what is said to it where ZeroMQ can: else the kernel warns at each start."""

    @default("kernel_spec_manager")
    def _own_kernels(self) -> OwnKernels:
        return OwnKernels(parent=self)

    @default("transport_encryption")
    def _encrypted(self) -> str:
        return ENCRYPTION
