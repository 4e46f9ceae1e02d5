"""A connection to a server, with prompts as strings and failures as one exception.

Not here: TLS and retries. The server itself falls back; a request that failed is not sent again.
"""

from collections.abc import Iterator

import grpc
from google.rpc import status_pb2

from pointsman.v1 import chat_pb2, decision_pb2, pointsman_pb2, pointsman_pb2_grpc, policy_pb2

# Whole seconds above the server's own default limit of 60 s for a request.
TIMEOUT_S = 70


class RouteError(Exception):
    """Why there is no answer, or no whole one.

    `code` is gRPC's; `failure` is a RouteFailure with every attempt, where the server told one. After
    a stream that broke off, `failure.partial` says how much of it is valid.
    """

    def __init__(self, error: grpc.RpcError):
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code()
        self.failure = _failure(error)


def turn(text: str, role: int = chat_pb2.ROLE_USER) -> chat_pb2.Message:
    """One turn of plain text."""
    return chat_pb2.Message(role=role, parts=[chat_pb2.Part(text=text)])


def tool_result(tool_call_id: str, text: str) -> chat_pb2.Message:
    """What a tool gave back."""
    result = chat_pb2.ToolResult(tool_call_id=tool_call_id, text=text)
    return chat_pb2.Message(role=chat_pb2.ROLE_TOOL, parts=[chat_pb2.Part(tool_result=result)])


class Client:
    """A connection. `stub` has the calls as they are generated, for everything else."""

    def __init__(self, address: str = "127.0.0.1:8080"):
        self._channel = grpc.insecure_channel(address)
        self.stub = pointsman_pb2_grpc.PointsmanStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, and every call on it."""
        self._channel.close()

    def route(self, prompt, timeout_s: float = TIMEOUT_S, **wishes) -> pointsman_pb2.RouteResponse:
        """An answer in one piece. `prompt` is a text or messages; `wishes` are fields of
        RouteRequest, and those of Budget by their own names: `max_cost_usd=0.01`."""
        try:
            return self.stub.Route(_request(prompt, wishes), timeout=timeout_s)
        except grpc.RpcError as error:
            raise RouteError(error) from error

    def stream(
        self, prompt, timeout_s: float = TIMEOUT_S, **wishes
    ) -> Iterator[pointsman_pb2.RouteEvent]:
        """An answer in pieces, as RouteEvents. The last one is `completed`; without it, RouteError is
        raised. Leaving the loop early and closing the iterator ends the call at the provider."""
        events = self.stub.RouteStream(_request(prompt, wishes), timeout=timeout_s)
        try:
            yield from events
        except grpc.RpcError as error:
            raise RouteError(error) from error
        finally:
            events.cancel()


_BUDGET = {field.name for field in policy_pb2.Budget.DESCRIPTOR.fields}


def _request(prompt, wishes) -> pointsman_pb2.RouteRequest:
    messages = [turn(prompt)] if isinstance(prompt, str) else prompt
    limits = {name: wishes.pop(name) for name in list(wishes) if name in _BUDGET}
    request = pointsman_pb2.RouteRequest(messages=messages, **wishes)
    request.budget.MergeFrom(policy_pb2.Budget(**limits))
    return request


def _failure(error: grpc.RpcError) -> decision_pb2.RouteFailure | None:
    """The RouteFailure among a status's details."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            failure = decision_pb2.RouteFailure()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(failure):
                    return failure
    return None
