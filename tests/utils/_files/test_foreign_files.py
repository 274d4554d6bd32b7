# SPDX-License-Identifier: BSD-3-Clause
import os
from pathlib import Path

import pytest

from sklearn_neurox.utils._files._foreign_files import (
    as_path,
    check_regular,
    named_errors,
    parse_json,
    reason_of,
)


def test_a_path_is_text_bytes_or_path_like():
    for given in ("a/b", b"a/b", Path("a/b")):
        assert as_path(given, "It") == Path("a/b")
    with pytest.raises(TypeError, match="It must be a path, got a int"):
        as_path(3, "It")
    # What the system itself makes of undecodable names stays usable.
    assert os.fsencode(as_path(os.fsdecode(b"a\xff"), "It")) == b"a\xff"


@pytest.mark.parametrize("bad", ["\0", "\ud800"])
def test_a_path_that_no_file_can_have_is_an_error(bad):
    with pytest.raises(ValueError, match=r"^It is 'a\\.*Correct the path\.$"):
        as_path(f"a{bad}", "It")


def test_a_pipe_is_accepted_only_on_request(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_regular(tmp_path / "pipe", "a text", pipes=True)
    with pytest.raises(ValueError, match="pipe is a pipe.*Pass the path of a text"):
        check_regular(tmp_path / "pipe", "a text")


def test_every_error_of_a_library_becomes_one_line():
    errors = [RecursionError("deep"), KeyError("x"), RuntimeError("a\nb"), OSError()]
    reasons = ["too deeply nested", "no 'x'", "a", "OSError"]
    assert [reason_of(error) for error in errors] == reasons
    for error, reason in zip(errors, reasons, strict=True):
        with pytest.raises(ValueError, match=rf"^f is damaged \({reason}\)\. Do so\.$"):
            with named_errors("f", "is damaged", "Do so."):
                raise error
    with pytest.raises(MemoryError, match=r"^f: there is not enough memory to read it\.$"):
        with named_errors("f", "is damaged", "Do so."):
            raise MemoryError
    with pytest.raises(KeyError), named_errors("f", "is damaged", "Do so.", unless=KeyError):
        raise KeyError
    with pytest.raises(ValueError, match=r"^f is not JSON \(.*\)\. Do so\.$"):
        parse_json(b"\xff", "f", "Do so.")
