"""How conformance reads what tests said, and which of them it asks twice."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.unit.rigs.scripts_rig import script

TOOL = script("conformance")
JUNIT = """<testsuites><testsuite><properties><property name="exchanges" value="9"/><property name="listed" value="2"/>
</properties><testcase classname="tests.infrastructure.services.test_consul_kv" name="test_a[x]"/>
<testcase classname="tests.infrastructure.services.test_consul_kv" name="test_b"><failure message="no"/></testcase>
<testcase classname="tests.infrastructure.integration.test_c" name="test_c"><skipped message="slow"/></testcase>
</testsuite></testsuites>"""


def outcome(**ends: str) -> Any:
    return TOOL.Outcome({f"services/test_consul_a.py::{name}": end for name, end in ends.items()}, {}, {"consul": "1"})


def test_outcomes_are_read_by_the_names_that_the_list_uses(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    ends, said = TOOL._outcomes(tmp_path / "junit.xml")
    assert ends == {
        "services/test_consul_kv.py::test_a[x]": "passed",
        "services/test_consul_kv.py::test_b": "failed",
        "integration/test_c.py::test_c": "skipped",
    }
    assert said["services/test_consul_kv.py::test_b"] == "no"


def test_exchanges_are_counted_and_nothing_played_is_red(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    assert TOOL._counted(tmp_path / "junit.xml") == (11, 2, 1), "three tests, one red, and nine more"
    assert TOOL._counted(tmp_path / "none.xml") == (0, 0, 1)


def test_a_test_that_ran_on_one_side_only_is_a_difference() -> None:
    pair = TOOL._pair("consul", outcome(a="passed", b="passed"), outcome(a="passed", c="failed"))
    assert pair["tests"] == {
        "services/test_consul_a.py::a": ["passed", "passed"],
        "services/test_consul_a.py::b": ["passed", "absent"],
        "services/test_consul_a.py::c": ["absent", "failed"],
    }


def test_only_red_tests_without_a_line_are_asked_again() -> None:
    ends = {"one": ["passed", "failed"], "two": ["error", "passed"], "three": ["skipped", "passed"]}
    line = SimpleNamespace(kind="consul", real="1.8.7", test="two")
    proof: Any = SimpleNamespace(listed=[line])
    assert TOOL._doubtful(proof, {"kind": "consul", "real": "1.8.7", "tests": ends}) == ["one"]
    assert TOOL._doubtful(proof, {"kind": "consul", "real": "1.22.0", "tests": ends}) == ["one", "two"]


def test_a_second_run_replaces_what_it_ran() -> None:
    again = outcome(a="failed", b="failed").replaced(outcome(b="passed"))
    assert again.tests == {"services/test_consul_a.py::a": "failed", "services/test_consul_a.py::b": "passed"}
