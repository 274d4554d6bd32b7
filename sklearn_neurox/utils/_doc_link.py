# SPDX-License-Identifier: BSD-3-Clause
"""Link the steps in the diagrams of estimators to their documentation."""

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from urllib.parse import quote

_VARIABLE = "SKLEARN_NEUROX_DOCS"


class DocLinkMixin:
    """Link the diagram of an estimator to its page, if the place of the documentation is known.

    The environment variable ``SKLEARN_NEUROX_DOCS`` gives the address or the folder of the built
    documentation; if it is not set, the entry "Documentation" of the installed package does.
    """

    def _get_doc_link(self) -> str:
        """Return the link that scikit-learn shows in diagrams, or an empty string for none."""
        name = type(self).__name__
        project, room, *_ = [*type(self).__module__.split("."), ""]
        public = sys.modules.get(f"{project}.{room}")
        # Private classes, and subclasses that others write, have no page.
        if project != "sklearn_neurox" or getattr(public, name, None) is not type(self):
            return ""
        return _link_to(f"api/{room}/{name}.html")


def _link_to(page: str) -> str:
    place = os.environ.get(_VARIABLE, "").strip() or _address_of_distribution()
    if re.match(r"(?i)(https?|file)://.", place):
        # scikit-learn writes the link into the HTML as it is.
        return quote(f"{place.rstrip('/')}/{page}", safe="%/:=&?~#+!$,;'@()*[]")
    try:
        file = Path(place).expanduser().absolute() / page
        return file.as_uri() if place and file.is_file() else ""
    except (OSError, RuntimeError, ValueError):
        # The path names an unknown user or is too long, or there is no working directory.
        return ""


def _address_of_distribution() -> str:
    """Return the address of the documentation in the metadata of the installed package."""
    try:
        entries = metadata("sklearn-neurox").get_all("Project-URL") or []
    except (PackageNotFoundError, OSError):
        return ""
    for entry in entries:
        label, _, address = entry.partition(",")
        is_address = re.match(r"(?i)https?://.", address.strip())
        if label.strip().lower() == "documentation" and is_address:
            return address.strip()
    return ""
