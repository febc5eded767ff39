"""``python -m equiseg``."""

from equiseg.cli.main import main

main()
