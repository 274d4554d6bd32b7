# SPDX-License-Identifier: BSD-3-Clause
"""A headless Chromium for tests of pages."""

import contextlib
import os
import shutil

import pytest

# No part of the browser may access the network by itself.
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
]


@contextlib.contextmanager
def open_chromium(profile):
    """Start Chromium; without it, skip the test, or fail if tests must not be skipped.

    Parameters
    ----------
    profile : Path
        An empty folder.

    Yields
    ------
    driver : selenium.webdriver.Chrome
    """
    programs = [
        next(filter(None, map(shutil.which, names)), None)
        for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
    ]
    if None in programs:
        reason = "Chromium and chromedriver are not installed"
        if os.environ.get("SKLEARN_NEUROX_CONLLU"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location, chromedriver = programs
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()
