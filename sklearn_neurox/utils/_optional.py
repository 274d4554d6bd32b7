# SPDX-License-Identifier: BSD-3-Clause
import importlib


def require(module, *, caller, extra=None):
    """Import an optional package; if it is missing, name the extra that installs it.

    ``caller`` is the class or function that needs the package, for the error message. Without an
    ``extra``, the message names the package itself.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        wanted = module if extra is None else f'"sklearn-neurox[{extra}]"'
        raise ImportError(
            f"{caller} needs the package {module!r}, which is not installed. "
            f"Run: pip install {wanted}"
        ) from error
