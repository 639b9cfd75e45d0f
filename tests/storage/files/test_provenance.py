from __future__ import annotations

import getpass
import json
import re
import socket

from inscl.storage.files.provenance import hardware, now, packages


def test_names_versions_and_hardware_but_nobody() -> None:
    found = packages()
    assert re.match(r"\d+\.", found["inscl"])
    assert re.match(r"\d+\.", found["numpy"])
    machine = hardware()
    assert machine["cores"] >= 1
    assert machine["processor"]
    text = json.dumps([found, machine])
    assert socket.gethostname() not in text
    assert getpass.getuser() == "root" or getpass.getuser() not in text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now())
