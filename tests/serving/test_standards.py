"""What others make of it: schemathesis of OpenAPI, xpublish of the files."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
import xarray
from tests.fixtures.served import make_service

from framecast.serving.app import make_app

REQUEST = ("method", "url", "params", "headers", "json")


@pytest.mark.parametrize("examples", [12, pytest.param(500, marks=pytest.mark.slow)])
def test_openapi_is_kept_to(placeless: Path, examples: int) -> None:
    """Each address is asked what its description allows, and what it does not; no 500, nothing undescribed."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis import HealthCheck, Phase, given, settings
    from starlette.testclient import TestClient

    service = make_service(out=placeless, max_age=1e12)
    app = make_app(service)
    with TestClient(app) as client:
        while client.get("/health").status_code != 200:
            time.sleep(0.05)
        about = client.get("/openapi.json").json()
        about["paths"].pop("/events")  # an answer without an end
        schema = schemathesis.openapi.from_dict(about)
        seen: Counter[tuple[str, int]] = Counter()
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            def run(case) -> None:
                words = case.as_transport_kwargs(base_url="http://testserver")
                said = {key: words[key] for key in REQUEST if key in words}
                if isinstance(body := words.get("data"), bytes | str):
                    said["content"] = body
                answer = client.request(**said)
                assert answer.status_code < 500 or answer.status_code == 503, (case, answer.text)
                stated = case.operation.definition.raw["responses"]
                assert str(answer.status_code) in stated, (case.path, answer.status_code, answer.text)
                kind = answer.headers["content-type"].partition(";")[0]
                assert kind in stated[str(answer.status_code)].get("content", {kind: None}), (case.path, kind)
                seen[case.path, answer.status_code] += 1

            given(case=operation.as_strategy())(run)()
    print(f"{sum(seen.values())} requests: {dict(seen)}")
    assert len({path for path, _ in seen}) >= 10


def test_files_are_published_by_xpublish_as_they_are(knmi: Path) -> None:
    xpublish = pytest.importorskip("xpublish", reason="xpublish is not installed")
    from starlette.testclient import TestClient

    latest = json.loads((knmi / "latest.json").read_text())
    with xarray.open_dataset(knmi / latest["files"][0], engine="h5netcdf") as data:
        published = TestClient(xpublish.SingleDatasetRest(data.load()).app)
        names = published.get("/keys").json()
        about = published.get("/info").json()
        assert {"time", "lead_time"} <= set(about["variables"]) | set(about.get("coords", []))
        assert about["global_attributes"]["Conventions"] == "CF-1.11"
        (name,) = [name for name in names if data[name].ndim == 3]
        assert published.get("/dict").json()["data_vars"][name]["shape"] == list(data[name].shape)
