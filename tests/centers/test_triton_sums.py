import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

INTERPRETED = Path(__file__).with_name("triton_interpreted.py")


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="the Triton kernels are not tested: triton is not installed (300 MB, Linux only)",
)
def test_the_triton_kernels_under_the_interpreter():
    # The interpreter must be chosen before triton is imported, which torch may have done.
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INTERPRETED)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout
