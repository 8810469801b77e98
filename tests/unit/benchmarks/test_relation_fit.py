"""Fitting the decision: copies and look-alikes are told apart, and a measure cannot speak for a pair."""

import csv
from pathlib import Path

import numpy as np

from benchmarks.relation.fit import MEASURES, Account, fit, read, source_of


def made_rows(path: Path) -> Path:
    rng = np.random.default_rng(5)
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["set", "half", "is_copy", "kind", "source", "account", "has_overlay", *MEASURES])
        writer.writeheader()
        for number in range(600):
            is_copy = number % 3 > 0
            values = {measure: rng.lognormal(-2, 0.3) for measure in MEASURES}
            values["spike"] = rng.lognormal(0.4 if is_copy else 1.6, 0.3)
            if not is_copy:
                values["motion"] = 0.01  # look-alikes are better here; that must not count against copies
            writer.writerow(
                {"set": "made", "half": "tune" if number % 2 else "report", "is_copy": int(is_copy), "kind": "x"}
                | {"source": number, "account": list(Account)[number % 4].value, "has_overlay": 0}
                | values
            )
    return path


def test_the_fit_tells_copies_from_look_alikes_on_the_half_it_did_not_see(tmp_path: Path) -> None:
    rows = read(made_rows(tmp_path / "rows.csv"))
    found = fit(rows)
    probability = 1 / (1 + np.exp(-found.points(rows)))
    unseen = ~rows.is_tune
    assert np.mean(probability[unseen & rows.is_copy] >= 0.5) > 0.85
    assert np.mean(probability[unseen & ~rows.is_copy] >= 0.5) < 0.1
    assert (found.weights >= -1e-9).all()
    assert found.weights[MEASURES.index("spike")] == found.weights.max()


def test_what_is_written_is_python_that_makes_the_model(tmp_path: Path) -> None:
    namespace: dict[str, object] = {}
    exec(source_of(fit(read(made_rows(tmp_path / "rows.csv"))), "made rows, half tune; today"), namespace)
    model = namespace["MODEL"]
    assert set(model.bias) == set(Account)  # type: ignore[attr-defined]
    assert "spike" in {penalty.measure for penalty in model.penalties}  # type: ignore[attr-defined]
