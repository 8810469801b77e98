"""Types of the fields that hold the stable words: text, with the words known today in the schema. Holds no logic."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from dedupd.protocol.names import ACTIVITIES, ORIGINS, PROBLEM_CODES, RELATIONS, ROOT_STATES, STANDINGS, WATCH_STATES

RelationName = Annotated[str, Meta(extra_json_schema={"enum": list(RELATIONS)})]
ActivityName = Annotated[str, Meta(extra_json_schema={"enum": list(ACTIVITIES)})]
RootStateName = Annotated[str, Meta(extra_json_schema={"enum": list(ROOT_STATES)})]
WatchStateName = Annotated[str, Meta(extra_json_schema={"enum": list(WATCH_STATES)})]
OriginName = Annotated[str, Meta(extra_json_schema={"enum": list(ORIGINS)})]
ProblemName = Annotated[str, Meta(extra_json_schema={"enum": list(PROBLEM_CODES)})]
StandingName = Annotated[str, Meta(extra_json_schema={"enum": list(STANDINGS)})]
