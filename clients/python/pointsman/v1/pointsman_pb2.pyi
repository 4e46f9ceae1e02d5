from pointsman.v1 import chat_pb2 as _chat_pb2
from pointsman.v1 import decision_pb2 as _decision_pb2
from pointsman.v1 import policy_pb2 as _policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CacheUse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_USE_UNSPECIFIED: _ClassVar[CacheUse]
    CACHE_USE_ON: _ClassVar[CacheUse]
    CACHE_USE_TOOLS: _ClassVar[CacheUse]
    CACHE_USE_REFRESH: _ClassVar[CacheUse]
    CACHE_USE_OFF: _ClassVar[CacheUse]

class FeedbackKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEEDBACK_KIND_UNSPECIFIED: _ClassVar[FeedbackKind]
    FEEDBACK_KIND_EXPLICIT: _ClassVar[FeedbackKind]
    FEEDBACK_KIND_JUDGE: _ClassVar[FeedbackKind]
    FEEDBACK_KIND_EXACT_MATCH: _ClassVar[FeedbackKind]
    FEEDBACK_KIND_IMPLICIT: _ClassVar[FeedbackKind]
CACHE_USE_UNSPECIFIED: CacheUse
CACHE_USE_ON: CacheUse
CACHE_USE_TOOLS: CacheUse
CACHE_USE_REFRESH: CacheUse
CACHE_USE_OFF: CacheUse
FEEDBACK_KIND_UNSPECIFIED: FeedbackKind
FEEDBACK_KIND_EXPLICIT: FeedbackKind
FEEDBACK_KIND_JUDGE: FeedbackKind
FEEDBACK_KIND_EXACT_MATCH: FeedbackKind
FEEDBACK_KIND_IMPLICIT: FeedbackKind

class RouteRequest(_message.Message):
    __slots__ = ("messages", "tools", "tool_choice", "response_format", "sampling", "budget", "preference", "min_quality", "candidates", "fallback", "session_id", "request_id", "metadata", "explain", "parallel_tool_calls", "reasoning", "user", "cache_prompt", "extra_json", "faults", "explore", "provider", "cache", "route")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CHOICE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    PREFERENCE_FIELD_NUMBER: _ClassVar[int]
    MIN_QUALITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CACHE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    EXPLORE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[_chat_pb2.Message]
    tools: _containers.RepeatedCompositeFieldContainer[_chat_pb2.Tool]
    tool_choice: _chat_pb2.ToolChoice
    response_format: _chat_pb2.ResponseFormat
    sampling: _chat_pb2.Sampling
    budget: _policy_pb2.Budget
    preference: _policy_pb2.Preference
    min_quality: float
    candidates: _policy_pb2.Candidates
    fallback: _policy_pb2.Fallback
    session_id: str
    request_id: str
    metadata: _containers.ScalarMap[str, str]
    explain: bool
    parallel_tool_calls: bool
    reasoning: _chat_pb2.Reasoning
    user: str
    cache_prompt: bool
    extra_json: str
    faults: _containers.RepeatedCompositeFieldContainer[_policy_pb2.ForcedFault]
    explore: bool
    provider: _policy_pb2.ProviderPreferences
    cache: CacheUse
    route: str
    def __init__(self, messages: _Optional[_Iterable[_Union[_chat_pb2.Message, _Mapping]]] = ..., tools: _Optional[_Iterable[_Union[_chat_pb2.Tool, _Mapping]]] = ..., tool_choice: _Optional[_Union[_chat_pb2.ToolChoice, _Mapping]] = ..., response_format: _Optional[_Union[_chat_pb2.ResponseFormat, _Mapping]] = ..., sampling: _Optional[_Union[_chat_pb2.Sampling, _Mapping]] = ..., budget: _Optional[_Union[_policy_pb2.Budget, _Mapping]] = ..., preference: _Optional[_Union[_policy_pb2.Preference, _Mapping]] = ..., min_quality: _Optional[float] = ..., candidates: _Optional[_Union[_policy_pb2.Candidates, _Mapping]] = ..., fallback: _Optional[_Union[_policy_pb2.Fallback, _Mapping]] = ..., session_id: _Optional[str] = ..., request_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., explain: bool = ..., parallel_tool_calls: bool = ..., reasoning: _Optional[_Union[_chat_pb2.Reasoning, _Mapping]] = ..., user: _Optional[str] = ..., cache_prompt: bool = ..., extra_json: _Optional[str] = ..., faults: _Optional[_Iterable[_Union[_policy_pb2.ForcedFault, _Mapping]]] = ..., explore: bool = ..., provider: _Optional[_Union[_policy_pb2.ProviderPreferences, _Mapping]] = ..., cache: _Optional[_Union[CacheUse, str]] = ..., route: _Optional[str] = ...) -> None: ...

