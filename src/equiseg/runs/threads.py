"""How many CPU threads a command takes."""

from __future__ import annotations


def use_threads(threads: int | None) -> None:
    """Limit the CPU threads of this process.

    Args:
        threads: Their number; None leaves torch's own choice, all cores.

    Raises:
        ValueError: If it is below 1.
    """
    if threads is None:
        return
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}; leave it out for all cores")
    import torch

    torch.set_num_threads(threads)
