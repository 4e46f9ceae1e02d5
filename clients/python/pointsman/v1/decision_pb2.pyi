from pointsman.v1 import chat_pb2 as _chat_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Limit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIMIT_UNSPECIFIED: _ClassVar[Limit]
    LIMIT_ABILITIES: _ClassVar[Limit]
    LIMIT_CONTEXT_WINDOW: _ClassVar[Limit]
    LIMIT_UNAVAILABLE: _ClassVar[Limit]
    LIMIT_NOT_ALLOWED: _ClassVar[Limit]
    LIMIT_MAX_COST_USD: _ClassVar[Limit]
    LIMIT_MAX_LATENCY_MS: _ClassVar[Limit]
    LIMIT_MAX_TTFT_MS: _ClassVar[Limit]
    LIMIT_MIN_QUALITY: _ClassVar[Limit]
    LIMIT_KEY_SCOPE: _ClassVar[Limit]
    LIMIT_PROVIDER_ONLY: _ClassVar[Limit]
    LIMIT_PROVIDER_IGNORE: _ClassVar[Limit]
    LIMIT_ALLOW_FALLBACKS: _ClassVar[Limit]
    LIMIT_REQUIRE_PARAMETERS: _ClassVar[Limit]
    LIMIT_DATA_COLLECTION: _ClassVar[Limit]
    LIMIT_ZDR: _ClassVar[Limit]
    LIMIT_QUANTIZATIONS: _ClassVar[Limit]
    LIMIT_MAX_PRICE: _ClassVar[Limit]
    LIMIT_MAX_INTER_TOKEN_MS: _ClassVar[Limit]
    LIMIT_MIN_THROUGHPUT: _ClassVar[Limit]
    LIMIT_NOT_ON_ROUTE: _ClassVar[Limit]

class FailureClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_CLASS_UNSPECIFIED: _ClassVar[FailureClass]
    FAILURE_CLASS_RATE_LIMITED: _ClassVar[FailureClass]
    FAILURE_CLASS_OVERLOADED: _ClassVar[FailureClass]
    FAILURE_CLASS_CONNECTION: _ClassVar[FailureClass]
    FAILURE_CLASS_FIRST_TOKEN_LATE: _ClassVar[FailureClass]
    FAILURE_CLASS_STALLED: _ClassVar[FailureClass]
    FAILURE_CLASS_DEADLINE: _ClassVar[FailureClass]
    FAILURE_CLASS_AUTH: _ClassVar[FailureClass]
    FAILURE_CLASS_MODEL_MISSING: _ClassVar[FailureClass]
    FAILURE_CLASS_CONTEXT_TOO_LONG: _ClassVar[FailureClass]
    FAILURE_CLASS_UNSUPPORTED: _ClassVar[FailureClass]
    FAILURE_CLASS_CONTENT_FILTERED: _ClassVar[FailureClass]
    FAILURE_CLASS_INVALID_REQUEST: _ClassVar[FailureClass]
    FAILURE_CLASS_EMPTY_ANSWER: _ClassVar[FailureClass]
    FAILURE_CLASS_MALFORMED: _ClassVar[FailureClass]
    FAILURE_CLASS_STREAM_CUT: _ClassVar[FailureClass]
    FAILURE_CLASS_OVER_BUDGET: _ClassVar[FailureClass]
    FAILURE_CLASS_CANCELLED: _ClassVar[FailureClass]
LIMIT_UNSPECIFIED: Limit
LIMIT_ABILITIES: Limit
LIMIT_CONTEXT_WINDOW: Limit
LIMIT_UNAVAILABLE: Limit
LIMIT_NOT_ALLOWED: Limit
LIMIT_MAX_COST_USD: Limit
LIMIT_MAX_LATENCY_MS: Limit
LIMIT_MAX_TTFT_MS: Limit
LIMIT_MIN_QUALITY: Limit
LIMIT_KEY_SCOPE: Limit
LIMIT_PROVIDER_ONLY: Limit
LIMIT_PROVIDER_IGNORE: Limit
LIMIT_ALLOW_FALLBACKS: Limit
LIMIT_REQUIRE_PARAMETERS: Limit
LIMIT_DATA_COLLECTION: Limit
LIMIT_ZDR: Limit
LIMIT_QUANTIZATIONS: Limit
LIMIT_MAX_PRICE: Limit
LIMIT_MAX_INTER_TOKEN_MS: Limit
LIMIT_MIN_THROUGHPUT: Limit
LIMIT_NOT_ON_ROUTE: Limit
FAILURE_CLASS_UNSPECIFIED: FailureClass
FAILURE_CLASS_RATE_LIMITED: FailureClass
FAILURE_CLASS_OVERLOADED: FailureClass
FAILURE_CLASS_CONNECTION: FailureClass
FAILURE_CLASS_FIRST_TOKEN_LATE: FailureClass
FAILURE_CLASS_STALLED: FailureClass
FAILURE_CLASS_DEADLINE: FailureClass
FAILURE_CLASS_AUTH: FailureClass
FAILURE_CLASS_MODEL_MISSING: FailureClass
FAILURE_CLASS_CONTEXT_TOO_LONG: FailureClass
FAILURE_CLASS_UNSUPPORTED: FailureClass
FAILURE_CLASS_CONTENT_FILTERED: FailureClass
FAILURE_CLASS_INVALID_REQUEST: FailureClass
FAILURE_CLASS_EMPTY_ANSWER: FailureClass
FAILURE_CLASS_MALFORMED: FailureClass
FAILURE_CLASS_STREAM_CUT: FailureClass
FAILURE_CLASS_OVER_BUDGET: FailureClass
FAILURE_CLASS_CANCELLED: FailureClass