class RouteResponse(_message.Message):
    __slots__ = ("message", "finish_reason", "usage", "cost_usd", "served_model", "deployment", "provider", "attempts", "decision", "outcome_recorded", "total_ms", "dropped_parameters", "logprobs_json", "cached")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    SERVED_MODEL_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_RECORDED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_JSON_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    message: _chat_pb2.Message
    finish_reason: _chat_pb2.FinishReason
    usage: _chat_pb2.Usage
    cost_usd: float
    served_model: str
    deployment: str
    provider: str
    attempts: _containers.RepeatedCompositeFieldContainer[_decision_pb2.Attempt]
    decision: _decision_pb2.Decision
    outcome_recorded: bool
    total_ms: float
    dropped_parameters: _containers.RepeatedScalarFieldContainer[str]
    logprobs_json: str
    cached: CachedAnswer
    def __init__(self, message: _Optional[_Union[_chat_pb2.Message, _Mapping]] = ..., finish_reason: _Optional[_Union[_chat_pb2.FinishReason, str]] = ..., usage: _Optional[_Union[_chat_pb2.Usage, _Mapping]] = ..., cost_usd: _Optional[float] = ..., served_model: _Optional[str] = ..., deployment: _Optional[str] = ..., provider: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[_decision_pb2.Attempt, _Mapping]]] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., outcome_recorded: bool = ..., total_ms: _Optional[float] = ..., dropped_parameters: _Optional[_Iterable[str]] = ..., logprobs_json: _Optional[str] = ..., cached: _Optional[_Union[CachedAnswer, _Mapping]] = ...) -> None: ...

class CachedAnswer(_message.Message):
    __slots__ = ("decision_id", "age_ms", "similarity")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    age_ms: int
    similarity: float
    def __init__(self, decision_id: _Optional[str] = ..., age_ms: _Optional[int] = ..., similarity: _Optional[float] = ...) -> None: ...

class RouteEvent(_message.Message):
    __slots__ = ("decided", "answering", "delta", "switched", "restarted", "completed")
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    SWITCHED_FIELD_NUMBER: _ClassVar[int]
    RESTARTED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    decided: _decision_pb2.Decision
    answering: Answering
    delta: Delta
    switched: Switched
    restarted: Restarted
    completed: RouteResponse
    def __init__(self, decided: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., answering: _Optional[_Union[Answering, _Mapping]] = ..., delta: _Optional[_Union[Delta, _Mapping]] = ..., switched: _Optional[_Union[Switched, _Mapping]] = ..., restarted: _Optional[_Union[Restarted, _Mapping]] = ..., completed: _Optional[_Union[RouteResponse, _Mapping]] = ...) -> None: ...

class Answering(_message.Message):
    __slots__ = ("deployment", "model", "provider", "attempts", "dropped_parameters")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    model: str
    provider: str
    attempts: int
    dropped_parameters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, deployment: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., attempts: _Optional[int] = ..., dropped_parameters: _Optional[_Iterable[str]] = ...) -> None: ...

class Delta(_message.Message):
    __slots__ = ("text", "reasoning", "reasoning_end", "tool_call_begin", "tool_call_arguments", "logprobs_json")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    REASONING_END_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_BEGIN_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_JSON_FIELD_NUMBER: _ClassVar[int]
    text: str
    reasoning: str
    reasoning_end: ReasoningEnd
    tool_call_begin: ToolCallBegin
    tool_call_arguments: ToolCallArguments
    logprobs_json: str
    def __init__(self, text: _Optional[str] = ..., reasoning: _Optional[str] = ..., reasoning_end: _Optional[_Union[ReasoningEnd, _Mapping]] = ..., tool_call_begin: _Optional[_Union[ToolCallBegin, _Mapping]] = ..., tool_call_arguments: _Optional[_Union[ToolCallArguments, _Mapping]] = ..., logprobs_json: _Optional[str] = ...) -> None: ...

class ReasoningEnd(_message.Message):
    __slots__ = ("seal",)
    SEAL_FIELD_NUMBER: _ClassVar[int]
    seal: str
    def __init__(self, seal: _Optional[str] = ...) -> None: ...

