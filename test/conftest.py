"""What every test shares: one thread per process, because the machine's cores are shared by the test's processes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
