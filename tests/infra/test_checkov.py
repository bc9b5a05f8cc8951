"""checkov's rules for Azure: each is kept, or says beside the resource why it is not."""

import json
import re
import subprocess
from pathlib import Path

from tests.infra.conftest import Borrow

INFRA = Path(__file__).resolve().parents[2] / "infra"


def test_every_rule_is_kept_or_skipped_for_a_reason_that_stands_beside_it(borrow: Borrow) -> None:
    """A skip without a reason is a hole; one that skips nothing any more is a false reason."""
    checked = subprocess.run(
        [*borrow("checkov"), "checkov", "-d", INFRA, "--framework", "bicep", "--skip-download", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(checked.stdout)
    written = [
        skip
        for path in (INFRA / "modules").glob("*.bicep")
        for skip in re.findall(r"// checkov:skip=(\w+): (.+)", path.read_text("utf-8"))
    ]

    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 20
    assert [f"{each['check_id']} {each['resource']}" for each in report["results"]["failed_checks"]] == []
    assert sorted(each["check_id"] for each in report["results"]["skipped_checks"]) == sorted(
        rule for rule, _ in written
    )
    assert all(reason.strip() for _, reason in written)
