"""Lets the tests here import `recording`, which is a program as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
