"""Types of the fields that hold the stable words: text, with the words known today in the schema. Holds no logic."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from dedupd.protocol.names import (
    ACTIONS,
    ACTIVITIES,
    ORIGINS,
    OUTCOMES,
    PLAN_STATES,
    PROBLEM_CODES,
    RELATIONS,
    ROLES,
    ROOT_STATES,
    RUNS,
    SPARED,
    STANDINGS,
    WATCH_STATES,
)

RelationName = Annotated[str, Meta(extra_json_schema={"enum": list(RELATIONS)})]
ActivityName = Annotated[str, Meta(extra_json_schema={"enum": list(ACTIVITIES)})]
RootStateName = Annotated[str, Meta(extra_json_schema={"enum": list(ROOT_STATES)})]
WatchStateName = Annotated[str, Meta(extra_json_schema={"enum": list(WATCH_STATES)})]
OriginName = Annotated[str, Meta(extra_json_schema={"enum": list(ORIGINS)})]
ProblemName = Annotated[str, Meta(extra_json_schema={"enum": list(PROBLEM_CODES)})]
StandingName = Annotated[str, Meta(extra_json_schema={"enum": list(STANDINGS)})]
ActionName = Annotated[str, Meta(extra_json_schema={"enum": list(ACTIONS)})]
RoleName = Annotated[str, Meta(extra_json_schema={"enum": list(ROLES)})]
PlanStateName = Annotated[str, Meta(extra_json_schema={"enum": list(PLAN_STATES)})]
RunName = Annotated[str, Meta(extra_json_schema={"enum": list(RUNS)})]
OutcomeName = Annotated[str, Meta(extra_json_schema={"enum": list(OUTCOMES)})]
SparedName = Annotated[str, Meta(extra_json_schema={"enum": list(SPARED)})]
