"""Calls a running server with nothing but what it tells of itself by reflection.

Usage: reflected_client.py [ADDRESS], for instance of `pointsman demo`; without one, that of POINTSMAN
in the environment (see house.py). Starts nothing. Exits with 0 when everything holds. Needs grpcio,
grpcio-reflection and grpcio-health-checking.
"""

import os
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "pointsman.v1.Pointsman"
METHODS = {"Route", "RouteStream", "Rank", "RankBatch", "Feedback", "ListModels"}
TIMEOUT_S = 30


class Client:
    """The service, from its reflected descriptors."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.service = DescriptorPool(self.database).FindServiceByName(SERVICE)

    def call(self, name, request):
        """The answer; of a streaming call, a list of all answers."""
        method = self.service.methods_by_name[name]
        answer = GetMessageClass(method.output_type)
        streams = method.server_streaming
        kind = self.channel.unary_stream if streams else self.channel.unary_unary
        stub = kind(
            f"/{SERVICE}/{name}",
            request_serializer=lambda it: it.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        message = json_format.ParseDict(request, GetMessageClass(method.input_type)())
        answered = stub(message, timeout=TIMEOUT_S)
        return list(answered) if streams else answered


def ask(text):
    return {"messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}


def check(holds, what):
    if not holds:
        raise SystemExit(f"reflected_client: {what}")
    print(f"ok: {what}")


def main(address):
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=TIMEOUT_S)
        client = Client(channel)
        services = set(client.database.get_services())
        check(SERVICE in services and "grpc.health.v1.Health" in services, f"services: {services}")
        check(METHODS <= set(client.service.methods_by_name), "every method is described")

        health = health_pb2_grpc.HealthStub(channel)
        told = health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=TIMEOUT_S)
        check(told.status == health_pb2.HealthCheckResponse.SERVING, "it is serving")

        models = client.call("ListModels", {}).models
        check(len(models) >= 2, f"{len(models)} models are listed")

        ranked = client.call("Rank", {"request": ask("Which of two ropes holds more, and why?")})
        ranking = ranked.decision.ranking
        check(len(ranking) == len(models), f"Rank orders all {len(models)}")
        utilities = [it.utility for it in ranking]
        check(utilities == sorted(utilities, reverse=True), "best first")

        answer = client.call("Route", ask("Name three rivers that flow north."))
        check(answer.message.parts[0].text != "", "Route answers")
        check(len(answer.attempts) >= 1, f"{len(answer.attempts)} attempt(s) are named")
        check(answer.attempts[-1].deployment == answer.deployment, "the last one answered")
        total = sum(it.cost_usd for it in answer.attempts)
        check(abs(answer.cost_usd - total) < 1e-9, f"the cost is the attempts' sum: {total} USD")

        events = client.call("RouteStream", ask("Tell of a lamp on a hill, in a few words."))
        kinds = [it.WhichOneof("event") for it in events]
        check(kinds[:2] == ["decided", "answering"], "RouteStream tells the choice, then who answers")
        check(kinds[-1] == "completed", f"and ends whole, after {kinds.count('delta')} piece(s)")
        check(any(it.delta.text for it in events), "with text in between")
        whole = events[-1].completed
        check(whole.deployment == events[1].answering.deployment, "of the one who was named")
        check(whole.decision.id == events[0].decided.id, "under the decision that was told")

        feedback = {"decisionId": answer.decision.id, "score": 1.0, "idempotencyKey": "ci"}
        check(client.call("Feedback", feedback).newly_stored, "feedback is stored")
        check(not client.call("Feedback", feedback).newly_stored, "and stored once")

        try:
            client.call("Route", {"messages": []})
        except grpc.RpcError as error:
            check(error.code() == grpc.StatusCode.INVALID_ARGUMENT, "no messages: INVALID_ARGUMENT")
            check("messages" in error.details(), "and the field is named")
        else:
            check(False, "an empty request was answered")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        raise SystemExit(__doc__)
    main(sys.argv[1] if len(sys.argv) == 2 else os.environ["POINTSMAN"].removeprefix("http://"))
