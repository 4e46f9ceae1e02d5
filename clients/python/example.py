"""One question in one piece and one as it is written, each within a budget.

Usage: example.py [ADDRESS], by default 127.0.0.1:8080, where `pointsman demo` listens.
"""

import sys

from pointsman import Client, RouteError, policy, v1


def whole(client: Client) -> None:
    answer = client.route(
        "Why is the sky blue, in short?",
        # Hard limits, for all attempts together.
        max_cost_usd=0.01,
        max_latency_ms=20_000,
        # What quality is worth inside them: a right answer instead of a wrong one, two cents.
        preference=policy.Preference(preset="balanced", cost_per_quality_usd=0.02),
    )
    print("".join(part.text for part in answer.message.parts))
    print(f"\n{answer.deployment} for ${answer.cost_usd:.6f} in {answer.total_ms:.0f} ms")
    for attempt in answer.attempts:
        how = "answered" if not attempt.failure else f"failed ({attempt.failure})"
        print(f"  {attempt.deployment} {how} after {attempt.total_ms:.0f} ms")

    # Tells how good it was; the ranking learns from that.
    feedback = v1.FeedbackRequest(decision_id=answer.decision.id, score=1.0)
    client.stub.Feedback(feedback, timeout=10)


def streamed(client: Client) -> None:
    events = client.stream(
        "Tell a short story of a lamp.",
        max_cost_usd=0.01,
        max_ttft_ms=5_000,
        preference=policy.Preference(preset="latency"),
    )
    for event in events:
        match event.WhichOneof("event"):
            case "answering":
                print(f"\n{event.answering.deployment} answers:")
            case "delta":
                print(event.delta.text, end="", flush=True)
            case "restarted":
                print("\n(drop the above: another model begins anew)")
            case "completed":
                print(f"\n${event.completed.cost_usd:.6f} in {event.completed.total_ms:.0f} ms")


def main(address: str) -> None:
    with Client(address) as client:
        try:
            whole(client)
            streamed(client)
        except RouteError as error:
            attempts = error.failure.attempts if error.failure else []
            raise SystemExit(f"{error} ({len(attempts)} attempts)") from error


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080")
