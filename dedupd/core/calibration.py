"""How probable it is that a pair comes from one shot: a readable, additive model over the evidence.

Each measure that is worse than copies usually are costs points; what is better than usual earns none, so that a pair
cannot make up for one disagreement with another agreement. Pure. The coefficients (`relation_model`) are written by
`python -m benchmarks.relation.fit`, which also says on what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.records import Evidence

MIN_USUAL_EXCESS = 0.15  # differences below this are rounding; nothing stands out from them


class Account(StrEnum):
    """What must be explained for a pair to be copies; every step away from a plain copy is held to more."""

    PLAIN = "plain"  # the same frame
    RETONED = "retoned"  # the same frame in other colours or brightness
    REFRAMED = "reframed"  # one shows a part of the other
    REFRAMED_RETONED = "reframed-retoned"


@dataclass(frozen=True, slots=True)
class Penalty:
    """What one measure costs: weight · ln(value / usual), nothing below usual."""

    measure: str  # a key of `measures`
    usual: float  # median of copies
    weight: float  # points a factor of e, ≥ 0

    def of(self, value: float) -> float:
        """Points, ≥ 0."""
        return self.weight * math.log(value / self.usual) if value > self.usual else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A fitted decision."""

    fitted_on: str  # data and date, for people
    bias: dict[Account, float]  # points of a usual copy
    overlay: float  # points that added writing costs, ≥ 0
    penalties: tuple[Penalty, ...]

    def probability(self, evidence: Evidence, account: Account) -> float:
        """0 … 1, that both pictures come from one shot."""
        points = self.bias[account] - sum(self.costs(evidence).values())
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, points))))

    def costs(self, evidence: Evidence) -> dict[str, float]:
        """Points that each measure takes off, for explaining."""
        values = measures(evidence)
        found = {p.measure: p.of(values.get(p.measure, 0.0)) for p in self.penalties}
        found["overlay"] = self.overlay if evidence.overlay_share > 0 else 0.0
        return found


def measures(evidence: Evidence) -> dict[str, float]:
    """The measures of a pair by name, all ≥ 0, larger is worse; octaves that a small picture lacks are left out.

    - excess: the largest difference that compression does not explain.
    - spike: how far it stands out from the picture's other differences. Compression is even, a changed thing is not.
    - foreign: disagreement of the finest octave beyond what a loss of detail in one picture alone, or noise added to
      one, explains: that would be 1 - gain. Two exposures each have noise of their own.
    - levels: median difference; motion: what alignment leaves, px.
    - octave_1 … 4, worst_1 … 4: `band_errors` and `band_lows`.
    """
    values = {
        "excess": evidence.excess,
        "spike": evidence.excess / max(evidence.usual_excess, MIN_USUAL_EXCESS),
        "levels": evidence.error_levels,
        "motion": evidence.motion_px,
    }
    if evidence.band_errors and evidence.band_gains:
        gain = min(evidence.band_gains[0], 1 / evidence.band_gains[0])
        values["foreign"] = max(0.0, evidence.band_errors[0] - (1 - gain))
    values |= {f"octave_{i}": e for i, e in enumerate(evidence.band_errors, 1)}
    values |= {f"worst_{i}": e for i, e in enumerate(evidence.band_lows, 1)}
    return values
