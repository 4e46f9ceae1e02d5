"""Pointsman for Python: picks the right LLM for every request and falls back along the ranking.

`Client` is a small layer over the generated stubs of `pointsman.v1`; the messages themselves are
`chat`, `decision`, `policy` and `v1` here.
"""

from pointsman.client import Client, RouteError, tool_result, turn
from pointsman.v1 import chat_pb2 as chat
from pointsman.v1 import decision_pb2 as decision
from pointsman.v1 import pointsman_pb2 as v1
from pointsman.v1 import policy_pb2 as policy

__all__ = ["Client", "RouteError", "chat", "decision", "policy", "tool_result", "turn", "v1"]