class ToolCallBegin(_message.Message):
    __slots__ = ("index", "id", "name", "seal")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    index: int
    id: str
    name: str
    seal: str
    def __init__(self, index: _Optional[int] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., seal: _Optional[str] = ...) -> None: ...

class ToolCallArguments(_message.Message):
    __slots__ = ("index", "fragment")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    index: int
    fragment: str
    def __init__(self, index: _Optional[int] = ..., fragment: _Optional[str] = ...) -> None: ...

class Switched(_message.Message):
    __slots__ = ("failure", "answering", "text_bytes")
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    TEXT_BYTES_FIELD_NUMBER: _ClassVar[int]
    failure: _decision_pb2.FailureClass
    answering: Answering
    text_bytes: int
    def __init__(self, failure: _Optional[_Union[_decision_pb2.FailureClass, str]] = ..., answering: _Optional[_Union[Answering, _Mapping]] = ..., text_bytes: _Optional[int] = ...) -> None: ...

class Restarted(_message.Message):
    __slots__ = ("failure", "answering")
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    failure: _decision_pb2.FailureClass
    answering: Answering
    def __init__(self, failure: _Optional[_Union[_decision_pb2.FailureClass, str]] = ..., answering: _Optional[_Union[Answering, _Mapping]] = ...) -> None: ...

class RankRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: RouteRequest
    def __init__(self, request: _Optional[_Union[RouteRequest, _Mapping]] = ...) -> None: ...

class RankResponse(_message.Message):
    __slots__ = ("decision", "refusal")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    refusal: str
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., refusal: _Optional[str] = ...) -> None: ...

class RankBatchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RouteRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[RouteRequest, _Mapping]]] = ...) -> None: ...

class RankBatchResponse(_message.Message):
    __slots__ = ("responses",)
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[RankResponse]
    def __init__(self, responses: _Optional[_Iterable[_Union[RankResponse, _Mapping]]] = ...) -> None: ...

class FeedbackRequest(_message.Message):
    __slots__ = ("decision_id", "score", "kind", "comment", "idempotency_key")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    score: float
    kind: FeedbackKind
    comment: str
    idempotency_key: str
    def __init__(self, decision_id: _Optional[str] = ..., score: _Optional[float] = ..., kind: _Optional[_Union[FeedbackKind, str]] = ..., comment: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class FeedbackResponse(_message.Message):
    __slots__ = ("newly_stored",)
    NEWLY_STORED_FIELD_NUMBER: _ClassVar[int]
    newly_stored: bool
    def __init__(self, newly_stored: bool = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "vendor", "context_window", "max_output_tokens", "abilities", "released", "deployments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ABILITIES_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    vendor: str
    context_window: int
    max_output_tokens: int
    abilities: _containers.RepeatedScalarFieldContainer[str]
    released: str
    deployments: _containers.RepeatedCompositeFieldContainer[Deployment]
    def __init__(self, name: _Optional[str] = ..., vendor: _Optional[str] = ..., context_window: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., abilities: _Optional[_Iterable[str]] = ..., released: _Optional[str] = ..., deployments: _Optional[_Iterable[_Union[Deployment, _Mapping]]] = ...) -> None: ...

class Deployment(_message.Message):
    __slots__ = ("id", "provider", "model_id", "input_usd_per_million", "cached_usd_per_million", "output_usd_per_million", "last_resort", "unavailable", "data_collection", "zdr", "quantization")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_USD_PER_MILLION_FIELD_NUMBER: _ClassVar[int]
    CACHED_USD_PER_MILLION_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_USD_PER_MILLION_FIELD_NUMBER: _ClassVar[int]
    LAST_RESORT_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    DATA_COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ZDR_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    provider: str
    model_id: str
    input_usd_per_million: float
    cached_usd_per_million: float
    output_usd_per_million: float
    last_resort: bool
    unavailable: str
    data_collection: str
    zdr: bool
    quantization: str
    def __init__(self, id: _Optional[str] = ..., provider: _Optional[str] = ..., model_id: _Optional[str] = ..., input_usd_per_million: _Optional[float] = ..., cached_usd_per_million: _Optional[float] = ..., output_usd_per_million: _Optional[float] = ..., last_resort: bool = ..., unavailable: _Optional[str] = ..., data_collection: _Optional[str] = ..., zdr: bool = ..., quantization: _Optional[str] = ...) -> None: ...
