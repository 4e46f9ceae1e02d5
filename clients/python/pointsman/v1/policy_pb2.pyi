from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnStreamFailure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_STREAM_FAILURE_UNSPECIFIED: _ClassVar[OnStreamFailure]
    ON_STREAM_FAILURE_CONTINUE: _ClassVar[OnStreamFailure]
    ON_STREAM_FAILURE_RESTART: _ClassVar[OnStreamFailure]
    ON_STREAM_FAILURE_ERROR: _ClassVar[OnStreamFailure]
ON_STREAM_FAILURE_UNSPECIFIED: OnStreamFailure
ON_STREAM_FAILURE_CONTINUE: OnStreamFailure
ON_STREAM_FAILURE_RESTART: OnStreamFailure
ON_STREAM_FAILURE_ERROR: OnStreamFailure

class Budget(_message.Message):
    __slots__ = ("max_cost_usd", "max_latency_ms", "max_ttft_ms", "confidence", "max_inter_token_ms", "min_throughput")
    MAX_COST_USD_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_TTFT_MS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_INTER_TOKEN_MS_FIELD_NUMBER: _ClassVar[int]
    MIN_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    max_cost_usd: float
    max_latency_ms: float
    max_ttft_ms: float
    confidence: float
    max_inter_token_ms: float
    min_throughput: float
    def __init__(self, max_cost_usd: _Optional[float] = ..., max_latency_ms: _Optional[float] = ..., max_ttft_ms: _Optional[float] = ..., confidence: _Optional[float] = ..., max_inter_token_ms: _Optional[float] = ..., min_throughput: _Optional[float] = ...) -> None: ...

class Preference(_message.Message):
    __slots__ = ("preset", "cost_per_quality_usd", "latency_per_quality_ms")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    COST_PER_QUALITY_USD_FIELD_NUMBER: _ClassVar[int]
    LATENCY_PER_QUALITY_MS_FIELD_NUMBER: _ClassVar[int]
    preset: str
    cost_per_quality_usd: float
    latency_per_quality_ms: float
    def __init__(self, preset: _Optional[str] = ..., cost_per_quality_usd: _Optional[float] = ..., latency_per_quality_ms: _Optional[float] = ...) -> None: ...

class ForcedFault(_message.Message):
    __slots__ = ("target", "fault", "times", "probability")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    target: str
    fault: str
    times: int
    probability: float
    def __init__(self, target: _Optional[str] = ..., fault: _Optional[str] = ..., times: _Optional[int] = ..., probability: _Optional[float] = ...) -> None: ...

class ProviderPreferences(_message.Message):
    __slots__ = ("order", "only", "ignore", "allow_fallbacks", "require_parameters", "data_collection", "zdr", "quantizations", "sort", "max_price")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ONLY_FIELD_NUMBER: _ClassVar[int]
    IGNORE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DATA_COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ZDR_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATIONS_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_FIELD_NUMBER: _ClassVar[int]
    order: _containers.RepeatedScalarFieldContainer[str]
    only: _containers.RepeatedScalarFieldContainer[str]
    ignore: _containers.RepeatedScalarFieldContainer[str]
    allow_fallbacks: bool
    require_parameters: bool
    data_collection: str
    zdr: bool
    quantizations: _containers.RepeatedScalarFieldContainer[str]
    sort: ProviderSort
    max_price: MaxPrice
    def __init__(self, order: _Optional[_Iterable[str]] = ..., only: _Optional[_Iterable[str]] = ..., ignore: _Optional[_Iterable[str]] = ..., allow_fallbacks: bool = ..., require_parameters: bool = ..., data_collection: _Optional[str] = ..., zdr: bool = ..., quantizations: _Optional[_Iterable[str]] = ..., sort: _Optional[_Union[ProviderSort, _Mapping]] = ..., max_price: _Optional[_Union[MaxPrice, _Mapping]] = ...) -> None: ...

class ProviderSort(_message.Message):
    __slots__ = ("by", "partition")
    BY_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    by: str
    partition: str
    def __init__(self, by: _Optional[str] = ..., partition: _Optional[str] = ...) -> None: ...

class MaxPrice(_message.Message):
    __slots__ = ("prompt", "completion", "request", "image")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    prompt: float
    completion: float
    request: float
    image: float
    def __init__(self, prompt: _Optional[float] = ..., completion: _Optional[float] = ..., request: _Optional[float] = ..., image: _Optional[float] = ...) -> None: ...

class Candidates(_message.Message):
    __slots__ = ("allow", "deny", "order")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    DENY_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    allow: _containers.RepeatedScalarFieldContainer[str]
    deny: _containers.RepeatedScalarFieldContainer[str]
    order: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, allow: _Optional[_Iterable[str]] = ..., deny: _Optional[_Iterable[str]] = ..., order: _Optional[_Iterable[str]] = ...) -> None: ...

class Fallback(_message.Message):
    __slots__ = ("candidates_max", "on_content_filter", "on_stream_failure", "timeouts", "hedge")
    CANDIDATES_MAX_FIELD_NUMBER: _ClassVar[int]
    ON_CONTENT_FILTER_FIELD_NUMBER: _ClassVar[int]
    ON_STREAM_FAILURE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    HEDGE_FIELD_NUMBER: _ClassVar[int]
    candidates_max: int
    on_content_filter: bool
    on_stream_failure: OnStreamFailure
    timeouts: Timeouts
    hedge: bool
    def __init__(self, candidates_max: _Optional[int] = ..., on_content_filter: bool = ..., on_stream_failure: _Optional[_Union[OnStreamFailure, str]] = ..., timeouts: _Optional[_Union[Timeouts, _Mapping]] = ..., hedge: bool = ...) -> None: ...

class Timeouts(_message.Message):
    __slots__ = ("first_attempt_ms", "fallback_ms", "first_token_ms", "stall_ms")
    FIRST_ATTEMPT_MS_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_MS_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_MS_FIELD_NUMBER: _ClassVar[int]
    STALL_MS_FIELD_NUMBER: _ClassVar[int]
    first_attempt_ms: float
    fallback_ms: float
    first_token_ms: float
    stall_ms: float
    def __init__(self, first_attempt_ms: _Optional[float] = ..., fallback_ms: _Optional[float] = ..., first_token_ms: _Optional[float] = ..., stall_ms: _Optional[float] = ...) -> None: ...
