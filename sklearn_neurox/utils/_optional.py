# SPDX-License-Identifier: BSD-3-Clause
import importlib


def require(module, *, caller, extra):
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module : str
        The package to import.

    caller : str
        What needs it, as the user knows it: a class or a function.

    extra : str
        The extra of this distribution that installs it.

    Returns
    -------
    module : module

    Raises
    ------
    ImportError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{caller} needs the package {module!r}, which is not installed. "
            f'Type: pip install "sklearn-neurox[{extra}]"'
        ) from error
