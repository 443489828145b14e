"""papermill's own command, without the grammars of internet addresses: 4 s for no notebook."""

import sys

if __name__ == "__main__":
    sys.modules["rfc3987_syntax"] = None
    from papermill.__main__ import papermill

    papermill()