class Decision(_message.Message):
    __slots__ = ("id", "artifact_version", "encoder_exit", "ranking", "excluded", "seed", "decide_us", "explanation", "learned_updates", "canary", "route")
    ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENCODER_EXIT_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DECIDE_US_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    LEARNED_UPDATES_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    id: str
    artifact_version: str
    encoder_exit: int
    ranking: _containers.RepeatedCompositeFieldContainer[RankedCandidate]
    excluded: _containers.RepeatedCompositeFieldContainer[ExcludedCandidate]
    seed: int
    decide_us: float
    explanation: str
    learned_updates: int
    canary: bool
    route: RouteTaken
    def __init__(self, id: _Optional[str] = ..., artifact_version: _Optional[str] = ..., encoder_exit: _Optional[int] = ..., ranking: _Optional[_Iterable[_Union[RankedCandidate, _Mapping]]] = ..., excluded: _Optional[_Iterable[_Union[ExcludedCandidate, _Mapping]]] = ..., seed: _Optional[int] = ..., decide_us: _Optional[float] = ..., explanation: _Optional[str] = ..., learned_updates: _Optional[int] = ..., canary: bool = ..., route: _Optional[_Union[RouteTaken, _Mapping]] = ...) -> None: ...

class RouteTaken(_message.Message):
    __slots__ = ("name", "branch")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    branch: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., branch: _Optional[_Iterable[str]] = ...) -> None: ...

class RankedCandidate(_message.Message):
    __slots__ = ("deployment", "model", "provider", "prediction", "utility", "propensity", "shut", "in_flight", "target")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    UTILITY_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    SHUT_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    model: str
    provider: str
    prediction: Prediction
    utility: float
    propensity: float
    shut: str
    in_flight: int
    target: str
    def __init__(self, deployment: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., prediction: _Optional[_Union[Prediction, _Mapping]] = ..., utility: _Optional[float] = ..., propensity: _Optional[float] = ..., shut: _Optional[str] = ..., in_flight: _Optional[int] = ..., target: _Optional[str] = ...) -> None: ...

class ExcludedCandidate(_message.Message):
    __slots__ = ("deployment", "reasons", "prediction")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    reasons: _containers.RepeatedCompositeFieldContainer[Exclusion]
    prediction: Prediction
    def __init__(self, deployment: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ..., prediction: _Optional[_Union[Prediction, _Mapping]] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("limit", "message")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    limit: Limit
    message: str
    def __init__(self, limit: _Optional[_Union[Limit, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("quality", "quality_spread", "input_tokens", "output_tokens", "cost_usd", "cost_usd_p90", "latency_ms", "latency_ms_p90", "ttft_ms", "cached_tokens", "ttft_ms_p90")
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    QUALITY_SPREAD_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    COST_USD_P90_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_P90_FIELD_NUMBER: _ClassVar[int]
    TTFT_MS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TTFT_MS_P90_FIELD_NUMBER: _ClassVar[int]
    quality: float
    quality_spread: float
    input_tokens: float
    output_tokens: float
    cost_usd: float
    cost_usd_p90: float
    latency_ms: float
    latency_ms_p90: float
    ttft_ms: float
    cached_tokens: float
    ttft_ms_p90: float
    def __init__(self, quality: _Optional[float] = ..., quality_spread: _Optional[float] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., cost_usd: _Optional[float] = ..., cost_usd_p90: _Optional[float] = ..., latency_ms: _Optional[float] = ..., latency_ms_p90: _Optional[float] = ..., ttft_ms: _Optional[float] = ..., cached_tokens: _Optional[float] = ..., ttft_ms_p90: _Optional[float] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("deployment", "failure", "status", "start_ms", "total_ms", "ttft_ms", "usage", "cost_usd", "detail", "usage_estimated")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    TTFT_MS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    USAGE_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    failure: FailureClass
    status: int
    start_ms: float
    total_ms: float
    ttft_ms: float
    usage: _chat_pb2.Usage
    cost_usd: float
    detail: str
    usage_estimated: bool
    def __init__(self, deployment: _Optional[str] = ..., failure: _Optional[_Union[FailureClass, str]] = ..., status: _Optional[int] = ..., start_ms: _Optional[float] = ..., total_ms: _Optional[float] = ..., ttft_ms: _Optional[float] = ..., usage: _Optional[_Union[_chat_pb2.Usage, _Mapping]] = ..., cost_usd: _Optional[float] = ..., detail: _Optional[str] = ..., usage_estimated: bool = ...) -> None: ...

class RouteFailure(_message.Message):
    __slots__ = ("reason", "attempts", "decision", "cost_usd", "total_ms", "outcome_recorded", "partial")
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_RECORDED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    decision: Decision
    cost_usd: float
    total_ms: float
    outcome_recorded: bool
    partial: PartialAnswer
    def __init__(self, reason: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., decision: _Optional[_Union[Decision, _Mapping]] = ..., cost_usd: _Optional[float] = ..., total_ms: _Optional[float] = ..., outcome_recorded: bool = ..., partial: _Optional[_Union[PartialAnswer, _Mapping]] = ...) -> None: ...

class PartialAnswer(_message.Message):
    __slots__ = ("deployment", "failure", "text_bytes", "reasoning_bytes", "tool_calls_whole")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TEXT_BYTES_FIELD_NUMBER: _ClassVar[int]
    REASONING_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_WHOLE_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    failure: FailureClass
    text_bytes: int
    reasoning_bytes: int
    tool_calls_whole: int
    def __init__(self, deployment: _Optional[str] = ..., failure: _Optional[_Union[FailureClass, str]] = ..., text_bytes: _Optional[int] = ..., reasoning_bytes: _Optional[int] = ..., tool_calls_whole: _Optional[int] = ...) -> None: ...
