"""Protocol Buffers' own library for Python: Debian's, for another Python of its version too. Import it first."""

import sys

try:
    import google.protobuf  # noqa: F401
except ModuleNotFoundError:
    sys.path.append("/usr/lib/python3/dist-packages")
